"""Manifests: every layout is recognised, splits are stable and disjoint, wrong lines are named."""

import json
from pathlib import Path

import numpy as np
import pytest

from mynah.data import audio
from mynah.data.errors import AudioError, MynahError
from mynah.data.manifest import Recording, assign_splits, read_manifest


def sound(path: Path, seconds: float = 0.1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    audio.save(path, np.full(round(16_000 * seconds), 0.1, np.float32), 16_000)
    return path


def corpus(root: Path, name: str, entries: list[dict]) -> None:
    """A corpus folder as `manifest.jsonl` describes it; files named in `entries` are made."""
    for entry in entries:
        sound(root / entry["audio"])
    (root / name).mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries)
    (root / name / "manifest.jsonl").write_text(lines, encoding="utf-8")


ENTRIES = [
    {
        "id": "a/1",
        "audio": "a/train/1.flac",
        "split": "train",
        "seconds": 0.1,
        "speaker": "x",
        "language": "de",
    },
    {
        "id": "a/2",
        "audio": "a/test/2.flac",
        "split": "test",
        "seconds": 1,
        "text": "Grüße",
        "age": "6",
        "turns": [1],
    },
]


def test_manifest_folder_and_single_corpus(tmp_path):
    corpus(tmp_path, "a", ENTRIES)
    corpus(tmp_path, "b", [{"id": "b/1", "audio": "b/1.flac", "split": "val", "seconds": 2.5}])
    (tmp_path / "README.md").write_text("about")
    one = Recording("a/1", tmp_path / "a/train/1.flac", "train", 0.1, "x", "de")
    two = Recording(
        "a/2", tmp_path / "a/test/2.flac", "test", 1.0, None, None, "Grüße", {"age": "6", "turns": [1]}
    )
    three = Recording("b/1", tmp_path / "b/1.flac", "val", 2.5)
    assert read_manifest(tmp_path) == [one, two, three]
    assert read_manifest(tmp_path / "a") == [one, two]


def test_relative_folder(tmp_path, monkeypatch):
    corpus(tmp_path, "a", ENTRIES)
    monkeypatch.chdir(tmp_path / "a")
    assert [r.path for r in read_manifest(".")] == [tmp_path / e["audio"] for e in ENTRIES]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", r"manifest\.jsonl, line 3: not JSON"),
        ("[1]", "line 3: not a JSON object"),
        (
            json.dumps({"id": "x", "audio": "a/train/1.flac", "split": "train"}),
            "line 3: 'seconds' is missing",
        ),
        (json.dumps({**ENTRIES[0], "split": "dev"}), "line 3: split 'dev' is not one of train, val, test"),
        (json.dumps({**ENTRIES[0], "seconds": -1}), "line 3: seconds -1, expected a number above 0"),
        (json.dumps({**ENTRIES[0], "seconds": "1"}), "line 3: seconds '1', expected a number"),
        (
            json.dumps({**ENTRIES[0], "seconds": 10**400}),
            r"line 3: seconds 10{39}, expected a number above 0",
        ),
        (json.dumps({**ENTRIES[0], "seconds": float("nan")}), "line 3: seconds nan, expected a number"),
        ("[" * 100_000, "line 3: nested too deeply"),
        (json.dumps({**ENTRIES[0], "speaker": 7}), "line 3: 'speaker' is 7, expected text"),
        (json.dumps({**ENTRIES[0], "audio": "a/gone.flac"}), r"line 3: no such file: .*gone\.flac"),
        (json.dumps(ENTRIES[0]), "two recordings have the id 'a/1'"),
    ],
)
def test_malformed_lines_are_named(tmp_path, line, message):
    corpus(tmp_path, "a", ENTRIES)
    with open(tmp_path / "a" / "manifest.jsonl", "a") as file:
        file.write(line + "\n")
    with pytest.raises(MynahError, match=message) as caught:
        read_manifest(tmp_path)
    assert "\n" not in str(caught.value)


