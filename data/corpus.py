"""A corpus in one memory-mapped file: every recording decoded once to 16 kHz int16, so that training reads
random crops without decoding and several processes share the pages."""

import json
import os
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .errors import AudioError, MynahError
from .replacing import replace_text, replacing

AHEAD = 2 * (os.cpu_count() or 1)  # recordings that are read before they are written


class Entry(NamedTuple):
    """One recording inside a packed corpus; `start` and `length` are in samples."""

    id: str
    group: str
    speaker: str
    start: int
    length: int


class PackedCorpus(NamedTuple):
    """`samples` int16 [T] (memory-mapped) and the recordings that lie in it."""

    samples: np.ndarray
    entries: list[Entry]

    def wav(self, entry: Entry) -> np.ndarray:
        """The recording as float32 [T] in [-1, 1]."""
        return self.samples[entry.start : entry.start + entry.length].astype(np.float32) / 32768.0


def pack(
    recordings: Sequence[tuple[str, str, str, Callable[[], np.ndarray]]],
    out: Path,
    progress: Callable[[Iterable], Iterable] = iter,
    unreadable: Callable[[str, AudioError], None] | None = None,
) -> PackedCorpus:
    """Write `out` (raw int16) and `out`.json from tuples (id, group, speaker, read); `read()` gives a float
    [T], and is called in threads, for some recordings ahead.

    Both files are written to temporary names and renamed, the index last: a killed packing leaves no corpus.
    Two processes may pack the same recordings at a time: each has names of its own.

    Args:
        recordings: what to pack, in this order.
        out: the file of samples.
        progress: wraps the loop over the recordings, such as a progress bar.
        unreadable: takes the id and the error of a recording whose `read()` raised an AudioError, and which
            is left out for it; without this the error ends the packing.

    Raises:
        MynahError: nothing readable.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    entries, start = [], 0
    index = index_of(out)
    with replacing(out) as part:
        with open(part, "wb") as f, ThreadPoolExecutor(os.cpu_count()) as pool:
            rest = iter(recordings)
            reading = deque(pool.submit(r[3]) for r in islice(rest, AHEAD))
            for id_, group, speaker, _ in progress(recordings):
                found = reading.popleft()
                reading.extend(pool.submit(r[3]) for r in islice(rest, 1))
                try:
                    wav = np.asarray(found.result())
                except AudioError as error:
                    if unreadable is None:
                        raise
                    unreadable(id_, error)
                    continue
                pcm = np.clip(np.round(wav * 32768.0), -32768, 32767).astype("<i2")
                f.write(pcm.tobytes())
                entries.append(Entry(id_, group, speaker, start, len(pcm)))
                start += len(pcm)
        index.unlink(missing_ok=True)  # of an earlier corpus: it must not be read with these samples
        if not start:
            raise MynahError(f"{out.name}: none of the {len(recordings)} recordings could be read")
    replace_text(index, json.dumps([list(e) for e in entries]))
    return PackedCorpus(
        np.memmap(out, "<i2", "r"), entries
    )  # another process may be about to replace the index


def index_of(path: Path) -> Path:
    """The index of a packed corpus; where it exists, the corpus is complete."""
    return path.with_name(path.name + ".json")


def open_packed(path: Path) -> PackedCorpus:
    """Map a corpus written by `pack`."""
    entries = [Entry(*e) for e in json.loads(index_of(path).read_text())]
    return PackedCorpus(np.memmap(path, "<i2", "r"), entries)


class CropSampler:
    """Random crops, drawn uniformly over the seconds of the corpus, each second weighted by its group.

    Args:
        corpus: the packed recordings.
        length: crop length in samples; shorter recordings are zero-padded at a random position.
        weights: weight of a second of each group; 1 for groups not named.
        min_rms: crops quieter than this are redrawn (at most 8 times): silence teaches little.
    """

    def __init__(self, corpus: PackedCorpus, length: int, weights: dict[str, float], min_rms: float = 1e-3):
        self.corpus, self.length, self.min_rms = corpus, length, min_rms
        lengths = np.array([e.length for e in corpus.entries], dtype=np.float64)
        groups = np.array([e.group for e in corpus.entries])
        known = sorted(set(groups.tolist()))
        unknown = sorted(set(weights) - set(known))
        if unknown:
            raise ValueError(f"weights name groups {unknown}; the corpus has {known}")
        p = lengths.copy()
        for group in known:
            p[groups == group] *= weights.get(group, 1.0)
        self.cumulative = np.cumsum(p / p.sum())

    def crop(self, rng: np.random.Generator) -> np.ndarray:
        """One crop, float32 [length]."""
        for _ in range(8):
            i = min(int(np.searchsorted(self.cumulative, rng.random())), len(self.cumulative) - 1)
            entry = self.corpus.entries[i]
            wav = np.zeros(self.length, np.float32)
            if entry.length > self.length:
                start = entry.start + int(rng.integers(entry.length - self.length + 1))
                wav[:] = self.corpus.samples[start : start + self.length] / 32768.0
            else:
                offset = int(rng.integers(self.length - entry.length + 1))
                wav[offset : offset + entry.length] = self.corpus.wav(entry)
            if np.sqrt(np.mean(wav**2)) >= self.min_rms:
                break
        return wav
