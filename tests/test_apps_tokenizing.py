"""`mynah tokenize`: the codes that `Codec.encode` gives, in shards; stopped and killed it goes on."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from mynah.apps import tokenizing
from mynah.codec import Codec
from mynah.codec.heads import PhoneHead
from mynah.data import audio, shards
from mynah.data.shards import TokenCorpus
from mynah.data.text import SILENCE, phonemize
from mynah.tts.align import align


@pytest.fixture
def data(tmp_path, speech):
    """Two corpora with manifests: three recordings at several rates and channels, and one of noise."""
    folder = tmp_path / "speech"
    sounds = {
        "own/a": (
            speech[None, :20000],
            16000,
            "train",
            {"speaker": "s1", "language": "en", "text": "Hello."},
        ),
        "own/b": (np.stack([speech[:9000], 0 * speech[:9000]]), 16000, "val", {"speaker": "s2"}),
        "own/c": (audio.resample(speech[None, :8000], 16000, 22050), 22050, "test", {}),
        "noise/d": (speech[None, :8000], 16000, "train", {}),
    }
    for name, (wav, rate, split, more) in sounds.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        audio.save(folder / f"{name}.wav", wav, rate)
        line = {"id": name, "audio": f"{name}.wav", "split": split, "seconds": wav.shape[1] / rate} | more
        with open(folder / name.split("/")[0] / "manifest.jsonl", "a") as f:
            f.write(json.dumps(line) + "\n")
    return folder


def test_a_folder_of_speech(mynah, data, tmp_path, tiny, tiny_folder):
    out = tmp_path / "tokens"
    arguments = ("tokenize", data, out, "--codec", tiny_folder, "--bitrate", 1.5, "--exclude", "noise")
    result = mynah(*arguments)
    assert result.returncode == 0, result.stderr
    assert result.stdout == ""
    corpus = TokenCorpus(out, tiny.codes_hash)
    assert (corpus.info.codec, corpus.info.n_codebooks, corpus.info.codebook_size) == ("tiny", 3, 1024)
    labels = {label.id: label for label in corpus.labels}
    assert set(labels) == {"own/a", "own/b", "own/c"}
    assert labels["own/a"][:6] == ("own/a", "own", "train", "s1", "en", "Hello.")
    assert labels["own/b"][2:6] == ("val", "s2", None, None)
    for name, label in labels.items():
        sound = audio.load(data / f"{name}.wav")
        mono = torch.from_numpy(sound.wav.mean(0))[None, None]
        expected = tiny.encode(mono, sound.sample_rate, 1.5).codes[0]
        assert torch.equal(torch.from_numpy(corpus.codes(label)), expected), name

    before = {path.name: path.read_bytes() for path in out.iterdir()}
    result = mynah(*arguments)
    assert "3 of 3 recordings are there already" in result.stderr
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_texts_are_aligned(mynah, data, tmp_path, tiny, tiny_folder, head_folder):
    out = tmp_path / "tokens"
    arguments = ("tokenize", data, out, "--codec", tiny_folder, "--align", "--head", head_folder)
    result = mynah(*arguments)
    assert result.returncode == 0, result.stderr
    assert "1 of 1 recordings with English text are aligned" in result.stderr
    corpus = TokenCorpus(out)
    (label,) = (label for label in corpus.labels if label.text)
    found = corpus.alignments[label.id]  # has as many frames as the codes, or it could not be read
    said = phonemize("Hello.")
    assert [p for p in found.phonemes if p != SILENCE] == [*said.symbols]
    wav = audio.load(data / f"{label.id}.wav").wav
    alone = align(PhoneHead.from_pretrained(tiny, head_folder), torch.from_numpy(wav), said)
    timed = [*alone.timed(said.separators), (SILENCE, label.frames - alone.n_frames)]
    assert timed == list(zip(found.phonemes, found.durations, strict=True))

    line = json.loads((out / "alignments.jsonl").read_text())
    assert (line["corpus"], line["speaker"], line["split"]) == ("own", "s1", "train")
    (out / "alignments.jsonl").write_text(json.dumps(line | {"score": 0.5}) + "\n")
    assert mynah(*arguments).returncode == 0
    assert json.loads((out / "alignments.jsonl").read_text())["score"] == 0.5, "aligned again"


def test_views_begin_a_part_of_a_frame_later(mynah, data, tmp_path, tiny, tiny_folder, head_folder):
    out = tmp_path / "tokens"
    arguments = ("tokenize", data, out, "--codec", tiny_folder, "--exclude", "noise")
    assert mynah(*arguments, "--align", "--head", head_folder).returncode == 0
    assert "3 of 4 recordings are there already" in mynah(*arguments, "--views", 2).stderr
    assert "4 of 6 recordings are there already" in mynah(*arguments, "--views", 4).stderr
    corpus = TokenCorpus(out)
    labels = {label.id: label for label in corpus.labels}
    views = {"own/a@1/4": 80, "own/a@1/2": 160, "own/a@3/4": 240}  # a frame has 320 samples
    assert set(labels) == {"own/a", "own/b", "own/c", *views}, "what is not trained on has one view"
    sound = audio.load(data / "own/a.wav")
    for name, start in views.items():
        expected = tiny.encode(torch.from_numpy(sound.wav)[None, :, start:], 16000, 1.5).codes[0]
        assert torch.equal(torch.from_numpy(corpus.codes(labels[name])), expected)
        assert labels[name][1:6] == labels["own/a"][1:6]
        assert corpus.alignments[name].phonemes == corpus.alignments["own/a"].phonemes
        assert corpus.alignments[name].durations.sum() == labels[name].frames
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    assert len(before["alignments.jsonl"].splitlines()) == 1, "duration models learn from recordings"
    assert mynah(*arguments, "--views", 4, "--align", "--head", head_folder).returncode == 0
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_what_was_held_out_gets_no_views(mynah, data, tmp_path, tiny_folder):
    out, manifest = tmp_path / "tokens", data / "own" / "manifest.jsonl"
    arguments = ("tokenize", data, out, "--codec", tiny_folder, "--exclude", "noise")
    assert mynah(*arguments).returncode == 0
    manifest.write_text(manifest.read_text().replace('"val"', '"train"'))
    assert mynah(*arguments, "--views", 2).returncode == 0
    splits = {label.id: label.split for label in TokenCorpus(out).labels}
    assert splits == {"own/a": "train", "own/a@1/2": "train", "own/b": "val", "own/c": "test"}


def test_a_recording_named_like_a_view_is_refused(mynah, data, tmp_path, tiny_folder):
    manifest = data / "own" / "manifest.jsonl"
    manifest.write_text(manifest.read_text().replace('"id": "own/b"', '"id": "own/a@1/2"'))
    result = mynah("tokenize", data, tmp_path / "tokens", "--codec", tiny_folder)
    assert result.returncode == 2
    assert "own/a@1/2 is kept for views" in result.stderr


def test_what_does_not_say_its_text_is_not_aligned(
    mynah, data, tmp_path, tiny_folder, head_folder, monkeypatch
):
    monkeypatch.setattr("mynah.apps.aligning.DOUBTFUL", 0.1)
    arguments = (
        "tokenize",
        data,
        tmp_path / "tokens",
        "--codec",
        tiny_folder,
        "--align",
        "--head",
        head_folder,
    )
    result = mynah(*arguments)
    assert result.returncode == 0
    assert "not aligned, it does not seem to say its text (score below 0.1): 1" in result.stderr
    assert "0 of 1 recordings" in result.stderr


def test_recordings_in_another_language_are_aligned(
    mynah, data, tmp_path, tiny_folder, head_folder, monkeypatch
):
    pytest.importorskip("espeakng_loader", reason='needs eSpeak NG: pip install ".[espeak]"')
    monkeypatch.setattr("mynah.apps.aligning.DOUBTFUL", -100.0)  # the head has learned nothing
    manifest, out = data / "own" / "manifest.jsonl", tmp_path / "tokens"
    german = '"speaker": "s2", "language": "de", "text": "Ja."'
    manifest.write_text(manifest.read_text().replace('"speaker": "s2"', german))
    arguments = ("tokenize", data, out, "--codec", tiny_folder, "--align", "--head", head_folder)
    result = mynah(*arguments, "--language", "de")
    assert result.returncode == 0, result.stderr
    (line,) = map(json.loads, (out / "alignments.jsonl").read_text().splitlines())
    assert line["id"] == "own/b"
    assert [symbol for symbol in line["phonemes"] if symbol not in "~ ."] == ["j", "ˈɑ"]
    assert "1 of 1 recordings with text in 'de' are aligned" in result.stderr
    english = mynah(*arguments)
    assert "1 of 1 recordings with English text are aligned" in english.stderr
    assert len((out / "alignments.jsonl").read_text().splitlines()) == 2
    wrong = mynah(*arguments, "--language", "xx")
    assert (wrong.returncode, "language 'xx' is not known" in wrong.stderr) == (2, True)
    assert "no recordings with text in 'fr'" in mynah(*arguments, "--language", "fr").stderr


def test_what_cannot_be_read_is_listed_and_tried_again(mynah, data, tmp_path, tiny_folder):
    path, out = data / "own" / "c.wav", tmp_path / "tokens"
    good = path.read_bytes()
    path.write_bytes(b"RIFF and no more")
    result = mynah("tokenize", data, out, "--codec", tiny_folder)
    assert result.returncode == 0
    assert f"left out as not readable: 1, listed in {out / 'errors.jsonl'}" in result.stderr
    (line,) = map(json.loads, (out / "errors.jsonl").read_text().splitlines())
    assert line["id"] == "own/c"
    assert "c.wav" in line["error"]
    path.write_bytes(good)
    assert mynah("tokenize", data, out, "--codec", tiny_folder).returncode == 0
    assert not (out / "errors.jsonl").exists()
    assert {label.id for label in TokenCorpus(out).labels} == {"own/a", "own/b", "own/c", "noise/d"}


def test_stopped_it_keeps_what_is_finished(data, tmp_path, tiny_folder, monkeypatch):
    real, done = tokenizing.codes_of, []

    def press(codec: Codec, path, n_codebooks, start):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(path)
        return real(codec, path, n_codebooks, start)

    arguments = (data, tmp_path / "tokens", str(tiny_folder), 3.0, [], 1, None, lambda _: None)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(tokenizing, "codes_of", press)
        tokenizing.tokenize(*arguments)
    assert len(TokenCorpus(tmp_path / "tokens").labels) == 2
    tokenizing.tokenize(*arguments)
    tokenizing.tokenize(data, tmp_path / "whole", *arguments[2:])
    stopped, whole = TokenCorpus(tmp_path / "tokens"), TokenCorpus(tmp_path / "whole")
    assert [label.id for label in stopped.labels] == [label.id for label in whole.labels]
    for one, other in zip(stopped.labels, whole.labels):
        assert np.array_equal(stopped.codes(one), whole.codes(other))


def test_killed_at_a_random_moment_it_goes_on(data, tmp_path, tiny_folder, mynah, monkeypatch):
    """A process of its own, which writes a shard for each recording."""
    out, delay = tmp_path / "tokens", 0.1 * random.random()
    program = (
        "import sys; from mynah.data import shards; shards.SHARD_FRAMES = 1\n"
        "from mynah.apps.cli import run; run(sys.argv[1:])"
    )
    arguments = ["tokenize", str(data), str(out), "--codec", str(tiny_folder)]
    process = subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while not (out / "00000.npy").exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = sorted(path.name for path in out.glob("*.jsonl"))
    print(f"killed {delay:.3f} s after the first shard, {len(kept)} are whole")
    monkeypatch.setattr(shards, "SHARD_FRAMES", 1)
    assert mynah(*arguments).returncode == 0
    mynah("tokenize", data, tmp_path / "whole", "--codec", tiny_folder)
    one, other = TokenCorpus(out), TokenCorpus(tmp_path / "whole")
    assert one.labels == other.labels
    assert all(np.array_equal(one.codes(label), other.codes(label)) for label in one.labels)


def test_errors_are_one_line_and_exit_with_2(mynah, data, tmp_path, tiny_folder, other_codec):
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    assert mynah("tokenize", data, tmp_path / "tokens", "--codec", tiny_folder).returncode == 0
    for arguments, named in (
        ((tmp_path / "nowhere", tmp_path / "out", "--codec", tiny_folder), "nowhere: no such folder"),
        ((tmp_path / "empty", tmp_path / "out", "--codec", tiny_folder), "empty: no recordings"),
        ((data, tmp_path / "out", "--codec", "nobody"), "'nobody' is neither a shipped codec"),
        ((data, tmp_path / "out", "--codec", tiny_folder, "--bitrate", 4), "bitrate 4 kbit/s is not offered"),
        ((data, tmp_path / "file", "--codec", tiny_folder), "file: File exists"),
        ((data, tmp_path / "tokens", "--codec", other_codec), "holds 3 codes a frame of tiny"),
        ((data, tmp_path / "tokens", "--codec", tiny_folder, "--bitrate", 6), "holds 3 codes a frame"),
    ):
        result = mynah("tokenize", *arguments)
        assert result.returncode == 2
        assert named in result.stderr
        assert len(result.stderr.strip().splitlines()) == 1
        assert not (tmp_path / "out").exists()
