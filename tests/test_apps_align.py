"""`mynah align`: what it writes, and one clear line for everything that is wrong."""

import io
import json
import sys

import numpy as np
import pytest
import soundfile

from mynah.apps import align as work
from mynah.data import audio
from mynah.data.text import phonemize

TEXT = "A cat sat, and another sat."


@pytest.fixture
def talk(tmp_path):
    """Stereo noise of 2.5 s at 44.1 kHz in a folder of its own."""
    wav = np.random.default_rng(0).normal(0, 0.1, (2, 110_250)).astype(np.float32)
    audio.save(tmp_path / "talk.wav", wav, 44_100)
    return tmp_path / "talk.wav"


@pytest.fixture
def align(mynah, tiny_folder, head_folder):
    def run(source, text=TEXT, *options):
        return mynah("align", source, text, *options, "--codec", tiny_folder, "--head", head_folder)

    return run


def check_refused(result, folder, *words):
    assert result.returncode == 2, result.stderr
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("mynah: ")
    for word in words:
        assert word in line
    left = [path.name for path in folder.iterdir() if path.suffix in (".TextGrid", ".json", ".part")]
    assert left == []


def test_both_files_lie_beside_the_sound(align, talk):
    assert align(talk).returncode == 0
    document = json.loads(talk.with_suffix(".json").read_text())
    assert [w["text"] for w in document["words"] if w["text"]] == "a cat sat and another sat".split() or (
        [w["text"].lower() for w in document["words"] if w["text"]] == "a cat sat and another sat".split()
    )
    assert document["words"][-1]["end"] == document["phones"][-1]["end"] == document["seconds"] == 2.5
    grid = talk.with_suffix(".TextGrid").read_text()
    assert 'name = "words"' in grid
    assert 'name = "phones"' in grid
    assert sorted(path.name for path in talk.parent.iterdir()) == ["talk.TextGrid", "talk.json", "talk.wav"]


def test_the_name_says_what_is_written(align, talk):
    out = talk.with_name("other.json")
    assert align(talk, TEXT, out).returncode == 0
    assert json.loads(out.read_text())["phones"]
    assert not talk.with_suffix(".TextGrid").exists()


def test_text_from_a_file_and_json_to_standard_output(align, talk):
    text = talk.with_name("words.txt")
    text.write_text("﻿" + TEXT, encoding="utf-8")
    result = align(talk, text, "-")
    assert result.returncode == 0
    assert result.stdout == align(talk, TEXT, "-").stdout
    assert json.loads(result.stdout)["text"] == TEXT


def test_another_language(align, talk):
    pytest.importorskip("espeakng_loader", reason='needs eSpeak NG: pip install ".[espeak]"')
    result = align(talk, "Schöne Grüße, ja.", "-", "--language", "de")
    assert result.returncode == 0, result.stderr
    document = json.loads(result.stdout)
    assert [word["text"] for word in document["words"] if word["text"]] == ["Schöne", "Grüße", "ja"]
    check_refused(align(talk, TEXT, "--language", "xx"), talk.parent, "language 'xx' is not known")


def test_a_picture(align, talk, monkeypatch):
    drawn = []
    real = work.plot_segments
    monkeypatch.setattr(work, "plot_segments", lambda *given: (drawn.append(given), real(*given)))
    png = talk.with_name("phones.png")
    assert align(talk, TEXT, "-", "--plot", png).returncode == 0
    assert png.read_bytes().startswith(b"\x89PNG")
    ((wav, sample_rate, segments, _),) = drawn
    assert wav.shape == (1, 40000) and sample_rate == 16000
    assert [label for label, *_ in segments if label] == [
        sound for word in phonemize(TEXT).words for sound in word.phonemes
    ]
    assert (segments[0][1], segments[-1][2]) == (0, 2.5)
    check_refused(align(talk, TEXT, "-", "--plot", png), talk.parent, "phones.png", "--force")
    check_refused(align(talk, TEXT, "-", "--plot", talk), talk.parent, "talk.wav", ".png")


def test_nothing_is_overwritten_without_force(align, talk):
    talk.with_suffix(".json").write_text("mine")
    result = align(talk)
    assert result.returncode == 2
    assert "exists already, --force replaces it" in result.stderr
    assert talk.with_suffix(".json").read_text() == "mine"
    assert not talk.with_suffix(".TextGrid").exists()
    assert align(talk, TEXT, "--force").returncode == 0
    assert json.loads(talk.with_suffix(".json").read_text())["phones"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["nothing"]),
        ("... !", ["nothing"]),
        ("missing.txt", ["missing.txt: no such file"]),
        ("word " * 30_000, ["longer than 100000 characters"]),
        ("word " * 60, ["talk.wav: 2.5 s of sound are too short for 180 phonemes"]),
        ("-", ["standard input: nothing is piped in"]),
    ],
)
def test_a_bad_text_is_refused(align, talk, monkeypatch, text, words):
    monkeypatch.setattr(sys, "stdin", None)
    check_refused(align(talk, text), talk.parent, *words)


def test_a_bad_text_file_is_refused(align, talk):
    text = talk.with_name("words.txt")
    text.write_bytes(b"caf\xe9")
    check_refused(align(talk, text), talk.parent, "words.txt: not UTF-8 text (byte 3)")
    check_refused(align(talk, talk.parent), talk.parent, "is a folder")


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        (np.r_[np.zeros(900), np.nan, np.zeros(900)], ["talk.wav"]),
        (np.zeros(16_000), ["talk.wav: is silent"]),
        (np.zeros(0), ["talk.wav"]),
    ],
)
def test_bad_sound_is_refused(align, talk, samples, words):
    soundfile.write(talk, samples, 16_000, subtype="FLOAT")
    check_refused(align(talk), talk.parent, *words)


def test_a_long_sound_is_refused(align, talk, monkeypatch):
    monkeypatch.setattr("mynah.apps.align.MAX_SECONDS", 1.0)
    check_refused(align(talk), talk.parent, "talk.wav: longer than 1 s")


def test_a_missing_sound_a_wrong_name_and_two_pipes_are_refused(align, talk):
    check_refused(align(talk.with_name("none.wav")), talk.parent, "none.wav")
    check_refused(align(talk, TEXT, talk.with_name("a.srt")), talk.parent, "a.srt: the name has to end in")
    check_refused(align(talk, TEXT, talk.parent / "no" / "a.json"), talk.parent, "there is no folder")
    check_refused(align("-", "-"), talk.parent, "the sound or the text, not both")


def test_a_foreign_codec_and_an_unknown_head_are_refused(mynah, talk, head_folder, tiny_folder, other_codec):
    result = mynah("align", talk, TEXT, "--codec", other_codec, "--head", head_folder)
    check_refused(result, talk.parent, "phones-16k reads features of tiny")
    result = mynah("align", talk, TEXT, "--codec", tiny_folder, "--head", "nobody")
    check_refused(result, talk.parent, "'nobody' is neither a shipped phone head")


def test_sound_from_a_pipe_gives_json(align, talk, monkeypatch):
    class Pipe:
        buffer = io.BytesIO(talk.read_bytes())
        isatty = staticmethod(lambda: False)

    expected = align(talk, TEXT, "-").stdout
    monkeypatch.setattr(sys, "stdin", Pipe())
    result = align("-")
    assert result.returncode == 0, result.stderr
    assert result.stdout == expected
