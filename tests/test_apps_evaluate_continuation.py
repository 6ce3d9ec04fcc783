"""`mynah evaluate continuation`: which prompts, what is scored, and one clear line for what is wrong."""

import json
import math

import numpy as np
import pytest
import soundfile
import torch

from mynah.apps import evaluate_continuation as continuation
from mynah.apps import lm_scores
from mynah.apps.evaluate_report import continuation_lines
from mynah.apps.train_lm_parts import Collator
from mynah.codec.heads import SpeakerHead
from mynah.data import metrics
from mynah.data.manifest import read_manifest
from mynah.lm import LanguageModel, Sampling, checkpoint
from mynah.lm.network import LMNetwork
from mynah.lm.objective import Objective


@pytest.fixture(autouse=True)
def stand_ins(monkeypatch):
    """DNSMOS, which is slow, is the loudness; and seconds are shorter."""
    monkeypatch.setattr(metrics, "dnsmos", lambda wav: metrics.DnsMos(*[float(np.abs(wav).mean())] * 4))
    monkeypatch.setattr(continuation, "PROMPT_SECONDS", 0.6)
    monkeypatch.setattr(continuation, "SECONDS", 0.8)
    monkeypatch.setattr(continuation, "LEAST", 0.4)


@pytest.fixture(scope="module")
def data(tmp_path_factory, speech):
    """Three long recordings of two readers, a short one of a third, and noise."""
    folder = tmp_path_factory.mktemp("speech")
    for corpus, speakers in {"librispeech": ("r1", "r1", "r2", "r3"), "noise": (None,)}.items():
        (folder / corpus).mkdir()
        lines = []
        for i, speaker in enumerate(speakers):
            seconds = 1.0 if speaker == "r3" else 1.5
            soundfile.write(folder / corpus / f"{i}.flac", speech[i * 800 :][: round(seconds * 16000)], 16000)
            entry = {
                "id": f"{corpus}/{i}",
                "audio": f"{corpus}/{i}.flac",
                "split": "test",
                "seconds": seconds,
            }
            lines.append(json.dumps(entry | ({"speaker": speaker} if speaker else {})))
        (folder / corpus / "manifest.jsonl").write_text("\n".join(lines))
    return folder


@pytest.fixture
def run(mynah, data, speaking, tiny_folder, speaker_folder):
    models = ["--model", speaking.lm, "--codec", tiny_folder, "--speaker-head", speaker_folder]
    options = ["--data", data, *models]
    return lambda *more: mynah("evaluate", "continuation", *options, *more)


def test_a_prompt_of_each_reader_that_is_long_enough(data):
    def speakers(groups=("librispeech",), limit=None):
        return [r.speaker for r in continuation.prompts(str(data), "test", groups, limit)]

    assert sorted(speakers()) == ["r1", "r2"]
    assert len(speakers(limit=1)) == 1
    assert len(speakers(groups=(), limit=9)) == 3


def test_the_command_writes_table_and_json(run, tmp_path, tiny):
    out = tmp_path / "out.json"
    done = run("--seed", 2, "--json", out)
    assert done.returncode == 0, done.stderr
    report = json.loads(out.read_text())
    assert report["complete"] and (report["prompts"], report["model"]) == (2, "tiny-lm")
    assert report["codec"]["identity"] == tiny.identity
    assert 0.4 <= report["continued"]["seconds"] <= 0.8 == report["spoken"]["seconds"]
    for key in ("continued", "spoken"):
        assert 0 <= report[key]["silence"]["mean"] <= 1
        for name in ("dnsmos_ovrl", "likeness", "likeness_to_others"):
            assert report[key][name]["undefined"] == 0
        assert -1 <= report[key]["likeness"]["mean"] <= 1
    assert report["speaker_head"] == "tiny-speakers" and report["notes"] == []
    assert report["bits_per_frame"] == pytest.approx(sum(report["bits"]), abs=1e-3)
    assert report["kbps"] == pytest.approx(report["bits_per_frame"] * 50 / 1000, abs=1e-3)
    for words in ("2 prompts of 0.6 s, 0.8 s to go on", "continued", "as spoken", "bits per frame: "):
        assert words in done.stdout
    others = []
    for seed in (2, 3):
        assert run("--seed", seed, "--json", out, "--force").returncode == 0
        others.append(json.loads(out.read_text()))
    assert [other["continued"] == report["continued"] for other in others] == [True, False]
    assert [other["bits"] == report["bits"] for other in others] == [True, True]


