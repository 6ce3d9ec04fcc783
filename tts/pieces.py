"""What is said in one breath, cut where it is longer than a language model can say at once."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, groupby
from typing import NamedTuple

from ..data.text.symbols import BOUNDARY, PAUSES


class Part(NamedTuple):
    """Symbols, and whole frames of each."""

    phonemes: tuple[str, ...]
    durations: tuple[int, ...]

    @property
    def n_frames(self) -> int:
        """Frames in all."""
        return sum(self.durations)


class Piece(NamedTuple):
    """What is said in one breath.

    Attributes:
        text: the normalised text that it belongs to; a long sentence makes several pieces of the same text.
        phonemes, durations: symbols, and frames of each.
        words: as they are spelled in the text; one that is cut between two pieces is in both.
        warnings: a line for everything that was skipped in the text.
    """

    text: str
    phonemes: tuple[str, ...]
    durations: tuple[int, ...]
    words: tuple[str, ...]
    warnings: tuple[str, ...]


def parts(whole: Part, most: int) -> Iterator[Part]:
    """`whole` in parts of at most `most` frames, each with something to say, cut at its longest pauses.

    A single symbol that is longer is shortened to `most`.
    """
    if whole.n_frames <= most:
        yield whole
        return
    cut = _best_cut(whole)
    if cut is None:
        yield Part(whole.phonemes, tuple(min(n, most) for n in whole.durations))
        return
    yield from parts(Part(whole.phonemes[:cut], whole.durations[:cut]), most)
    yield from parts(Part(whole.phonemes[cut:], whole.durations[cut:]), most)


def with_words(found: Iterable[Part], words: Sequence[str]) -> Iterator[tuple[Part, tuple[str, ...]]]:
    """Each of the parts of a whole with its own of the whole's words; one that was cut is in both parts."""
    end, cut = 0, False
    for part in found:
        start = end - (cut and part.phonemes[0] not in PAUSES)
        end = start + sum(not pause for pause, _ in groupby(part.phonemes, PAUSES.__contains__))
        cut = part.phonemes[-1] not in PAUSES
        yield part, tuple(words[start:end])


def _best_cut(whole: Part) -> int | None:
    """Where the second half begins: behind the longest pause of the middle, a mark before a mere boundary; or
    else behind any word, or any sound, near the middle. None where only one symbol lasts."""
    total = whole.n_frames
    spoken = list(accumulate(whole.durations))
    places = [i for i, frames in enumerate(spoken[:-1]) if 0 < frames < total]
    words = [i for i in places if whole.phonemes[i] in PAUSES]
    middle = [i for i in words if total / 4 <= spoken[i] <= 3 * total / 4]

    def off(i: int) -> float:
        return abs(spoken[i] - total / 2)

    if middle:
        return 1 + max(middle, key=lambda i: (whole.durations[i], whole.phonemes[i] != BOUNDARY, -off(i)))
    near = words or places
    return 1 + min(near, key=off) if near else None