def test_manifest_that_is_not_utf8(tmp_path):
    corpus(tmp_path, "a", ENTRIES)
    (tmp_path / "a" / "manifest.jsonl").write_bytes(b'{"id": "\xff"}\n')
    with pytest.raises(MynahError, match=r"manifest\.jsonl, line 1: 'utf-8' codec"):
        read_manifest(tmp_path)


def test_librispeech(tmp_path):
    for split, speaker in (("train-clean-100", "19"), ("dev-other", "27"), ("test-clean", "1040")):
        folder = tmp_path / "LibriSpeech" / split / speaker / "198"
        sound(folder / f"{speaker}-198-0000.flac", 0.2)
        sound(folder / f"{speaker}-198-0001.flac")
        lines = f"{speaker}-198-0000 HELLO WORLD\n{speaker}-198-0001 AGAIN\n"
        (folder / f"{speaker}-198.trans.txt").write_text(lines)
    found = {r.id: r for r in read_manifest(tmp_path)}
    assert len(found) == 6
    path = tmp_path / "LibriSpeech/train-clean-100/19/198/19-198-0000.flac"
    assert found["19-198-0000"] == Recording("19-198-0000", path, "train", 0.2, "19", "en", "HELLO WORLD")
    assert {r.id: r.split for r in found.values() if r.id.endswith("1")} == {
        "19-198-0001": "train",
        "27-198-0001": "val",
        "1040-198-0001": "test",
    }
    only = read_manifest(tmp_path / "LibriSpeech" / "dev-other")
    assert [r.split for r in only] == ["val", "val"] and only[1].text == "AGAIN"


def test_libritts(tmp_path):
    folder = tmp_path / "LibriTTS" / "dev-clean" / "84" / "121123"
    sound(folder / "84_121123_000007_000001.wav")
    sound(folder / "84_121123_000008_000000.wav")
    (folder / "84_121123_000007_000001.normalized.txt").write_text("Go! Do you hear?\n")
    (folder / "84_121123_000007_000001.original.txt").write_text("GO!\n")
    first, second = read_manifest(tmp_path / "LibriTTS")
    assert (first.split, first.speaker, first.text) == ("val", "84", "Go! Do you hear?")
    assert second.text is None and second.split == "val"


@pytest.mark.parametrize(("folder", "ending"), [("wav48_silence_trimmed", "_mic1.flac"), ("wav48", ".wav")])
def test_vctk(tmp_path, folder, ending):
    root = tmp_path / "VCTK-Corpus"
    for speaker in ("p225", "p226", "s5"):
        sound(root / folder / speaker / f"{speaker}_001{ending}")
        if "mic1" in ending:
            sound(root / folder / speaker / f"{speaker}_001_mic2.flac")
    (root / "txt" / "p225").mkdir(parents=True)
    (root / "txt" / "p225" / "p225_001.txt").write_text("Please call Stella.\n")
    for start in (root, tmp_path):
        found = read_manifest(start)
        assert [(r.id, r.speaker, r.language) for r in found] == [
            ("p225_001", "p225", "en"),
            ("p226_001", "p226", "en"),
            ("s5_001", "s5", "en"),
        ]
        assert [r.text for r in found] == ["Please call Stella.", None, None]
        assert sorted(r.split for r in found) == ["test", "train", "val"]


def test_ljspeech(tmp_path):
    root = tmp_path / "LJSpeech-1.1"
    for i in range(20):
        sound(root / "wavs" / f"LJ001-{i:04}.wav")
    lines = [f'LJ001-{i:04}|"No {i}|No. {i}' for i in range(20)]
    (root / "metadata.csv").write_text("\n".join(lines) + "\n")
    found = read_manifest(root)
    assert [r.text for r in found] == [f"No. {i}" for i in range(20)]
    assert {r.speaker for r in found} == {"lj"}
    assert [sum(r.split == s for r in found) for s in ("train", "val", "test")] == [18, 1, 1]
    (root / "metadata.csv").write_text("\n".join([*lines, "LJ001-9999|gone"]) + "\n")
    with pytest.raises(MynahError, match=r"metadata\.csv, line 21: no such file: .*LJ001-9999\.wav"):
        read_manifest(root)
    (root / "metadata.csv").write_text("id,text\n")
    with pytest.raises(MynahError, match=r"metadata\.csv, line 1: 1 columns"):
        read_manifest(root)
    (root / "metadata.csv").write_bytes(b"LJ001-0001|\xff\n")
    with pytest.raises(MynahError, match=r"metadata\.csv: not UTF-8 text \(byte 11\)"):
        read_manifest(root)


