"""How far two sequences are apart: phone and word error rates."""

from collections.abc import Hashable, Iterable, Sequence
from typing import NamedTuple


class Edits(NamedTuple):
    """Fewest edits from what was said to what was heard."""

    substitutions: int
    deletions: int
    insertions: int

    @property
    def total(self) -> int:
        """All of them: the Levenshtein distance."""
        return sum(self)


def edits(said: Sequence[Hashable], heard: Sequence[Hashable]) -> Edits:
    """The fewest substitutions, deletions and insertions that make `heard` of `said` (Levenshtein 1966).

    Of several ways with the same total, one with the fewest insertions, then deletions.
    """
    row = [(n, n, 0, 0) for n in range(len(heard) + 1)]  # total, insertions, deletions, substitutions
    for a in said:
        diagonal, row[0] = row[0], (row[0][0] + 1, row[0][1], row[0][2] + 1, row[0][3])
        for j, b in enumerate(heard, 1):
            total, inserted, deleted, replaced = diagonal
            ways = [diagonal if a == b else (total + 1, inserted, deleted, replaced + 1)]
            total, inserted, deleted, replaced = row[j]
            ways.append((total + 1, inserted, deleted + 1, replaced))
            total, inserted, deleted, replaced = row[j - 1]
            ways.append((total + 1, inserted + 1, deleted, replaced))
            diagonal, row[j] = row[j], min(ways)
    _, inserted, deleted, replaced = row[-1]
    return Edits(replaced, deleted, inserted)


def error_rate(pairs: Iterable[tuple[Sequence[Hashable], Sequence[Hashable]]]) -> float:
    """Edits per symbol said, over all pairs (said, heard); NaN where nothing is said."""
    total = count = 0
    for said, heard in pairs:
        total += edits(said, heard).total
        count += len(said)
    return total / count if count else float("nan")
