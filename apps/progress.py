"""Progress on a terminal, and nothing on a pipe."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm

Advance = Callable[[float], object]  # told how many more seconds of sound are done


def ignore(seconds: float) -> None:
    """The `Advance` that shows nothing."""


@contextmanager
def seconds_bar(description: str) -> Iterator[Advance]:
    """A counter of seconds of sound on standard error, gone when it is done."""
    with tqdm(desc=description, unit=" s", unit_scale=True, disable=None, leave=False) as bar:
        yield bar.update
