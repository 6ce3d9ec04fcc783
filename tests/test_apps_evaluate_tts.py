"""`mynah evaluate tts`: what is measured of which sound, and one clear line for everything that is wrong."""

import json
import math
import sys

import numpy as np
import pytest
import soundfile

from mynah.apps import evaluate_likeness, evaluate_real, evaluate_spoken, evaluate_tts
from mynah.apps.evaluate_report import voice_lines
from mynah.apps.evaluate_spoken import Judge, Utterance
from mynah.apps.evaluate_words import WordRecogniser, spelled
from mynah.codec.heads import PhoneHead
from mynah.data import metrics
from mynah.data.errors import MynahError
from mynah.data.manifest import Recording
from mynah.data.text import phonemize
from mynah.lm import LanguageModel, Sampling
from mynah.tts import Durations, Synthesizer, Voice, voice_store
from mynah.tts.sentences import Sentence
from mynah.tts.word_errors import WordErrors

SHORT = (
    Sentence("plain-01", "plain", "plain", "Go on."),
    Sentence("plain-02", "plain", "plain", "Why?"),
    Sentence("numbers-01", "hard", "numbers", "It is 3."),
    Sentence("words-01", "hard", "words", "Yes."),
)


@pytest.fixture(autouse=True)
def voices(tmp_path, monkeypatch, speaking):
    """Shipped are `ann`, whose speaker the duration model knows by this name, and nobody's `tiny`."""
    monkeypatch.setenv("MYNAH_VOICES", str(tmp_path / "none"))
    monkeypatch.setattr(voice_store, "SHIPPED", tmp_path / "voices")
    (tmp_path / "voices").mkdir()
    voice = Voice.load(speaking.voice)
    voice.save(tmp_path / "voices" / "tiny.safetensors")
    known = {name: getattr(voice, name) for name in ("codec", "codec_hash", "codes", "phonemes", "durations")}
    Voice("ann", speaker="ann", **known).save(tmp_path / "voices" / "ann.safetensors")


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(evaluate_tts, "sentences", lambda: SHORT)


@pytest.fixture(autouse=True)
def no_dnsmos(monkeypatch):
    """It is slow, and tested with the metrics; here it is the loudness."""
    monkeypatch.setattr(metrics, "dnsmos", lambda wav: metrics.DnsMos(*[float(np.abs(wav).mean())] * 4))


class Mishears:
    """Hears one word, and it is wrong."""

    def __call__(self, wav):
        return ["mat"]


@pytest.fixture(autouse=True)
def no_recogniser(monkeypatch):
    """It is slow, and tested by itself below."""
    monkeypatch.setattr(evaluate_tts, "WordRecogniser", Mishears)


@pytest.fixture(scope="module")
def data(tmp_path_factory, speech):
    """A corpus with three test recordings of ann, of which one is German and one cannot be said, one of val,
    and one of another speaker."""
    folder = tmp_path_factory.mktemp("speech")
    (folder / "own").mkdir()
    lines = []
    for i, (split, speaker, language, text) in enumerate(
        (
            ("test", "ann", "en", "The cat sat."),
            ("test", "ann", "de", "Die Katze."),
            ("test", "ann", "en", "?!"),
            ("val", "ann", "en", "On the mat."),
            ("train", "ann", "en", "Not this."),
            ("test", "bob", "en", "Go on."),
        )
    ):
        soundfile.write(folder / "own" / f"{i}.flac", speech[i * 800 :][:24000], 16000)
        entry = {"id": f"own/{i}", "audio": f"own/{i}.flac", "split": split, "seconds": 1.5, "text": text}
        lines.append(json.dumps(entry | {"speaker": speaker, "language": language}))
    (folder / "own" / "manifest.jsonl").write_text("\n".join(lines))
    return folder


@pytest.fixture
def options(speaking, tiny_folder, head_folder, speaker_folder):
    models = ["--model", speaking.lm, "--durations", speaking.durations, "--speaker-head", speaker_folder]
    return [*models, "--codec", tiny_folder, "--head", head_folder]


