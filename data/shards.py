"""Corpora of tokens: the codes of many recordings in a few arrays, with labels beside them.

A folder holds

- `tokens.json`: whose codes they are, see `TokenInfo`;
- `00000.npy`, `00001.npy`, ...: int16 [frames, codebooks], the codes of recordings one after the other;
- `00000.jsonl`, ...: a line for each recording of the shard, see `Label`. A shard without it does not count;
- `alignments.jsonl`, where `mynah tokenize --align` has made one: for each recording that is aligned its
  `id`, `phonemes` (a list of symbols) and `durations` (frames of each; they add up to its own);
- `errors.jsonl`: `id`, `path` and `error` of what could not be read when the folder was last written to;
- `.lock`: empty; whoever writes to the folder holds a lock on it.

Arrays and labels are written to temporary names and renamed, the labels last: a writer killed at any moment
loses the recordings of one shard at the most, and the next one goes on behind the last whole shard.
"""

import dataclasses
import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from .errors import MynahError
from .json_text import parse_json
from .locking import lock_folder
from .replacing import replace_text, replacing
from .views import part_of, recording_of, seen_durations

SHARD_FRAMES = 1 << 18  # 87 minutes at 50 frames/s; 3 MB at 6 codebooks
FORMAT = 1
ERRORS = "errors.jsonl"
ALIGNMENTS = "alignments.jsonl"


class ShardError(MynahError, ValueError):
    """A folder of tokens that is missing, damaged, or of another codec."""


@dataclass(frozen=True)
class TokenInfo:
    """Whose codes a folder holds.

    Attributes:
        codec: name of the codec.
        codec_hash: SHA-256 of what decides its codes (`codec.checkpoint.codes_hash`), hexadecimal.
        frame_rate: frames per second.
        n_codebooks: K codes in every frame.
        codebook_size: they lie in 0 to codebook_size - 1.
        format: version of this layout.
    """

    codec: str
    codec_hash: str
    frame_rate: float
    n_codebooks: int
    codebook_size: int
    format: int = FORMAT


class Label(NamedTuple):
    """What is known of a recording: `corpus`, `split` and on as in `data.manifest`; its `frames`, and where
    they lie, from frame `offset` of a `shard`."""

    id: str
    corpus: str
    split: str
    speaker: str | None
    language: str | None
    text: str | None
    frames: int
    shard: int
    offset: int


class Alignment(NamedTuple):
    """What is spoken when: symbols, and int64 frames of each, which add up to those of the recording."""

    phonemes: tuple[str, ...]
    durations: NDArray[np.int64]


class ShardWriter:
    """Adds recordings to a folder of tokens, as a context manager; what was added is kept however it ends.
    No other writer can have the folder meanwhile.

    Args:
        folder: made where it does not exist; one that holds tokens is gone on with.
        info: whose codes.

    Attributes:
        finished: ids of the recordings in the folder, and the split of each.

    Raises:
        ShardError: the folder holds other codes, or another writer is at work in it.
    """

    def __init__(self, folder: Path, info: TokenInfo):
        self.folder, self.info = folder, info
        folder.mkdir(parents=True, exist_ok=True)
        try:
            self._lock = lock_folder(folder)
        except BlockingIOError:
            raise ShardError(f"{folder}: another program is writing tokens into it") from None
        try:
            self._open(folder, info)
        except BaseException:
            self.close()
            raise

    def _open(self, folder: Path, info: TokenInfo) -> None:
        if (folder / "tokens.json").exists():
            earlier = _read_info(folder)
            if earlier != info:
                raise ShardError(f"{folder}: holds {_told(earlier)}, not {_told(info)}; name another folder")
        else:
            replace_text(folder / "tokens.json", json.dumps(dataclasses.asdict(info), indent=2) + "\n")
        (folder / ERRORS).unlink(missing_ok=True)
        labels = list(_read_labels(folder))
        self.finished = {label.id: label.split for label in labels}
        self._number = len(_shards(folder))
        self._labels: list[Label] = []
        self._codes: list[NDArray[np.int16]] = []
        self._frames = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.flush()
        finally:
            self.close()

    def close(self) -> None:
        """Let other writers in, as the `with` block does when it has written what was added."""
        self._lock.close()

    def add(self, label: Label, codes: NDArray[np.integer]) -> None:
        """Add a recording.

        Args:
            label: its `frames`, `shard` and `offset` are filled in here.
            codes: [K, N], N from 1.
        """
        assert codes.ndim == 2
        assert len(codes) == self.info.n_codebooks
        assert 0 <= codes.min() <= codes.max() < self.info.codebook_size
        n_frames = codes.shape[1]
        self._labels.append(label._replace(frames=n_frames, shard=self._number, offset=self._frames))
        self._codes.append(codes.T.astype("<i2"))
        self._frames += n_frames
        self.finished[label.id] = label.split
        if self._frames >= SHARD_FRAMES:
            self.flush()

    def failed(self, id_: str, path: Path, error: Exception) -> None:
        """Note a recording that could not be read."""
        with open(self.folder / ERRORS, "a", encoding="utf-8", errors="backslashreplace") as f:
            line = {"id": id_, "path": str(path), "error": str(error)}
            f.write(json.dumps(line, ensure_ascii=False) + "\n")

    def flush(self) -> None:
        """Write what was added since the last shard as one of its own."""
        if not self._labels:
            return
        name = self.folder / f"{self._number:05d}"
        with replacing(name.with_suffix(".npy")) as temporary, open(temporary, "wb") as f:
            np.save(f, np.concatenate(self._codes), allow_pickle=False)
        lines = [json.dumps(label._asdict(), ensure_ascii=False) + "\n" for label in self._labels]
        replace_text(name.with_suffix(".jsonl"), "".join(lines))
        self._labels, self._codes, self._frames = [], [], 0
        self._number += 1