def test_any_tree(tmp_path):
    for speaker in ("anna", "bert", "cleo"):
        for i in range(2):
            sound(tmp_path / "talks" / speaker / f"{i}.ogg", 0.5)
    sound(tmp_path / "talks" / ".hidden" / "x.wav")
    (tmp_path / "notes.txt").write_text("nothing")
    found = read_manifest(tmp_path)
    assert [r.id for r in found] == [f"talks/{s}/{i}" for s in ("anna", "bert", "cleo") for i in range(2)]
    assert {r.speaker for r in found} == {"anna", "bert", "cleo"} and {r.seconds for r in found} == {0.5}
    for speaker in ("anna", "bert", "cleo"):  # a speaker is never in two splits
        assert len({r.split for r in found if r.speaker == speaker}) == 1
    assert {r.split for r in found} == {"train", "val", "test"}
    sound(tmp_path / "talks" / "anna" / "0.wav")
    assert "talks/anna/0.wav" in {r.id for r in read_manifest(tmp_path)}


def test_a_sound_that_cannot_be_read_is_named(tmp_path):
    sound(tmp_path / "a.wav")
    (tmp_path / "b.wav").write_text("no sound")
    with pytest.raises(AudioError, match=r"b\.wav: not a sound file"):
        read_manifest(tmp_path)


def test_folders_without_recordings(tmp_path):
    with pytest.raises(MynahError, match="no recordings in it"):
        read_manifest(tmp_path)
    with pytest.raises(MynahError, match="gone: no such folder"):
        read_manifest(tmp_path / "gone")
    (tmp_path / "file").write_text("")
    with pytest.raises(MynahError, match="file: is a file"):
        read_manifest(tmp_path / "file")
    corpus(tmp_path, "a", [])
    with pytest.raises(MynahError, match="no recordings in it"):
        read_manifest(tmp_path)


def drawn(n_speakers: int, each: int = 2) -> list[Recording]:
    items = [
        Recording(f"{s}/{i}", Path("x"), "", 1.0, f"s{s}") for s in range(n_speakers) for i in range(each)
    ]
    return assign_splits(items)


def test_names_that_are_not_utf_8_have_splits():
    recordings = [Recording(f"r{i}", Path("a"), "", 1.0, f"speaker \udcfc{i}") for i in range(4)]
    assert {recording.split for recording in assign_splits(recordings)} == {"train", "val", "test"}


def test_splits_are_five_percent_of_the_speakers_each():
    found = drawn(200)
    speakers = {split: {r.speaker for r in found if r.split == split} for split in ("train", "val", "test")}
    assert {split: len(names) for split, names in speakers.items()} == {"train": 180, "val": 10, "test": 10}
    assert not speakers["train"] & speakers["val"] and not speakers["test"] & (
        speakers["train"] | speakers["val"]
    )


def test_splits_do_not_depend_on_order_or_machine():
    found = drawn(40)
    again = assign_splits(reversed(found))
    assert {r.id: r.split for r in again} == {r.id: r.split for r in found}
    assert sorted({r.speaker for r in found if r.split == "test"}) == ["s23", "s39"]


def test_few_speakers_and_few_recordings():
    one = drawn(1, 40)
    assert [sum(r.split == s for r in one) for s in ("train", "val", "test")] == [36, 2, 2]
    assert {r.split for r in drawn(1, 2)} == {"train"}