@pytest.fixture
def run(mynah, options):
    return lambda *more: mynah("evaluate", "tts", *options, *more)


def utterance(set_="plain", **change) -> Utterance:
    return Utterance("x", set_, 4, 10, 2, (), (), 1.0, 3.0)._replace(**change)


def test_the_command_writes_table_and_json(run, tmp_path, data, tiny):
    out = tmp_path / "out.json"
    done = run("--voice", "ann", "--data", data, "--limit", 2, "--json", out)
    assert done.returncode == 0, done.stderr
    report = json.loads(out.read_text())
    assert report["complete"] and list(report["voices"]) == ["ann"]
    assert (report["kbps"], report["codec"]["identity"]) == (1.5, tiny.identity)
    assert report["peak_memory_mb"] > 100
    ann = report["voices"]["ann"]
    assert {name: s["utterances"] for name, s in ann["sets"].items()} == {"plain": 2, "hard": 2, "all": 4}
    assert [u["id"] for u in ann["utterances"]] == ["plain-01", "plain-02", "numbers-01", "words-01"]
    assert set(ann["kinds"]) == {"plain", "numbers", "words"}
    assert ann["sets"]["all"]["phones"] == sum(u["phones"] for u in ann["utterances"])
    assert ann["real"]["plain"]["utterances"] == ann["real"]["coded"]["utterances"] == 2
    assert ann["real"]["plain"] != ann["real"]["coded"]
    plain, real = ann["sets"]["plain"], ann["real"]["plain"]
    ratio = plain["phone_error_rate"] / real["phone_error_rate"]
    assert ann["ratios"]["phone_error_rate"] == pytest.approx(ratio, abs=1e-3)
    above = ann["sets"]["all"]["dnsmos_ovrl"]["mean"] - ann["real"]["coded"]["dnsmos_ovrl"]["mean"]
    assert ann["dnsmos_above_coded"] == pytest.approx(above, abs=1e-3)
    assert report["speaker_head"] == "tiny-speakers"
    alike = [u["likeness"] for u in ann["utterances"]]
    assert ann["sets"]["all"]["likeness"]["mean"] == pytest.approx(np.mean(alike), abs=1e-3)
    assert len(set(alike)) == 4 and max(map(abs, alike)) <= 1
    for rows in ann["real"].values():
        assert rows["likeness"]["undefined"] == 0 and abs(rows["likeness"]["mean"]) <= 1
    assert "voice" not in ann["utterances"][0]
    assert ann["real_time_factor"] > 0 and 0 < ann["first_sound_ms"] < 60_000
    heads = [line.split("  ")[0] for line in done.stdout.splitlines()]
    assert {"plain", "hard", "all", "real", "real, 1.5 kbit/s"} <= set(heads)
    for words in ("ann: 4 sentences", "PER, plain to real: ", "(bar: at most 1.5)", "peak memory"):
        assert words in done.stdout
    again = run("--voice", "ann", "--json", out)
    assert again.returncode == 2 and "--force replaces it" in again.stderr


def test_all_shipped_voices_without_recordings(run, tmp_path):
    done = run("--limit", 1, "--json", tmp_path / "out.json")
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "out.json").read_text())
    assert list(report["voices"]) == ["ann", "tiny"]
    assert all("real" not in voice for voice in report["voices"].values())
    assert "real " not in done.stdout
    assert report["speaker_head"] is None and report["notes"] == []  # there is nothing to compare with
    assert report["voices"]["ann"]["sets"]["all"]["likeness"] is None


def test_a_voice_without_recordings_is_not_compared_unless_it_is_named(run, tmp_path, data):
    done = run("--limit", 1, "--data", data, "--json", tmp_path / "out.json")
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "out.json").read_text())
    assert {name: "real" in voice for name, voice in report["voices"].items()} == {"ann": True, "tiny": False}
    assert report["notes"][0].startswith("not compared: the voice tiny names no speaker")


