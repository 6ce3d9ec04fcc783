"""What lies in a folder of speech: its recordings, their corpora, the speakers held out."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..data import audio
from ..data.manifest import Recording, assign_splits, read_manifest


def recordings_in(data: Path, excluded: Sequence[str], say: Callable[[str], None]) -> list[Recording]:
    """The recordings of `data` without those of the excluded corpora, some of them held out as `val`.

    Sound files that cannot be read are in the list: whoever reads them finds out.

    Raises:
        MynahError: no recordings.
    """
    recordings = read_manifest(data, unreadable_as_empty=True)
    groups = [group_of(r.path) for r in recordings]
    absent = sorted(set(excluded) - set(groups))
    if absent:
        say(f"--exclude: no {', '.join(absent)} in {data}")
    return with_validation([r for r, g in zip(recordings, groups, strict=True) if g not in excluded])


def read_mono(recording: Recording, sample_rate: int, seconds: float | None = None) -> NDArray[np.float32]:
    """The mean of a recording's channels, or of its first `seconds`: float32 [T] at `sample_rate`."""
    wav = audio.load(recording.path, sample_rate).wav.mean(0)
    return wav if seconds is None else wav[: round(seconds * sample_rate)]


def with_validation(recordings: list[Recording]) -> list[Recording]:
    """The recordings, some speakers of `train` held out as `val` where there is no `val` yet."""
    if any(r.split == "val" for r in recordings):
        return recordings
    drawn = {r.id: r.split for r in assign_splits(r for r in recordings if r.split == "train")}
    return [replace(r, split="val") if drawn.get(r.id) == "val" else r for r in recordings]


def group_of(path: Path) -> str:
    """The name of the folder above `path` that holds a manifest; "all" in layouts without one."""
    return next((p.name for p in path.parents if _holds_manifest(p)), "all")


@cache
def _holds_manifest(folder: Path) -> bool:
    return (folder / "manifest.jsonl").is_file()
