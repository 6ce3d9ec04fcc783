"""The evaluation: which clips, what is scored, how it is summed up, and how peers are called and aligned."""

import json
import math
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from mynah.apps import evaluate_codec, evaluate_scores, evaluate_sets, peer_codecs
from mynah.apps.evaluate_coders import Coded, MynahCoder, TokenizerCoder, share_kept
from mynah.apps.evaluate_report import set_lines
from mynah.data import metrics
from mynah.data.errors import MynahError
from mynah.data.manifest import Recording, read_manifest

FAST = ("pesq_wb", "estoi", "si_sdr", "mel_distance")
opus = pytest.mark.skipif(shutil.which("opusenc") is None, reason="opus-tools is not installed")
codec2 = pytest.mark.skipif(shutil.which("c2enc") is None, reason="codec2 is not installed")


def recording(corpus: str, number: int, speaker: str | None, split: str = "test", **extra) -> Recording:
    return Recording(f"{corpus}/{number:03}", Path("x.wav"), split, 1.0, speaker, extra=extra)


@pytest.fixture(scope="module")
def recordings() -> list[Recording]:
    return [
        *(recording("librispeech", n, f"ls_{n}") for n in range(1, 6)),
        *(recording("librispeech", 100 + n, "ls_27") for n in range(4)),
        recording("librispeech", 200, "ls_19", "train"),
        *(recording("so", n, f"so_{n % 3}", age=("7", "17", "18")[n % 3]) for n in range(9)),
        *(recording("words", n, None) for n in range(20)),
    ]


def test_sets_keep_chapters_and_ages_apart(recordings):
    sets = {s.name: s for s in evaluate_sets.clip_sets(recordings, "test")}
    sizes = {name: len(s.recordings) for name, s in sets.items()}
    assert sizes == {
        "librispeech-30": 5, "librispeech-rest": 4, "so-children": 6, "so-adults": 3, "words": 20
    }  # fmt: skip
    assert {r.speaker for r in sets["librispeech-30"].recordings} == {f"ls_{n}" for n in range(1, 6)}
    assert sets["librispeech-30"].speakers == "native" and sets["words"].speakers == "not known"
    assert [s.name for s in evaluate_sets.clip_sets(recordings, "train")] == ["librispeech-rest"]


def test_a_name_is_a_set_or_a_corpus(recordings):
    def names(*chosen):
        return [s.name for s in evaluate_sets.clip_sets(recordings, "test", chosen)]

    assert names("so") == ["so-children", "so-adults"]
    assert names("librispeech-30", "words") == ["librispeech-30", "words"]
    with pytest.raises(MynahError, match="no set nothing: test has librispeech-30, librispeech-rest, so-ch"):
        names("words", "nothing")
    with pytest.raises(MynahError, match="no val recordings"):
        evaluate_sets.clip_sets(recordings, "val")


def test_few_clips_are_of_many_speakers_whatever_the_order(recordings):
    ours = [r for r in recordings if r.id.startswith("so")]
    chosen = evaluate_sets.choose(ours, 4)
    assert len({r.speaker for r in chosen[:3]}) == 3 and len(chosen) == 4
    assert chosen == evaluate_sets.choose(ours[::-1], 4)
    assert evaluate_sets.choose(ours, 9) == ours
    words = [r for r in recordings if r.id.startswith("words")]
    assert {r.id for r in evaluate_sets.choose(words, 5)} != {r.id for r in words[:5]}


@pytest.mark.data
def test_the_thirty_readers():
    """The set of the published table, in the shared recordings."""
    folder = os.environ.get("MYNAH_DATA", Path(__file__).parents[2] / "shared" / "data")
    (found,) = evaluate_sets.clip_sets(read_manifest(folder), "test", ["librispeech-30"])
    assert len({r.speaker for r in found.recordings}) == len(found.recordings) == 30


def test_share_kept():
    codes = torch.tensor([[[1, 2, 3, 4], [5, 5, 5, 5]]])
    again = torch.tensor([[[1, 2, 3, 0], [5, 0, 0, 0]]])
    assert share_kept(codes, again) == [0.75, 0.25]