def test_all_sentences_are_spoken_unless_limited(monkeypatch):
    monkeypatch.undo()
    numbered = evaluate_tts.chosen(None)
    assert [number for number, _ in numbered] == list(range(100))
    assert [one.id for _, one in evaluate_tts.chosen(2)] == [
        "plain-01",
        "plain-02",
        "numbers-01",
        "numbers-02",
    ]


def test_sentences_are_spoken_as_with_say(speaking, tiny):
    """The sound is that of the synthesizer; a sentence's seed does not depend on which others are spoken."""
    lm, durations = (
        LanguageModel.from_pretrained(speaking.lm, int8=True),
        Durations.from_pretrained(speaking.durations),
    )
    synthesizer = Synthesizer(tiny, lm, durations, Voice.load(speaking.voice))
    how = evaluate_tts.Speaking(seed=3, guidance=1.0, sampling=Sampling(top_p=0.9))
    texts = evaluate_tts.chosen(1)
    assert [number for number, _ in texts] == [0, 2]
    done = []
    takes = evaluate_tts.spoken(synthesizer, texts, how, lambda: done.append(1))
    expected = synthesizer.synthesize(SHORT[2].text, seed=2003, guidance=1.0, sampling=how.sampling)
    assert np.array_equal(takes[1].wav, expected[0, 0].numpy())
    assert len(done) == 2 and all(0 < take.first < take.whole for take in takes)
    found = evaluate_tts.timing(
        [take._replace(first=f, whole=2.0) for take, f in zip(takes, (0.1, 0.3))], 16000
    )
    assert found["first_sound_ms"] == 200
    assert found["said_again"] == 0
    assert found["real_time_factor"] == pytest.approx(
        4 / sum(len(take.wav) / 16000 for take in takes), rel=1e-3
    )


def test_an_utterance_is_what_the_head_hears(tiny, head_folder, speech, monkeypatch):
    head = PhoneHead.from_pretrained(tiny, head_folder)
    said = phonemize("The cat, the cat sat.")
    phones = tuple(p.lstrip("ˈˌ") for word in said.words for p in word.phonemes)
    silence = np.zeros(3200, np.float32)
    wav = np.concatenate([silence, speech[:16000] + 0.01, silence])
    monkeypatch.setattr(PhoneHead, "recognise", lambda self, wav: [phones[:-3]])
    monkeypatch.setattr(evaluate_spoken, "word_errors", lambda *_: WordErrors((4,), (0, 1)))
    found = Judge(head, dnsmos=False)("a", "plain", said, wav)
    assert (found.words, found.phones, found.errors) == (5, 13, 3)
    assert (found.skipped, found.repeated) == (("sat",), ("The", "cat"))
    assert found.seconds == 1.0
    assert math.isnan(found.dnsmos) and found.entry()["dnsmos"] is None
    assert found.spelled is found.misheard is None
    found = Judge(head, dnsmos=False, words=Mishears())("a", "plain", said, wav)
    assert (found.spelled, found.misheard) == (5, 5)


def test_rates_are_over_all_phones_together(tiny, head_folder):
    judge = Judge(PhoneHead.from_pretrained(tiny, head_folder), dnsmos=True)
    found = judge.summary(
        [utterance(), utterance(phones=30, errors=3, skipped=("a", "b"), seconds=5.0, dnsmos=math.nan)]
    )
    assert found["phone_error_rate"] == pytest.approx(5 / 40)
    assert found["seconds_per_phone"] == pytest.approx(6 / 40)
    assert (found["words"], found["skipped"], found["repeated"]) == (8, 2, 0)
    assert found["dnsmos_ovrl"] == {"mean": 3.0, "std": 0.0, "undefined": 1}
    assert Judge(judge.head, dnsmos=False).summary([utterance()])["dnsmos_ovrl"] is None
    assert found["word_error_rate"] is None
    found = judge.summary([utterance(spelled=4, misheard=1), utterance(spelled=6, misheard=3)])
    assert found["word_error_rate"] == pytest.approx(0.4)


