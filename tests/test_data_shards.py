"""Token shards: what is written is read, damage and foreign codes are named, a killed writer loses little."""

import dataclasses
import json
import math
import subprocess
import sys

import numpy as np
import pytest

from mynah.data import shards
from mynah.data.shards import Label, ShardError, ShardWriter, TokenCorpus, TokenInfo, marginal_bits

INFO = TokenInfo("tiny", "ab" * 32, 50.0, 3, 16)


def label(id_: str, split: str = "train") -> Label:
    return Label(id_, "own", split, "somebody", "en", "Grüß dich", 0, 0, 0)


def codes(frames: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(16, size=(3, frames))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Three recordings in two shards."""
    monkeypatch.setattr(shards, "SHARD_FRAMES", 10)
    with ShardWriter(tmp_path / "tokens", INFO) as writer:
        for i, frames in enumerate((7, 5, 4)):
            writer.add(label(f"r{i}"), codes(frames, i))
    return tmp_path / "tokens"


def test_what_is_written_is_read(folder):
    corpus = TokenCorpus(folder, INFO.codec_hash)
    assert corpus.info == INFO
    places = [(found.id, found.frames, found.shard, found.offset) for found in corpus.labels]
    assert places == [("r0", 7, 0, 0), ("r1", 5, 0, 7), ("r2", 4, 1, 0)]
    assert corpus.labels[1]._replace(frames=0, offset=0) == label("r1")
    for i, found in enumerate(corpus.labels):
        assert np.array_equal(corpus.codes(found), codes(found.frames, i))
    assert np.array_equal(corpus.codes(corpus.labels[1], 1, 4), codes(5, 1)[:, 1:4])
    assert corpus.codes(corpus.labels[0]).dtype == np.int64
    assert np.load(folder / "00000.npy").dtype == np.int16


def test_a_writer_goes_on_and_keeps_what_was_added_when_it_fails(folder):
    with pytest.raises(KeyboardInterrupt), ShardWriter(folder, INFO) as writer:
        assert set(writer.finished) == {"r0", "r1", "r2"}
        writer.add(label("r3"), codes(2, 3))
        raise KeyboardInterrupt
    corpus = TokenCorpus(folder)
    assert [found.id for found in corpus.labels] == ["r0", "r1", "r2", "r3"]
    assert np.array_equal(corpus.codes(corpus.labels[3]), codes(2, 3))


@pytest.mark.parametrize("moment", range(1, 5))
def test_killed_while_writing_a_shard(folder, monkeypatch, moment):
    """Before or after either renaming: all earlier recordings are whole, and a new writer goes on."""
    calls = 0
    replace = shards.os.replace

    def killed(*names):
        nonlocal calls
        calls += 1
        if calls == (moment + 1) // 2:
            if moment % 2 == 0:
                replace(*names)
            raise MemoryError
        replace(*names)

    with monkeypatch.context() as patch:
        writer = ShardWriter(folder, INFO)
        writer.add(label("r3"), codes(2, 3))
        patch.setattr(shards.os, "replace", killed)
        with pytest.raises(MemoryError):
            writer.flush()
        writer.close()  # as the system does for a process that is killed
    reached = {found.id for found in TokenCorpus(folder).labels}
    assert reached == {"r0", "r1", "r2"} | ({"r3"} if moment == 4 else set())
    with ShardWriter(folder, INFO) as writer:
        for id_, n in (("r3", 2), ("r4", 6)):
            if id_ not in writer.finished:
                writer.add(label(id_), codes(n, n))
    corpus = TokenCorpus(folder)
    assert [found.id for found in corpus.labels] == ["r0", "r1", "r2", "r3", "r4"]
    assert np.array_equal(corpus.codes(corpus.labels[-1]), codes(6, 6))


def test_one_writer_at_a_time(folder):
    with ShardWriter(folder, INFO) as writer:
        with pytest.raises(ShardError, match="tokens: another program is writing tokens into it"):
            ShardWriter(folder, INFO)
        writer.add(label("r3"), codes(2, 3))
    with pytest.raises(ShardError, match="name another folder"):
        ShardWriter(folder, dataclasses.replace(INFO, n_codebooks=2))
    with pytest.raises(RuntimeError), ShardWriter(folder, INFO) as writer:
        assert list(writer.finished) == ["r0", "r1", "r2", "r3"]
        raise RuntimeError
    with ShardWriter(folder, INFO):
        assert not list(folder.glob("*.part"))


def test_one_writer_at_a_time_of_several_processes(folder):
    script = (
        "import pathlib, sys; from mynah.data.shards import ShardError, ShardWriter, TokenInfo\n"
        "try: ShardWriter(pathlib.Path(sys.argv[1]), TokenInfo('tiny', 'ab' * 32, 50.0, 3, 16)).close()\n"
        "except ShardError as error: print(error)"
    )
    command = [sys.executable, "-c", script, str(folder)]
    with ShardWriter(folder, INFO):
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said == f"{folder}: another program is writing tokens into it\n"
    assert not subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_codes_of_another_codec_are_refused(folder):
    with pytest.raises(ShardError, match="of tiny abababab, not those of codec cdcdcdcd"):
        TokenCorpus(folder, "cd" * 32)
    for change in ({"codec_hash": "cd" * 32}, {"n_codebooks": 2}):
        with pytest.raises(ShardError, match=r"of tiny abababab, not .*name another folder"):
            ShardWriter(folder, dataclasses.replace(INFO, **change))


def damage(folder, name: str, how) -> None:
    path = folder / name
    path.write_bytes(how(path.read_bytes()))


@pytest.mark.parametrize(
    ("name", "how", "named"),
    [
        ("00000.npy", lambda data: data[:-5], r"00000\.npy: damaged"),
        ("00000.npy", lambda data: data[:50], r"00000\.npy: damaged"),
        ("00000.npy", lambda data: b"", r"00000\.npy: damaged"),
        ("00000.npy", lambda data: b"\x80" + data, r"00000\.npy: damaged"),
        ("00000.npy", lambda data: data.replace(b"<i2", b"<f2"), r"damaged, float16 \[12, 3\]"),
        ("00000.jsonl", lambda data: data[:-5], r"00000\.jsonl, line 2: not JSON"),
        ("00000.jsonl", lambda data: b"[" * 100_000, r"00000\.jsonl, line 1: not JSON \(nested too deeply\)"),
        ("tokens.json", lambda data: b"[" * 100_000, r"tokens\.json: not readable \(nested too deeply\)"),
        ("00000.jsonl", lambda data: b"[]\n", r"00000\.jsonl, line 1: not a JSON object"),
        ("00000.jsonl", lambda data: b"{}\n", r"00000\.jsonl, line 1: the keys id, corpus"),
        ("00001.jsonl", lambda data: data.replace(b": 4", b": 5"), "r2 should be frames 0 to 5 of shard 1,"),
        ("00001.jsonl", lambda data: data.replace(b'"shard": 1', b'"shard": 7'), "of shard 7, which has 0"),
        ("tokens.json", lambda data: data[:-5], r"tokens\.json: not readable"),
        ("tokens.json", lambda data: data.replace(b'"format": 1', b'"format": 9'), "of format 9"),
    ],
)  # fmt: skip
def test_damage_is_named_in_one_line(folder, name, how, named):
    damage(folder, name, how)
    with pytest.raises(ShardError, match=named) as error:
        TokenCorpus(folder)
    assert "\n" not in str(error.value)


def test_what_is_missing(folder, tmp_path):
    (folder / "00000.npy").unlink()
    with pytest.raises(ShardError, match=r"00000\.npy: missing"):
        TokenCorpus(folder)
    (folder / "00000.jsonl").unlink()
    with pytest.raises(ShardError, match=r"00000\.jsonl: missing"):
        TokenCorpus(folder)
    with pytest.raises(ShardError, match="no tokens in it"):
        TokenCorpus(tmp_path / "nowhere")
    with ShardWriter(tmp_path / "new", INFO):
        pass
    with pytest.raises(ShardError, match="no recordings in it yet"):
        TokenCorpus(tmp_path / "new")


def test_codes_outside_the_codebooks(folder):
    damage(folder, "00000.npy", lambda data: data[:-2] + b"\x10\x00")
    corpus = TokenCorpus(folder)
    assert corpus.codes(corpus.labels[0]).shape == (3, 7)
    with pytest.raises(ShardError, match=r"00000\.npy: damaged, codes lie in .*16, 0\.\.15 is expected"):
        corpus.codes(corpus.labels[1])


def test_alignments(folder):
    lines = [
        {"id": "r1", "phonemes": ["h", "ˈaɪ", "~"], "durations": [2, 0, 3]},
        {"id": "left out", "phonemes": ["h"], "durations": [1]},
    ]
    path = folder / "alignments.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    (found,) = TokenCorpus(folder).alignments.items()
    assert found[0] == "r1"
    assert found[1].phonemes == ("h", "ˈaɪ", "~")
    assert found[1].durations.tolist() == [2, 0, 3]


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ({"id": "r1", "phonemes": ["h"]}, "id, phonemes and durations are expected"),
        ({"id": "r1", "phonemes": [1], "durations": [5]}, "are expected"),
        ({"id": ["r1"], "phonemes": ["h"], "durations": [5]}, "are expected"),
        ({"id": "r1", "phonemes": ["h", "a"], "durations": [1.7, 3.3]}, "whole numbers"),
        ({"id": "r1", "phonemes": ["h", "a"], "durations": [[2], [3]]}, "whole numbers"),
        ({"id": "r1", "phonemes": ["h"], "durations": [2**63]}, "are expected"),
        ({"id": "r1", "phonemes": ["h"], "durations": [2, 3]}, "1 phonemes need as many durations"),
        ({"id": "r1", "phonemes": ["h", "a"], "durations": [6, -1]}, "none below 0"),
        ({"id": "r1", "phonemes": ["h"], "durations": [4]}, "durations of 4 frames, r1 has 5"),
    ],
)
def test_alignments_that_do_not_fit(folder, line, named):
    (folder / "alignments.jsonl").write_text(json.dumps(line) + "\n")
    with pytest.raises(ShardError, match=rf"alignments\.jsonl, line 1: .*{named}"):
        TokenCorpus(folder)


def test_marginal_bits(folder):
    """One code for good costs nearly nothing, codes never seen cost as many bits as their rarity."""
    with ShardWriter(folder, INFO) as writer:
        writer.add(label("constant"), np.full((3, 984), 5))
        writer.add(label("other"), np.full((3, 10), 6))
    corpus = TokenCorpus(folder)
    constant, other = corpus.labels[-2:]
    assert marginal_bits(corpus, [constant], [constant]) == pytest.approx([-math.log2(985 / 1000)] * 3)
    assert marginal_bits(corpus, [constant], [other]) == pytest.approx([math.log2(1000)] * 3)
