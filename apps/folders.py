"""Whole folders: the tree is kept, finished files are skipped, an error in one leaves the others alone."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path
from threading import Event
from typing import NamedTuple, Protocol

from tqdm import tqdm

from ..data.errors import MynahError
from .progress import Advance


class Work(Protocol):
    """What is done to each file; returns lines for the user."""

    def __call__(self, source: str, target: str, advance: Advance) -> list[str]: ...


class Pair(NamedTuple):
    """A file and its result."""

    source: str
    target: str


class Tally(NamedTuple):
    """How it went."""

    done: int
    skipped: int
    failed: int


class Stopped(Exception):
    """Raised inside the work when the user has pressed Ctrl-C."""


def pair(sources: Iterable[str], folder: str, out: str, suffix: str) -> list[Pair]:
    """Where each file of `folder` goes in `out`: the same place with another suffix."""
    return [
        Pair(source, str(Path(out, os.path.relpath(source, folder)).with_suffix(suffix)))
        for source in sources
    ]


def convert(
    pairs: list[Pair],
    work: Work,
    jobs: int,
    force: bool,
    verb: str,
    tell: Callable[[str], None],
) -> Tally:
    """Do `work` on all pairs, `jobs` at a time, with a progress bar where standard error is a terminal.

    The network and NumPy leave Python's lock while they compute, so that threads do.

    Args:
        pairs: no two with the same target, or the later ones fail.
        work: called with a source and a target that does not exist (unless `force`) in an existing folder.
        jobs: how many files at a time.
        force: do finished files again.
        verb: what the bar says.
        tell: gets a line for each error or remark.

    Raises:
        KeyboardInterrupt: after the files in work were given up; their results are absent.
    """
    taken: dict[str, str] = {}
    skipped = failed = done = 0
    stop = Event()

    def advance(seconds: float) -> None:
        if stop.is_set():
            raise Stopped

    def attempt(item: Pair) -> list[str]:
        if stop.is_set():
            raise Stopped
        try:
            Path(item.target).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise MynahError(f"{item.target}: cannot be written ({error.strerror or error})") from error
        return work(item.source, item.target, advance)

    with (
        ThreadPoolExecutor(jobs) as pool,
        tqdm(total=len(pairs), desc=verb, unit="file", disable=None, file=sys.stderr) as bar,
    ):
        futures: dict[Future[list[str]], Pair] = {}
        try:
            for item in pairs:
                if item.target in taken:
                    tell(f"{item.source}: its output {item.target} is that of {taken[item.target]} as well")
                    failed += 1
                elif os.path.lexists(item.target) and not force:
                    skipped += 1
                    bar.update()
                else:
                    futures[pool.submit(attempt, item)] = item
                taken.setdefault(item.target, item.source)
            for future, item in _as_done(futures):
                bar.update()
                try:
                    for line in future.result():
                        tell(line)
                    done += 1
                except MynahError as error:
                    tell(str(error))
                    failed += 1
                except OSError as error:
                    tell(f"{item.source}: {error.strerror or error}")
                    failed += 1
        except BaseException:
            stop.set()
            for future in futures:
                future.cancel()
            raise
    return Tally(done, skipped, failed)


def _as_done(futures: dict[Future[list[str]], Pair]) -> Iterator[tuple[Future[list[str]], Pair]]:
    for future in as_completed(futures):
        yield future, futures[future]
