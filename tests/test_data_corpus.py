"""Packing a corpus: what is packed is read, whoever packs it at the same time, and failures leave nothing."""

import json
import os

import numpy as np
import pytest

from mynah.data.corpus import open_packed, pack
from mynah.data.errors import AudioError, MynahError
from mynah.data.replacing import replace_text

SOUNDS = [np.linspace(-0.5, 0.5, n) for n in (100, 250, 30)]


def recordings(sounds=SOUNDS):
    return [(f"r{i}", "group", "speaker", lambda wav=wav: wav) for i, wav in enumerate(sounds)]


def test_what_is_packed_is_read(tmp_path):
    for corpus in (pack(recordings(), tmp_path / "a.pcm"), open_packed(tmp_path / "a.pcm")):
        assert [entry.id for entry in corpus.entries] == ["r0", "r1", "r2"]
        for entry, wav in zip(corpus.entries, SOUNDS, strict=True):
            assert np.abs(corpus.wav(entry) - wav).max() <= 2**-16 + 1e-9
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.pcm", "a.pcm.json"]


def test_two_that_pack_the_same(tmp_path):
    """One begins and ends while the other is at work: neither touches what the other writes."""
    out, other = tmp_path / "a.pcm", []

    def meanwhile(items):
        for number, item in enumerate(items):
            if number == 2:
                other.append(pack(recordings(), out))
            yield item

    corpus = pack(recordings(), out, meanwhile)
    assert corpus.entries == other[0].entries == open_packed(out).entries
    assert np.array_equal(corpus.samples, other[0].samples)
    assert np.array_equal(corpus.samples, open_packed(out).samples)


@pytest.mark.parametrize("error", [AudioError("a.wav: damaged"), KeyboardInterrupt()])
def test_a_packing_that_fails_leaves_nothing(tmp_path, error):
    def fail():
        raise error

    broken = [*recordings(), ("r3", "group", "speaker", fail)]
    with pytest.raises(type(error)):
        pack(broken, tmp_path / "a.pcm")
    assert not list(tmp_path.iterdir())


def test_nothing_that_can_be_read(tmp_path):
    def fail():
        raise AudioError("a.wav: damaged")

    left_out = []
    with pytest.raises(MynahError, match=r"a\.pcm: none of the 1 recordings could be read"):
        pack([("r", "g", "s", fail)], tmp_path / "a.pcm", unreadable=lambda id_, _: left_out.append(id_))
    assert left_out == ["r"] and not list(tmp_path.iterdir())


def test_text_that_cannot_be_written_leaves_nothing(tmp_path, monkeypatch):
    replace_text(tmp_path / "a.json", "old")
    monkeypatch.setattr("os.replace", lambda *_: os.stat(tmp_path / "gone"))
    with pytest.raises(FileNotFoundError):
        replace_text(tmp_path / "a.json", "new")
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    assert (tmp_path / "a.json").read_text() == "old"


def test_names_that_are_not_utf_8_come_back(tmp_path):
    name = os.fsdecode(b"gr\xfc\xdf \\ \xc3\xbc.wav")
    replace_text(tmp_path / "a.json", json.dumps([name], ensure_ascii=False))
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == [name]
