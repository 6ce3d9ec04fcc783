"""Edit distance: against its definition, and on counts done by hand."""

import math
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mynah.data.edit_distance import edits, error_rate

SHORT = st.text("abc", max_size=7)


def by_definition(a: str, b: str) -> int:
    @cache
    def distance(i: int, j: int) -> int:
        if not i or not j:
            return i + j
        return min(
            distance(i - 1, j) + 1, distance(i, j - 1) + 1, distance(i - 1, j - 1) + (a[i - 1] != b[j - 1])
        )

    return distance(len(a), len(b))


@given(SHORT, SHORT)
def test_equals_its_definition(a, b):
    found = edits(a, b)
    assert found.total == by_definition(a, b)
    assert len(b) - len(a) == found.insertions - found.deletions
    assert edits(b, a).total == found.total


@pytest.mark.parametrize(
    ("said", "heard", "counts"),
    [
        ("kitten", "sitting", (2, 0, 1)),
        ("abc", "abc", (0, 0, 0)),
        ("", "ab", (0, 0, 2)),
        ("ab", "", (0, 2, 0)),
        ("one two three".split(), "one three".split(), (0, 1, 0)),
    ],
)
def test_counts(said, heard, counts):
    assert edits(said, heard) == counts


def test_error_rate_counts_all_pairs_together():
    assert error_rate([("abcd", "abed"), ("ab", "abxy")]) == pytest.approx(3 / 6)
    assert math.isnan(error_rate([]))