def test_undefined_scores_are_counted():
    assert evaluate_scores.spread([1.0, math.nan, 3.0, math.inf]) == {"mean": 2.0, "std": 1.0, "undefined": 2}
    assert evaluate_scores.spread([math.nan]) == {"mean": None, "std": None, "undefined": 1}


def test_bitrates_and_speeds_are_over_all_seconds_together():
    rows = [
        evaluate_codec.Measured(Coded(np.zeros(0), 200, 100, 0.1, 0.2, [1.0, 0.5, 0.5]), 1.0, {"estoi": 0.5}),
        evaluate_codec.Measured(
            Coded(np.zeros(0), 1000, 900, 0.1, 0.4, [0.0, 0.5, 0.1]), 3.0, {"estoi": math.nan}
        ),
    ]
    summary = evaluate_codec.summarise(rows, [1, 2, 12])
    assert summary["kbps_file"] == pytest.approx(8 * 1200 / 4 / 1000)
    assert summary["kbps_payload"] == pytest.approx(8 * 1000 / 4 / 1000)
    assert summary["encode_x_real_time"] == pytest.approx(20)
    assert summary["decode_x_real_time"] == pytest.approx(6.67)
    assert summary["tokens_kept"]["groups"] == {"1-1": 0.5, "2-2": 0.5, "3-3": 0.3}
    assert summary["tokens_kept"]["all"] == pytest.approx(1.3 / 3, abs=1e-4)
    entry = {"clips": 2, "clips_available": 9, "speakers": None, "speaker_kind": "mixed", "seconds": 4.0}
    lines = list(set_lines("a-set", entry | {"coders": {"it": summary}}))
    assert lines[1] == "a-set: 2 of 9 clips, 4 s, speakers not given, mixed"
    assert lines[3].split() == [
        "it",
        "2.40",
        "2.00",
        "-",
        "0.500",
        "-",
        "-",
        "-",
        "50/50/30",
        "20",
        "7",
        "estoi",
        "1",
    ]


class Exact:
    """A tokenizer whose codes are the samples themselves, in 8 bits at 8 kHz: it keeps every token."""

    name, sample_rate, frame_rate, codebook_size, n_codebooks = "exact", 8000, 8000.0, 256, 1
    bitrates = (64.0, 128.0)

    def encode(self, wav, sample_rate, bitrate):
        assert (sample_rate, bitrate) == (16000, 64.0)
        return ((wav[..., ::2] * 128).round() + 128).long().clamp(0, 255)

    def decode(self, codes):
        return (codes - 128).float() / 128


def test_a_tokenizer_at_the_nearest_bitrate_it_offers():
    coder = TokenizerCoder(Exact(), 3.0)
    assert coder.name == "exact 64"
    wav = 0.5 * np.sin(2 * np.pi * 440 * np.arange(8000) / 16000).astype(np.float32)
    coded = coder(wav)
    assert coded.file_bytes == coded.payload_bytes == 4000
    assert len(coded.wav) == 8000 and metrics.si_sdr(wav[400:-400], coded.wav[400:-400]) > 30
    assert coded.kept[0] > 0.95  # samples that resampling moved over a rounding edge


def test_our_own_bytes_are_those_of_the_command_line(tiny, tiny_folder, speech, mynah, tmp_path):
    pcm = np.round(speech * 32767) / 32768
    soundfile.write(tmp_path / "a.wav", pcm, 16000, subtype="PCM_16")
    wav, _ = soundfile.read(tmp_path / "a.wav", dtype="float32")
    coded = MynahCoder(tiny, 3.0)(wav)
    assert mynah("encode", tmp_path / "a.wav", "--codec", tiny_folder).returncode == 0
    assert coded.file_bytes == (tmp_path / "a.mynah").stat().st_size
    nominal = 3000 / 8 * (len(wav) / 16000 + 0.02)  # uniform tables: ten bits a code
    assert nominal - 30 < coded.payload_bytes < nominal + 30
    assert 0 < coded.file_bytes - coded.payload_bytes < 150
    expected = tiny.decode(tiny.encode(torch.from_numpy(wav)[None, None], 16000, 3.0))[0, 0].numpy()
    assert np.array_equal(coded.wav, expected)
    assert len(coded.kept) == 6 and all(0 <= share <= 1 for share in coded.kept)