class TokenCorpus:
    """A folder of tokens, memory-mapped.

    Args:
        folder: as `ShardWriter` writes it.
        codec_hash: of the codec whose codes they have to be; any where None.

    Attributes:
        info: whose codes.
        labels: of all recordings, in the order in which they were written.
        alignments: by id, of those that are aligned, and of their views (`data.views`).

    Raises:
        ShardError: nothing there, a damaged file (named), or codes of another codec.
    """

    def __init__(self, folder: str | os.PathLike[str], codec_hash: str | None = None):
        self.folder = Path(folder)
        self.info = _read_info(self.folder)
        if codec_hash is not None and codec_hash != self.info.codec_hash:
            raise ShardError(f"{folder}: holds {_told(self.info)}, not those of codec {codec_hash[:8]}")
        self.labels = list(_read_labels(self.folder))
        if not self.labels:
            raise ShardError(f"{folder}: no recordings in it yet")
        self._shards = [self._map(path) for path in _shards(self.folder)]
        for label in self.labels:
            end = len(self._shards[label.shard]) if 0 <= label.shard < len(self._shards) else 0
            if not 0 <= label.offset < label.offset + label.frames <= end:
                where = f"frames {label.offset} to {label.offset + label.frames} of shard {label.shard}"
                raise ShardError(f"{folder}: {label.id} should be {where}, which has {end}")
        self.alignments = self._read_alignments()

    def codes(self, label: Label, start: int = 0, stop: int | None = None) -> NDArray[np.int64]:
        """Codes of frames `start` to `stop` (the end for None) of a recording, int64 [K, n].

        Raises:
            ShardError: one lies outside the codebooks.
        """
        stop = label.frames if stop is None else stop
        assert 0 <= start < stop <= label.frames
        part = self._shards[label.shard][label.offset + start : label.offset + stop]
        low, high = int(part.min()), int(part.max())
        if low < 0 or high >= self.info.codebook_size:
            allowed = f"0..{self.info.codebook_size - 1}"
            path = self.folder / f"{label.shard:05d}.npy"
            raise ShardError(f"{path}: damaged, codes lie in {low}..{high}, {allowed} is expected")
        return np.ascontiguousarray(part.T.astype(np.int64))

    def _map(self, labels: Path) -> NDArray[np.int16]:
        path = labels.with_suffix(".npy")
        try:
            codes = np.load(path, mmap_mode="r", allow_pickle=False)
        except FileNotFoundError:
            raise ShardError(f"{path}: missing, its labels are there") from None
        except (OSError, ValueError, EOFError) as error:
            raise ShardError(f"{path}: damaged ({error})") from None
        if codes.dtype != np.int16 or codes.ndim != 2 or codes.shape[1] != self.info.n_codebooks:
            found = f"{codes.dtype} {list(codes.shape)}"
            raise ShardError(f"{path}: damaged, {found}, int16 [frames, {self.info.n_codebooks}] is expected")
        return codes

    def _read_alignments(self) -> dict[str, Alignment]:
        path = self.folder / ALIGNMENTS
        frames = {label.id: label.frames for label in self.labels}
        found: dict[str, Alignment] = {}
        for number, entry in _lines(path) if path.exists() else ():
            where = f"{path}, line {number}"
            try:
                id_, symbols, durations = entry["id"], entry["phonemes"], entry["durations"]
                alignment = Alignment(tuple(map(sys.intern, symbols)), _whole_numbers(durations))
                if id_ not in frames:
                    continue
            except (KeyError, TypeError, ValueError, OverflowError) as error:
                raise ShardError(f"{where}: id, phonemes and durations are expected ({error!r})") from None
            n_symbols, n_durations = len(alignment.phonemes), len(alignment.durations)
            if n_symbols != n_durations or min(alignment.durations, default=0) < 0:
                raise ShardError(f"{where}: {n_symbols} phonemes need as many durations, none below 0")
            if alignment.durations.sum() != frames[id_]:
                total = alignment.durations.sum()
                raise ShardError(f"{where}: durations of {total} frames, {id_} has {frames[id_]}")
            found[id_] = alignment
        for label in self.labels:
            whole = found.get(recording_of(label.id))
            if whole is not None and label.id not in found:
                durations = seen_durations(whole.durations, part_of(label.id), label.frames)
                found[label.id] = Alignment(whole.phonemes, durations)
        return found


