"""Lists of recordings: what lies in a folder of speech, whichever of the usual layouts it has.

Recognised, in this order:

- *manifest*: `manifest.jsonl` in the folder, or in folders directly inside it: a JSON object a line with
  `id`, `audio` (path from the parent of the folder that holds the manifest), `split`, `seconds`, and where
  known `speaker`, `language`, `text`; every other key goes to `extra`.
- *VCTK*: `wav48_silence_trimmed/` or `wav48/` with a folder per speaker, and `txt/`; the first microphone
  only.
- *LJSpeech*: `metadata.csv` (id|text|normalised text) and `wavs/`.
- *LibriSpeech*, *LibriTTS*: `.../speaker/chapter/` with `*.trans.txt` or `*.normalized.txt`; the split is
  read off the folder `train-*`, `dev-*` (val) or `test-*`.
- *tree*: any folder of sound files; the speaker is the folder a file lies in.

Where the layout has no splits, `assign_splits` makes them.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from . import audio
from .errors import AudioError, MynahError
from .json_text import parse_json
from .walking import find

SPLITS = ("train", "val", "test")
LONGEST = 10**9  # seconds of a recording
HELD_OUT = 0.05  # share of the speakers that goes to val, and to test
AUDIO_SUFFIXES = frozenset({*audio.FORMATS, ".m4a", ".mp4", ".aac", ".webm", ".mkv", ".wma", ".mka", ".oga"})


class ManifestError(MynahError, ValueError):
    """A folder of speech that holds none, or a line of its manifest that is wrong."""


@dataclass(frozen=True)
class Recording:
    """One recording of a corpus.

    Attributes:
        id: unique in the list, such as "librispeech/1040-133433-0000".
        path: the sound file; it exists.
        split: "train", "val" or "test".
        seconds: duration.
        speaker: who speaks, unique over the corpora of a manifest; None where not known.
        language: ISO 639 code; None where not known.
        text: what is said; None where not known.
        extra: whatever else the manifest says, such as `label`, `gender` or `turns`.
    """

    id: str
    path: Path
    split: str
    seconds: float
    speaker: str | None = None
    language: str | None = None
    text: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


def read_manifest(folder: str | os.PathLike[str], unreadable_as_empty: bool = False) -> list[Recording]:
    """Return the recordings in `folder`, in the order of the manifest, or sorted by path where there is none.

    Durations come from the manifest, or from the header of every file where there is none (about a thousand
    files a second); files whose header does not tell are decoded for it.

    Args:
        folder: of one of the layouts above.
        unreadable_as_empty: list sound files that cannot be read with 0 seconds; whoever reads them finds
            out.

    Raises:
        ManifestError: the folder is missing or holds no recordings; a line is malformed (named with its file
            and number); a listed file is missing; two recordings have one id.
        MynahError: a folder in it cannot be read.
        AudioError: a sound file of a layout without a manifest cannot be read (without
            `unreadable_as_empty`).
    """
    root = Path(folder)
    if not root.is_dir():
        raise ManifestError(f"{folder}: {'is a file, not a folder' if root.exists() else 'no such folder'}")
    recordings = _read_layout(root.absolute(), unreadable_as_empty)
    if not recordings:
        raise ManifestError(f"{folder}: no recordings in it (no manifest.jsonl and no sound files)")
    seen: set[str] = set()
    for recording in recordings:
        if recording.id in seen:
            raise ManifestError(f"{folder}: two recordings have the id {recording.id!r}")
        seen.add(recording.id)
    return recordings


def assign_splits(recordings: Iterable[Recording]) -> list[Recording]:
    """Return the recordings with splits drawn by speaker, the same ones on every machine.

    The speakers are ordered by the SHA-256 of their names; the first 5 % (one at least) are "test", the next
    5 % (one at least) "val", the others "train". With fewer than three speakers the recordings are drawn in
    this way by their ids instead, so the splits then share speakers; fewer than three recordings are all
    "train".
    """
    items = list(recordings)
    keys = [recording.speaker or recording.id for recording in items]
    if len(set(keys)) < 3:
        keys = [recording.id for recording in items]
    order = sorted(set(keys), key=lambda key: hashlib.sha256(os.fsencode(key)).digest())
    held_out = max(1, round(HELD_OUT * len(order))) if len(order) >= 3 else 0
    test, val = set(order[:held_out]), set(order[held_out : 2 * held_out])
    split = {key: "test" if key in test else "val" if key in val else "train" for key in order}
    return [replace(recording, split=split[key]) for recording, key in zip(items, keys, strict=True)]


def _read_layout(root: Path, lenient: bool) -> list[Recording]:
    inside = [path for path in root.iterdir() if not path.name.startswith(".")]
    # an archive unpacked into a folder of its own: look one level down too
    for base in [root, *inside] if len(inside) == 1 and inside[0].is_dir() else [root]:
        manifests = [base / "manifest.jsonl"] if (base / "manifest.jsonl").is_file() else []
        manifests = manifests or sorted(path for path in base.glob("*/manifest.jsonl") if path.is_file())
        if manifests:
            return [recording for path in manifests for recording in _read_jsonl(path)]
        for name in ("wav48_silence_trimmed", "wav48"):
            if (base / name).is_dir():
                return assign_splits(_with_seconds(_read_vctk(base, name), lenient))
        if (base / "metadata.csv").is_file() and (base / "wavs").is_dir():
            return assign_splits(_with_seconds(_read_ljspeech(base), lenient))
    files = _audio_files(root)
    if any(_librispeech_text(path) for path in files[:1000]):
        recordings = _with_seconds(_read_librispeech(root, files), lenient)
        return recordings if all(recording.split for recording in recordings) else assign_splits(recordings)
    return assign_splits(_with_seconds(_read_tree(root, files), lenient))


def _read_jsonl(path: Path) -> Iterator[Recording]:
    base = path.parent.parent
    with open(path, "rb") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                try:
                    yield _parse_line(line, base)
                except ValueError as error:
                    raise ManifestError(f"{path}, line {number}: {error}") from error


def _parse_line(line: bytes, base: Path) -> Recording:
    try:
        entry = parse_json(line.decode("utf-8-sig"))
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON ({error.msg} at character {error.pos + 1})") from error
    if not isinstance(entry, dict):
        raise ValueError("not a JSON object")
    for key in ("id", "audio", "split", "seconds"):
        if key not in entry:
            raise ValueError(f"{key!r} is missing")
    for key in ("id", "audio", "split", "speaker", "language", "text"):
        if not isinstance(entry.get(key, ""), str):
            raise ValueError(f"{key!r} is {entry[key]!r}, expected text")
    if entry["split"] not in SPLITS:
        raise ValueError(f"split {entry['split']!r} is not one of {', '.join(SPLITS)}")
    seconds = entry["seconds"]
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds <= LONGEST:
        raise ValueError(f"seconds {seconds!r:.40}, expected a number above 0, {LONGEST} at most")
    path = base / entry["audio"]
    if not path.is_file():
        raise ValueError(f"no such file: {path}")
    named = ("id", "split", "speaker", "language", "text")
    extra = {key: value for key, value in entry.items() if key not in (*named, "audio", "seconds")}
    known = {key: entry[key] for key in named if key in entry}
    return Recording(path=path, seconds=float(seconds), extra=extra, **known)


def _read_vctk(root: Path, name: str) -> list[Recording]:
    """Speakers p225 ...: p225_001_mic1.flac (newer) or p225_001.wav (older), txt/p225/p225_001.txt."""
    recordings = []
    for path in _audio_files(root / name):
        stem = path.stem
        if stem.endswith("_mic2"):  # the same utterance, another microphone
            continue
        stem, speaker = stem.removesuffix("_mic1"), path.parent.name
        source = root / "txt" / speaker / f"{stem}.txt"
        text = _read_text(source) if source.is_file() else None
        recordings.append(Recording(stem, path, "", 0.0, speaker, "en", text))
    return recordings


def _read_ljspeech(root: Path) -> list[Recording]:
    recordings = []
    table = root / "metadata.csv"
    for number, line in enumerate(_read_text(table).split("\n"), start=1):
        if not line.strip():
            continue
        columns = line.split("|")
        if len(columns) not in (2, 3):
            columns_found = f"{len(columns)} columns between |, expected id|text|normalised text"
            raise ManifestError(f"{table}, line {number}: {columns_found}")
        stem = root / "wavs" / columns[0]
        path = next((p for s in (".wav", ".flac") if (p := stem.with_name(stem.name + s)).is_file()), None)
        if path is None:
            raise ManifestError(f"{table}, line {number}: no such file: {stem}.wav")
        recordings.append(Recording(columns[0], path, "", 0.0, "lj", "en", columns[-1]))
    return recordings


def _read_librispeech(root: Path, files: list[Path]) -> list[Recording]:
    """.../train-clean-100/19/198/19-198-0000.flac; a transcript per chapter, or per sound (LibriTTS)."""
    chapters: dict[Path, dict[str, str]] = {}
    recordings = []
    for path in files:
        source = _librispeech_text(path)
        text = None
        if source is not None and source.name.endswith(".normalized.txt"):
            text = _read_text(source)
        elif source is not None:
            if source not in chapters:
                pairs = (line.partition(" ") for line in _read_text(source).splitlines())
                chapters[source] = {key: words.strip() for key, _, words in pairs}
            text = chapters[source].get(path.stem)
        split = _split_of_folders((root.name, *path.relative_to(root).parts[:-1]))
        recordings.append(Recording(path.stem, path, split, 0.0, path.parent.parent.name, "en", text))
    return recordings


def _librispeech_text(path: Path) -> Path | None:
    own = path.with_suffix(".normalized.txt")
    chapter = path.with_name(path.stem.rpartition("-")[0] + ".trans.txt")
    return next((source for source in (own, chapter) if source.is_file()), None)


def _split_of_folders(folders: Iterable[str]) -> str:
    """The split that the last folder named train*, dev* or test* stands for, "" where there is none."""
    names = {"train": "train", "dev": "val", "test": "test"}
    found = [names[head] for folder in folders if (head := folder.split("-")[0]) in names]
    return found[-1] if found else ""


def _read_tree(root: Path, files: list[Path]) -> list[Recording]:
    """The id is the path from `root` without its suffix, unless two files differ in nothing else."""
    plain = [path.relative_to(root).with_suffix("").as_posix() for path in files]
    twins = len(set(plain)) < len(plain)
    ids = [path.relative_to(root).as_posix() for path in files] if twins else plain
    return [Recording(i, path, "", 0.0, path.parent.name) for i, path in zip(ids, files, strict=True)]


def _audio_files(root: Path) -> list[Path]:
    """Sound files below `root`, sorted."""
    return sorted(map(Path, find(os.fspath(root), AUDIO_SUFFIXES)))


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise ManifestError(f"{path}: not UTF-8 text (byte {error.start})") from error


def _with_seconds(recordings: list[Recording], lenient: bool) -> list[Recording]:
    measure = partial(_seconds, lenient=lenient)
    with ThreadPoolExecutor() as pool:  # opening files is waiting for the disk
        durations = list(pool.map(measure, (recording.path for recording in recordings)))
    return [replace(recording, seconds=s) for recording, s in zip(recordings, durations, strict=True)]


def _seconds(path: Path, lenient: bool) -> float:
    """What the header says, or, where it does not (m4a, webm ...), what comes out."""
    try:
        with audio.AudioReader(path) as reader:
            length = reader.info.length
            if length is None:
                length = sum(block.shape[1] for block in reader)
            return length / reader.info.sample_rate
    except AudioError:
        if not lenient:
            raise
        return 0.0