def test_the_best_of_takes_is_measured(run, tiny_listeners, tmp_path):
    """Other speech than the first take, measured by who chose it: no less alike."""
    reports = []
    for takes in (1, 4):
        assert run("--takes", takes, "--json", tmp_path / f"{takes}.json").returncode == 0
        reports.append(json.loads((tmp_path / f"{takes}.json").read_text()))
    first, best = reports
    assert (first["takes"], best["takes"]) == (1, 4)
    assert first["continued"] != best["continued"] and first["spoken"] == best["spoken"]


def test_takes_that_nobody_can_choose_from_leave_no_report(run, tmp_path):
    refused = run("--takes", 2, "--json", tmp_path / "out.json")
    assert refused.returncode == 2 and "phones-16k reads features of" in refused.stderr
    assert not (tmp_path / "out.json").exists()


def test_bits_are_those_of_the_real_codes(run, data, speaking, tiny, tmp_path):
    """Of the model in full precision, told nothing, whatever it said itself."""
    assert run("--json", tmp_path / "out.json", "--seed", 5).returncode == 0
    report = json.loads((tmp_path / "out.json").read_text())
    network = checkpoint.load(speaking.lm).eval()
    recordings = continuation.prompts(str(data), "test", ("librispeech",), None)
    bits = []
    for recording in recordings:
        wav = torch.from_numpy(soundfile.read(recording.path, dtype="float32")[0][: 16000 * 14 // 10])
        codes = tiny.encode(wav[None, None], 16000, 1.5).codes[0, :, :70]
        batch = Collator(network.config)([continuation.whole(codes, 1000)])
        with torch.inference_mode():
            loss = Objective((1.0, 1.0, 1.0))(network, network.config, batch)
        assert loss.learned.tolist() == [70.0] * 3
        bits.append(loss.bits_per_frame)
    assert report["bits_per_frame"] == pytest.approx(np.mean(bits), rel=1e-4)


def test_an_untrained_model_needs_even_chances(speaking):
    """Any number of examples of any length; nothing is counted where a shorter one has ended."""
    network = checkpoint.load(speaking.lm).eval()
    for parameter in network.parameters():
        torch.nn.init.zeros_(parameter)
    examples = [continuation.whole(torch.randint(1024, (3, n)), 40) for n in (5, 60, 7, 30, 9, 20, 3, 2, 1)]
    bits = lm_scores.bits_per_code(network, examples)
    assert bits.shape == (3,)
    assert bits.tolist() == pytest.approx([math.log2(1025)] * 3, rel=1e-3)


def test_what_is_said_is_scored_after_the_prompt(tiny):
    generator = torch.Generator().manual_seed(0)
    codes, new = (torch.randint(1024, (3, n), generator=generator) for n in (60, 15))
    pair = lm_scores.beside(tiny, codes, 20, new)
    assert pair.begin == 20 * 320
    assert np.array_equal(pair.spoken, tiny.decode(codes[None])[0, 0].numpy())
    expected = tiny.decode(torch.cat([codes[:, :20], new], 1)[None])[0, 0].numpy()
    assert np.array_equal(pair.continued, expected)
    hushed = pair._replace(continued=np.where(np.arange(len(expected)) < pair.begin, expected, 0))
    assert hushed.silence == (pair.silence[0], 1.0)


def test_what_ended_early_is_counted():
    rows = [continuation.Scored(0.8, 0.1, 3.0, 0.2, 3.5), continuation.Scored(0.4, math.nan, 2.0, 0.4, 3.5)]
    report = continuation.summary(rows, with_dnsmos=False)
    assert report["ended"] == 1 and report["continued"]["seconds"] == pytest.approx(0.6)
    assert report["continued"]["silence"] == {"mean": 0.1, "std": 0.0, "undefined": 1}
    lines = list(continuation_lines(report | {"bits": [8.0, 7.5], "bits_per_frame": 15.5, "kbps": 0.775}))
    assert lines[1:] == [
        "2 prompts of 0.6 s, 0.8 s to go on, 1 ended before",
        "           seconds  silence %  DNSMOS  likeness  to others",
        "continued     0.60       10.0       -         -          -",
        "as spoken     0.80       30.0       -         -          -",
        "bits per frame: 15.50 (8.00, 7.50), 0.78 kbit/s",
    ]


def test_likeness_is_that_to_the_own_prompt_and_to_the_others():
    vectors = np.random.default_rng(0).normal(size=(3, 3, 6)).astype(np.float32)  # row, part, E
    vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)
    rows = [continuation.Scored(0.8, 0.1, 3.0, 0.2, 3.5, voices) for voices in vectors]
    report = continuation.summary(rows, with_dnsmos=False)
    prompts = vectors[:, 0]
    for part, key in ((1, "spoken"), (2, "continued")):
        own = [vectors[i, part] @ prompts[i] for i in range(3)]
        others = [vectors[i, part] @ prompts[j] for i in range(3) for j in range(3) if i != j]
        assert report[key]["likeness"]["mean"] == pytest.approx(np.mean(own), abs=1e-4)
        assert report[key]["likeness_to_others"]["mean"] == pytest.approx(np.mean(others), abs=1e-4)
    alone = continuation.summary(rows[:1], with_dnsmos=False)["spoken"]
    assert alone["likeness"]["undefined"] == 0
    assert alone["likeness_to_others"] == {"mean": None, "std": None, "undefined": 1}


def test_voices_are_of_prompt_continuation_and_what_was_said(tiny, speaking, speaker_folder):
    head = SpeakerHead.from_pretrained(tiny, speaker_folder)
    codes = torch.randint(1024, (3, 70), generator=torch.Generator().manual_seed(0))
    model = LanguageModel.from_pretrained(speaking.lm)
    row = continuation.scored(model, tiny, codes, Sampling(), 0, False, head)
    wav = tiny.decode(codes[None])
    for part, found in zip((wav[:, :, :9600], wav[:, :, 9600:]), row.voices, strict=False):
        np.testing.assert_allclose(head.embed(part)[0], found, atol=1e-4)
    assert row.voices.shape == (3, 8) and np.abs(row.voices[2] - row.voices[1]).max() > 1e-3
    assert continuation.scored(model, tiny, codes, Sampling(), 0, False, None).voices is None


def refused(result, *words):
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("mynah: ")
    for word in words:
        assert word in line


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--data", "nowhere"], ["nowhere: no such folder"]),
        (["--groups", "vctk"], ["no set vctk: test has librispeech-30, noise"]),
        (["--split", "val"], ["no val recordings"]),
        (["--limit", "0"], ["--limit"]),
        (["--temperature", "nan"], ["--temperature=nan"]),
        (["--model", "nosuch"], ["neither a shipped language model"]),
        (["--codec", "nosuch"], ["neither a shipped codec"]),
        (["--speaker-head", "nosuch"], ["neither a shipped speaker head"]),
        (["--json", "out.txt"], ["has to end in .json"]),
        (["--json", "-"], ["not to standard output"]),
    ],
)
def test_bad_options(run, more, words):
    refused(run(*more), *words)


def test_what_cannot_be_measured(run, data, tmp_path, monkeypatch, speaking, tiny, other_codec):
    refused(run("--codec", other_codec), "tiny-lm speaks codes of tiny")
    told = LanguageModel.from_pretrained(speaking.lm).config
    config = type(told)(**{**told.__dict__, "pattern": "coarse_first"})
    checkpoint.save(tmp_path / "lm", config, LMNetwork(config).state_dict())
    refused(run("--model", tmp_path / "lm"), "tiny-lm has to be told how long speech is")
    monkeypatch.setattr(continuation, "SECONDS", 9.0)
    refused(run(), "no test recordings of 9.6 s or more")
    assert len(read_manifest(data)) == 5