def test_likeness_is_that_to_the_other_recordings():
    rng = np.random.default_rng(0)
    spoken, real, coded = (
        [utterance(voice=row / np.linalg.norm(row)) for row in rng.normal(size=(n, 6)).astype(np.float32)]
        for n in (2, 3, 3)
    )
    found = evaluate_likeness.with_likeness(spoken, real, coded)
    vectors = np.stack([u.voice for u in real])

    def cosine(one, those):
        mean = vectors[those].mean(0)
        return one.voice @ mean / np.linalg.norm(mean)

    assert [u.likeness for u in found[0]] == pytest.approx([cosine(u, [0, 1, 2]) for u in spoken], abs=1e-5)
    for before, after in zip((real, coded), found[1:], strict=True):
        others = [cosine(u, np.delete(np.arange(3), i)) for i, u in enumerate(before)]
        assert [u.likeness for u in after] == pytest.approx(others, abs=1e-5)
    (ours, alone, _) = evaluate_likeness.with_likeness(spoken, real[:1], coded[:1])
    assert math.isnan(alone[0].likeness) and math.isfinite(ours[0].likeness)
    judge = Judge(None, dnsmos=False)
    assert judge.summary(alone)["likeness"] == {"mean": None, "std": None, "undefined": 1}
    assert alone[0].entry()["likeness"] is None and judge.summary(real)["likeness"] is None


def test_the_default_speaker_head_may_be_missing(tiny, speaker_folder):
    notes = []
    assert evaluate_likeness.speaker_head(tiny, "speakers-16k", notes.append) is None
    (note,) = notes
    assert note.startswith("likeness of voices is left out: ") and "speakers-16k" in note
    assert evaluate_likeness.speaker_head(tiny, str(speaker_folder), notes.append) is not None
    assert len(notes) == 1


def test_words_are_spelled_as_the_recogniser_spells_them():
    said = phonemize("Dr. Smith's well-known $1.50!")
    assert spelled(said) == "doctor smith's well known one dollar and fifty cents".split()


def test_the_recogniser_judges_each_recording_alone(speech):
    pytest.importorskip("pocketsphinx")
    recogniser = WordRecogniser()
    first = recogniser(speech)
    assert isinstance(first, list)
    assert recogniser(np.zeros(16000, np.float32)) == []
    assert recogniser(speech) == first


def test_without_its_package_words_are_left_out(run, tmp_path, monkeypatch):
    monkeypatch.setattr(evaluate_tts, "WordRecogniser", WordRecogniser)
    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    out = tmp_path / "out.json"
    assert run("--voice", "ann", "--limit", 1, "--json", out).returncode == 0
    report = json.loads(out.read_text())
    assert report["notes"] == ["WER is left out: word errors need the package pocketsphinx"]
    assert report["voices"]["ann"]["sets"]["all"]["word_error_rate"] is None


def test_the_table_names_the_words():
    judge = Judge(None, dnsmos=False)
    rows = [utterance(skipped=("cat",)), utterance("hard", errors=4, repeated=("no", "no"))]
    sets = {"plain": judge.summary(rows[:1]), "hard": judge.summary(rows[1:]), "all": judge.summary(rows)}
    entry = {"seconds": 2.0, "sets": sets, "utterances": [row.entry() for row in rows]}
    lines = list(
        voice_lines("ann", entry | {"real_time_factor": 0.25, "first_sound_ms": 210.4, "said_again": 2}, 1.5)
    )
    assert lines[1] == "ann: 2 sentences, 2 s"
    assert lines[4].split() == ["hard", "1", "40.0", "4", "0", "2", "100.0", "-", "-", "-"]
    assert lines[-4:] == [
        "first sound: 210 ms, median (bar: at most 300)",
        "said again: 2 pieces",
        "skipped in x: cat",
        "repeated in x: no, no",
    ]


