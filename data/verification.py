"""How well voices are told apart: which parts of recordings are compared, and the equal error rate."""

from collections import defaultdict
from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SHORTEST, LONGEST = 1.5, 8.0  # seconds of a part
HALVED = 6.0  # seconds from which on a speaker's only recording counts as two
MOST = 20  # recordings of a speaker
FEWEST_SPEAKERS = 5


class Part(NamedTuple):
    """Seconds `start` to `stop` of the recording at place `recording` of a list."""

    recording: int
    start: float
    stop: float


def parts_to_compare(speakers: Sequence[Hashable], seconds: Sequence[float]) -> list[Part]:
    """What to compare of recordings with these speakers and durations.

    The first 8 s of recordings of at least 1.5 s, of at most 20 for each speaker, spread evenly over theirs.
    The only recording of a speaker counts as two, its halves (the first 8 s of each), where it has 6 s.
    """
    places = defaultdict(list)
    for i, speaker in enumerate(speakers):
        if seconds[i] >= SHORTEST:
            places[speaker].append(i)
    parts = []
    for found in places.values():
        half = seconds[found[0]] / 2
        if len(found) == 1 and 2 * half >= HALVED:
            parts += [Part(found[0], s, s + min(half, LONGEST)) for s in (0.0, half)]
            continue
        chosen = np.linspace(0, len(found) - 1, min(len(found), MOST)).round().astype(int)
        parts += [Part(found[i], 0.0, min(seconds[found[i]], LONGEST)) for i in chosen]
    return parts


class Errors(NamedTuple):
    """`rate`: the equal error rate of `same` pairs of one speaker and `different` pairs of two."""

    rate: float
    same: int
    different: int
    speakers: int


def verification_errors(
    embeddings: NDArray[np.floating], groups: Sequence[str], speakers: Sequence[Hashable]
) -> dict[str, Errors]:
    """Of all pairs within each group that has five speakers, and pairs of one speaker; last, as "all", of all
    pairs at all.

    Between two groups, the microphone alone tells most speakers apart: "all" is the easiest to get low.

    Args:
        embeddings: unit vectors [N, E].
        groups, speakers: of each; a speaker's name counts within their group.
    """
    own = np.array(_numbered(list(zip(groups, speakers, strict=True))))
    group = np.array(groups)
    found = {}
    for name in [*sorted(set(groups)), None]:
        chosen = np.arange(len(own)) if name is None else np.flatnonzero(group == name)
        first, second = np.triu_indices(len(chosen), 1)
        same = own[chosen[first]] == own[chosen[second]]
        people = len(set(own[chosen].tolist()))
        if not same.any() or same.all() or (name is not None and people < FEWEST_SPEAKERS):
            continue
        alike = embeddings[chosen] @ embeddings[chosen].T
        rate = equal_error_rate(alike[first, second], same)
        found["all" if name is None else name] = Errors(rate, int(same.sum()), int((~same).sum()), people)
    return found


def equal_error_rate(scores: NDArray[np.floating], same: NDArray[np.bool_]) -> float:
    """The share of pairs that are judged wrongly at the threshold where as large a share of those of one
    speaker is rejected as of those of two is accepted, 0 to 1; between two thresholds it is interpolated.

    Args:
        scores: of pairs [N], higher where the voices are more alike.
        same: whether a pair is of one speaker [N]; both kinds are needed.
    """
    if not same.any() or same.all():
        raise ValueError("pairs of one speaker and pairs of two are needed")
    order = np.argsort(scores, kind="stable")
    last = np.append(np.diff(scores[order]) > 0, True)  # pairs with one score are judged alike
    rejected = np.append(0.0, (np.cumsum(same[order]) / same.sum())[last])
    accepted = np.append(1.0, 1 - (np.cumsum(~same[order]) / (~same).sum())[last])
    i = int(np.argmax(rejected >= accepted))
    before, after = accepted[i - 1] - rejected[i - 1], rejected[i] - accepted[i]
    share = before / (before + after)
    return float(rejected[i - 1] + share * (rejected[i] - rejected[i - 1]))


def _numbered(items: Sequence[Hashable]) -> list[int]:
    """A number for each, the same for equal ones."""
    numbers: dict[Hashable, int] = {}
    return [numbers.setdefault(item, len(numbers)) for item in items]