def _shards(folder: Path) -> list[Path]:
    """The labels of all whole shards, which are numbered without gaps."""
    paths = sorted(folder.glob("[0-9]" * 5 + ".jsonl"))
    for number, path in enumerate(paths):
        if path.stem != f"{number:05d}":
            raise ShardError(f"{folder / f'{number:05d}.jsonl'}: missing, later shards are there")
    return paths


def _read_labels(folder: Path) -> Iterator[Label]:
    for path in _shards(folder):
        for number, entry in _lines(path):
            if set(entry) != set(Label._fields):
                keys = ", ".join(Label._fields)
                raise ShardError(f"{path}, line {number}: the keys {keys} are expected")
            if any(type(entry[name]) is not int for name in ("frames", "shard", "offset")):
                raise ShardError(f"{path}, line {number}: frames, shard and offset are whole numbers")
            yield Label(**entry)


def _whole_numbers(values: Sequence[Any]) -> NDArray[np.int64]:
    """The list as an array; TypeError for what is no whole number."""
    if any(type(value) is not int for value in values):
        raise TypeError("durations are whole numbers")
    return np.array(values, np.int64)


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Number and object of each line."""
    with open(path, "rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                entry = parse_json(line)
            except ValueError as error:
                raise ShardError(f"{path}, line {number}: not JSON ({error})") from None
            if not isinstance(entry, dict):
                raise ShardError(f"{path}, line {number}: not a JSON object")
            yield number, entry


def _read_info(folder: Path) -> TokenInfo:
    path = folder / "tokens.json"
    try:
        info = TokenInfo(**parse_json(path.read_text()))
    except FileNotFoundError:
        raise ShardError(f"{folder}: no tokens in it (mynah tokenize makes them)") from None
    except (OSError, ValueError, TypeError) as error:
        raise ShardError(f"{path}: not readable ({error})") from None
    if info.format != FORMAT:
        raise ShardError(f"{path}: of format {info.format}, this version reads {FORMAT}")
    return info


def _told(info: TokenInfo) -> str:
    return f"{info.n_codebooks} codes a frame of {info.codec} {info.codec_hash[:8]}"


def marginal_bits(corpus: TokenCorpus, train: Sequence[Label], val: Sequence[Label]) -> NDArray[np.float64]:
    """Bits a code [K] of `val`, coded with nothing but how often each occurs in `train` (and once more)."""
    size = corpus.info.codebook_size

    def counts(labels: Sequence[Label]) -> NDArray[np.float64]:
        total = np.zeros((corpus.info.n_codebooks, size))
        for label in labels:
            total += [np.bincount(stream, minlength=size) for stream in corpus.codes(label)]
        return total

    known, found = counts(train) + 1, counts(val)
    bits = -np.log2(known / known.sum(1, keepdims=True))
    return (found * bits).sum(1) / found.sum(1)