def ogg_page(segments: list[int]) -> bytes:
    return b"OggS" + bytes(22) + bytes([len(segments), *segments]) + bytes(sum(segments))


def test_ogg_payload_is_the_packets_after_the_two_headers():
    # OpusHead; OpusTags over two pages; packets of 100, 265 and 255 bytes, the last one over two pages
    pages = [[19], [255], [40], [100, 255, 10, 255], [0]]
    data = b"".join(map(ogg_page, pages))
    assert peer_codecs.ogg_payload(data) == 100 + 265 + 255
    with pytest.raises(MynahError, match="not an Ogg page at byte 47"):
        peer_codecs.ogg_payload(ogg_page([19]) + b"xxxx")


def lag(ref: np.ndarray, deg: np.ndarray, reach: int) -> int:
    """By how many samples `deg` is later than `ref`."""
    middle = ref[reach:-reach]
    scores = [middle @ deg[reach + shift : len(deg) - reach + shift] for shift in range(-reach, reach)]
    return int(np.argmax(scores)) - reach


@opus
@pytest.mark.parametrize("bitrate", peer_codecs.OPUS_BITRATES)
def test_opus_is_aligned_and_its_bits_are_counted(bitrate, speech):
    coded = peer_codecs.Opus(bitrate)(speech)
    assert coded.wav.shape == speech.shape and abs(lag(speech, coded.wav, 200)) <= 2
    seconds = len(speech) / 16000
    assert 0.6 * bitrate < coded.payload_bytes * 8e-3 / seconds < 1.4 * bitrate
    assert (
        60 < coded.file_bytes - coded.payload_bytes < 150 + 90 * (1 + seconds)
    )  # a byte a packet, and pages


def envelope(wav: np.ndarray) -> np.ndarray:
    """Log power in windows of 20 ms, one every ms, without its mean."""
    power = np.log10(np.convolve(wav**2, np.hanning(320), "same")[::16] + 1e-6)
    return power - power.mean()


@codec2
@pytest.mark.parametrize("mode", peer_codecs.CODEC2_MODES)
def test_codec2_is_aligned_and_has_its_rate(mode, speech):
    coded = peer_codecs.Codec2(mode)(speech)
    assert coded.wav.shape == speech.shape
    assert abs(lag(envelope(speech), envelope(coded.wav), 60)) <= 10
    nominal = int(mode) / 1000
    assert nominal <= coded.file_bytes * 8e-3 * 16000 / len(speech) < 1.12 * nominal  # whole bytes a frame


def test_a_program_that_fails_is_quoted(tmp_path):
    with pytest.raises(MynahError, match=r"cat failed \(1\): .*No such file"):
        peer_codecs.run(["cat", str(tmp_path / "nothing")])


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Two corpora: two readers' clips, and one of digital silence."""
    from mynah.data.sample import speech_like

    folder = tmp_path_factory.mktemp("speech")
    wav = speech_like().wav[0][:24000]
    for corpus, sounds in {"librispeech": [wav, wav[::-1]], "noise": [np.zeros(16000)]}.items():
        (folder / corpus).mkdir()
        lines = []
        for i, sound in enumerate(sounds):
            soundfile.write(folder / corpus / f"{i}.flac", sound, 16000)
            entry = {
                "id": f"{corpus}/{i}",
                "audio": f"{corpus}/{i}.flac",
                "split": "test",
                "speaker": f"s{i}",
            }
            lines.append(json.dumps(entry | {"seconds": len(sound) / 16000}))
        (folder / corpus / "manifest.jsonl").write_text("\n".join(lines))
    return folder


