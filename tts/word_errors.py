"""Which words of a text were skipped, and which said again, by the phones that a recogniser heard.

What was heard is aligned with what was to be said by the cheapest edits: 4 for a substitution, 3 for a
deletion or an insertion, as NIST's sclite has it, so that a word said twice and the next one skipped are not
taken for two wrong words. Where several ways cost the same, the one is taken that disturbs the fewest words:
a word of which nothing was heard is one gap, not two halves of its neighbours, and what was said twice stands
between two words, not inside of one. A word is disturbed by a phone that is lacking, or by one that is
inserted between its own.

*Skipped* is a word whose phones are deleted, four fifths of them at least, so all of up to four. Substituted
phones were said, if badly: they count in the phone error rate, not here.

*Repeated* are the words just before, or just after, phones that were inserted, as many as these say again: a
stretch of the inserted phones is that of the words but for a fifth of edits. A word counts once however often
it is said again, and a word that the text itself repeats only where it is heard once more than it stands
there.

A single phone is no evidence. Recognisers lose and invent such words (*a*) in real speech too, so a word of
one phone is never skipped, and repeated only together with others.
"""

from collections.abc import Sequence
from typing import NamedTuple

from ..data.edit_distance import edits

FORGIVEN = 5  # one phone in so many may be wrong in what is lacking or said again
LEAST = 2  # phones that are evidence
SUBSTITUTED, LACKING, INSERTED = 4, 3, 3

Phones = Sequence[str]


class WordErrors(NamedTuple):
    """Places, in the list of words, of those that were `skipped` and of those that were `repeated`."""

    skipped: tuple[int, ...]
    repeated: tuple[int, ...]


class Step(NamedTuple):
    """One step of an alignment: the place of a phone that was to be said, None for one that was inserted; and
    of what was heard of it, None for a phone that is lacking."""

    said: int | None
    heard: int | None


def word_errors(words: Sequence[Phones], heard: Phones) -> WordErrors:
    """Words that were skipped or repeated, as the module says.

    Args:
        words: the phones of each word that was to be said, without stress; none is empty.
        heard: the phones that were heard, without silences.
    """
    steps = alignment(words, heard)
    lacking = {step.said for step in steps if step.heard is None}
    skipped, place = [], 0
    for number, word in enumerate(words):
        lost = sum(place + i in lacking for i in range(len(word)))
        if len(word) >= LEAST and lost >= len(word) - len(word) // FORGIVEN:
            skipped.append(number)
        place += len(word)

    starts = _starts(words)
    repeated: set[int] = set()
    for place, run in _insertions(steps, heard):
        if place in starts:
            following = starts.index(place)
            repeated |= _said_again(words, run, following)
    return WordErrors(tuple(skipped), tuple(sorted(repeated)))


def alignment(words: Sequence[Phones], heard: Phones) -> list[Step]:
    """The cheapest way from what was to be said to what was heard, of several one that disturbs the fewest
    words; arguments as for `word_errors`.

    Dynamic programming over pairs of places and whether the word that the first lies in is disturbed yet
    (Levenshtein 1966, with a second cost that only decides between equals).
    """
    said = [phone for word in words for phone in word]
    starts = set(_starts(words))
    unit = len(words) + 1  # more than all words that can be disturbed
    unreached = unit * (LACKING * len(said) + INSERTED * len(heard) + 1)
    width = len(heard) + 1
    costs = [[unreached] * width, [unreached] * width]
    costs[0][0] = 0
    back: list[list[list[tuple[str, int]]]] = []
    for i in range(len(said) + 1):
        if i:
            costs, came = _said_one(costs, said[i - 1], heard, unit, fresh=i in starts)
        else:
            came = [[("", 0)] * width, [("", 0)] * width]
        inside = i not in starts
        for j in range(len(heard)):
            for disturbed in (0, 1):
                after = 1 if inside else disturbed
                cost = costs[disturbed][j] + INSERTED * unit + (after - disturbed)
                if cost < costs[after][j + 1]:
                    costs[after][j + 1], came[after][j + 1] = cost, ("inserted", disturbed)
        back.append(came)

    i, j, disturbed = len(said), len(heard), 0
    steps: list[Step] = []
    while i or j:
        how, disturbed = back[i][disturbed][j]
        if how == "inserted":
            j -= 1
            steps.append(Step(None, j))
        elif how == "lacking":
            i -= 1
            steps.append(Step(i, None))
        else:
            i, j = i - 1, j - 1
            steps.append(Step(i, j))
    return steps[::-1]


def _said_one(
    costs: list[list[int]], phone: str, heard: Phones, unit: int, fresh: bool
) -> tuple[list[list[int]], list[list[tuple[str, int]]]]:
    """Costs after one more phone that was to be said, and how each was come by; `fresh`: a word ends with it,
    and the next one is not disturbed yet."""
    width = len(heard) + 1
    unreached = max(map(max, costs)) + SUBSTITUTED * unit + 1
    after = [[unreached] * width, [unreached] * width]
    came = [[("", 0)] * width, [("", 0)] * width]
    for disturbed in (0, 1):
        kept, lost = (0, 0) if fresh else (disturbed, 1)
        for j, cost in enumerate(costs[disturbed]):
            if j < len(heard):
                through = cost + (0 if heard[j] == phone else SUBSTITUTED * unit)
                if through < after[kept][j + 1]:
                    after[kept][j + 1], came[kept][j + 1] = through, ("said", disturbed)
            without = cost + LACKING * unit + (1 - disturbed)
            if without < after[lost][j]:
                after[lost][j], came[lost][j] = without, ("lacking", disturbed)
    return after, came


def _starts(words: Sequence[Phones]) -> list[int]:
    """Places of the phones that words begin with, and the end."""
    starts = [0]
    for word in words:
        starts.append(starts[-1] + len(word))
    return starts


def _insertions(steps: Sequence[Step], heard: Phones) -> list[tuple[int, list[str]]]:
    """Runs of inserted phones, each with the place of the phone that it stands before."""
    runs: list[tuple[int, list[str]]] = []
    place, going_on = 0, False
    for step in steps:
        if step.said is not None:
            place, going_on = step.said + 1, False
            continue
        assert step.heard is not None
        if not going_on:
            runs.append((place, []))
        runs[-1][1].append(heard[step.heard])
        going_on = True
    return runs


def _said_again(words: Sequence[Phones], run: Sequence[str], following: int) -> set[int]:
    """The most words before `following`, or from it on, that a run of inserted phones says."""
    found: set[int] = set()
    for side in (range(following - 1, -1, -1), range(following, len(words))):
        taken: list[int] = []
        for number in side:
            taken.append(number)
            phones = [phone for n in sorted(taken) for phone in words[n]]
            if len(phones) - len(phones) // FORGIVEN > len(run):
                break
            if len(phones) >= LEAST and len(taken) > len(found) and _contains(run, phones):
                found = set(taken)
    return found


def _contains(run: Sequence[str], phones: Sequence[str]) -> bool:
    """Whether a stretch of `run` is `phones` but for a fifth of edits."""
    most = len(phones) // FORGIVEN
    lengths = range(max(1, len(phones) - most), len(phones) + most + 1)
    return any(
        edits(phones, run[start : start + length]).total <= most
        for length in lengths
        for start in range(len(run) - length + 1)
    )