def test_few_test_recordings_are_joined_by_those_of_val(speaking, monkeypatch):
    def recordings(split, count):
        return [Recording(f"{split}{i}", None, split, 1.0, "ann", text="Go.") for i in range(count)]

    ann = voice_store.find("ann")

    def ids(n_test, n_val, limit=None):
        both = recordings("test", n_test) + recordings("val", n_val)
        return [real.recording.split for real in evaluate_real.real_recordings(ann, both, "x", limit)]

    assert ids(3, 2) == ["test"] * 3 + ["val"] * 2
    assert ids(20, 2) == ["test"] * 20
    assert len(ids(80, 0)) == 50
    assert len(ids(80, 0, limit=7)) == 7
    with pytest.raises(MynahError, match=r"x: no recordings of ann .*with English text in test or val"):
        ids(0, 0)


def refused(result, tmp_path, *words):
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("mynah: ")
    for word in words:
        assert word in line
    assert not (tmp_path / "out.json").exists()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--voice", "eve"], ["'eve' is no voice; there are: ann, tiny"]),
        (["--limit", "0"], ["--limit"]),
        (["--guidance", "-1"], ["--guidance -1"]),
        (["--temperature", "-1"], ["--temperature=-1"]),
        (["--data", "nowhere"], ["nowhere: no such folder"]),
        (["--model", "nosuch"], ["neither a shipped language model"]),
        (["--durations", "nosuch"], ["neither a shipped duration model"]),
        (["--codec", "nosuch"], ["neither a shipped codec"]),
        (["--head", "nosuch"], ["neither a shipped phone head"]),
        (
            ["--speaker-head", "nosuch", "--voice", "ann", "--data", "DATA"],
            ["neither a shipped speaker head"],
        ),
        (["--json", "-"], ["not to standard output"]),
        (["--json", "out.txt"], ["has to end in .json"]),
        (["--json", "no/such/out.json"], ["there is no folder no/such"]),
    ],
)
def test_bad_options(run, tmp_path, data, more, words):
    refused(run(*[data if option == "DATA" else option for option in more]), tmp_path, *words)


def test_recordings_of_somebody_else(run, tmp_path, data, monkeypatch):
    out = ["--json", tmp_path / "out.json"]
    refused(run("--voice", "tiny", "--data", data, *out), tmp_path, "the voice tiny names no speaker")
    lines = (data / "own" / "manifest.jsonl").read_text().splitlines()
    (tmp_path / "data" / "own").mkdir(parents=True)
    (tmp_path / "data" / "own" / "manifest.jsonl").write_text(lines[-1])
    (tmp_path / "data" / "own" / "5.flac").write_bytes((data / "own" / "5.flac").read_bytes())
    refused(run("--data", tmp_path / "data", *out), tmp_path, "no recordings of ann (the voice ann)")


def test_a_report_that_cannot_be_written(run, tmp_path, monkeypatch):
    def denied(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.replace", denied)
    monkeypatch.setattr(evaluate_tts, "spoken", lambda *_: pytest.fail("found out too late"))
    refused(
        run("--json", tmp_path / "out.json"), tmp_path, "out.json: cannot be written", "Permission denied"
    )
    assert not list(tmp_path.glob("*.part"))


def test_what_is_not_there(run, tmp_path):
    refused(run("--model", "nobody"), tmp_path, "'nobody' is neither a shipped language model")
    refused(run("--durations", "nobody"), tmp_path, "'nobody' is neither a shipped duration model")
    for path in (tmp_path / "voices").iterdir():
        path.unlink()
    refused(run(), tmp_path, "no voice is shipped with this version")


def test_without_its_package_dnsmos_is_left_out(run, tmp_path, monkeypatch):
    def missing(wav):
        raise MynahError("DNSMOS needs the package speechmos")

    monkeypatch.setattr(metrics, "dnsmos", missing)
    done = run("--voice", "ann", "--limit", 1, "--json", tmp_path / "out.json")
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "out.json").read_text())
    assert report["notes"] == ["dnsmos is left out: DNSMOS needs the package speechmos"]
    assert report["notes"][0] in done.stdout
    assert report["voices"]["ann"]["sets"]["all"]["dnsmos_ovrl"] is None