def test_the_command_writes_table_and_json(data, tiny, tiny_folder, mynah, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")  # no opusenc
    out = tmp_path / "out.json"
    options = ["--data", data, "--codec", tiny_folder, "--json", out, "--scores", ",".join(FAST)]
    done = mynah("evaluate", "codec", *options, "--peers", "opus,encodec:./nothing", "--seconds", 1)
    assert done.returncode == 0, done.stderr
    report = json.loads(out.read_text())
    assert report["complete"] and list(report["sets"]) == ["librispeech-30", "noise"]
    assert report["codec"]["identity"] == tiny.identity
    notes = "\n".join(report["notes"])
    assert (
        "opus is left out: opusenc is not installed" in notes and "encodec:./nothing: no such folder" in notes
    )
    assert "no entropy tables" in notes and all(note in done.stdout for note in report["notes"])
    speech = report["sets"]["librispeech-30"]
    assert (speech["clips"], speech["seconds"], speech["speakers"]) == (2, 2.0, 2)
    assert list(speech["coders"]) == ["tiny 1.5", "tiny 3", "tiny 6"]
    scores = speech["coders"]["tiny 3"]["scores"]
    assert list(scores) == list(FAST) and all(score["undefined"] == 0 for score in scores.values())
    assert speech["coders"]["tiny 6"]["kbps_file"] > 6
    silence = report["sets"]["noise"]["coders"]["tiny 3"]["scores"]
    assert silence["pesq_wb"] == {"mean": None, "std": None, "undefined": 1}
    assert "pesq_wb 1, estoi 1, si_sdr 1" in done.stdout
    again = mynah("evaluate", "codec", *options)
    assert again.returncode == 2 and "--force replaces it" in again.stderr


def test_scores_are_those_of_the_metrics(data, tiny, tiny_folder):
    report = evaluate_codec.evaluate(
        str(data), str(tiny_folder), groups=["librispeech"], peers=(), scored=("estoi",), tell=lambda _: None
    )
    found = report["sets"]["librispeech-30"]["coders"]["tiny 6"]["scores"]["estoi"]["mean"]
    expected = []
    for i in range(2):
        wav, _ = soundfile.read(data / "librispeech" / f"{i}.flac", dtype="float32")
        out = tiny.decode(tiny.encode(torch.from_numpy(wav)[None, None], 16000, 6.0))[0, 0].numpy()
        expected.append(metrics.estoi(wav, out))
    assert found == pytest.approx(np.mean(expected), abs=1e-4)


def test_dnsmos_needs_no_reference(data, tiny, tiny_folder, monkeypatch):
    """The original has a score too. (A stand-in: the real one is tested with the metrics, and slow.)"""
    monkeypatch.setattr(metrics, "dnsmos", lambda wav: metrics.DnsMos(*[float(np.abs(wav).sum())] * 4))
    report = evaluate_codec.evaluate(
        str(data), str(tiny_folder), groups=["librispeech"], peers=(), scored=("dnsmos",), tell=lambda _: None
    )
    coders = report["sets"]["librispeech-30"]["coders"]
    assert list(coders) == ["original", "tiny 1.5", "tiny 3", "tiny 6"]
    parts = {f"dnsmos_{part}" for part in ("ovrl", "sig", "bak", "p808")}
    assert all(set(summary["scores"]) == parts for summary in coders.values())
    sums = []
    for i in range(2):
        wav = torch.from_numpy(soundfile.read(data / "librispeech" / f"{i}.flac", dtype="float32")[0])
        out = tiny.decode(tiny.encode(wav[None, None], 16000, 3.0))
        sums.append([float(wav.abs().sum()), float(out.abs().sum())])
    found = [coders[name]["scores"]["dnsmos_ovrl"]["mean"] for name in ("original", "tiny 3")]
    assert found == pytest.approx(np.mean(sums, axis=0), rel=1e-4)


def test_without_its_package_a_score_is_left_out_with_a_note(monkeypatch):
    def missing(wav):
        raise MynahError("DNSMOS needs the package speechmos")

    monkeypatch.setattr(metrics, "dnsmos", missing)
    notes: list[str] = []
    assert evaluate_scores.usable(["estoi", "dnsmos"], notes.append) == ["estoi"]
    assert notes == ["dnsmos is left out: DNSMOS needs the package speechmos"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--scores", "pesq"], "no score pesq: choose from pesq_wb"),
        (["--groups", "vctk"], "no set vctk: test has librispeech-30, noise"),
        (["--seconds", "-1"], "clips of -1 s"),
        (["--codec", "nothing"], "neither a shipped codec"),
        (["--json", "out.txt"], "has to end in .json"),
    ],
)
def test_wrong_options_give_one_line(options, message, data, tiny_folder, mynah):
    done = mynah("evaluate", "codec", "--data", data, "--codec", tiny_folder, *options)
    assert done.returncode == 2 and message in done.stderr and done.stderr.count("\n") == 1
