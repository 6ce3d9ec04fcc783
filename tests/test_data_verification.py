"""Equal error rates against values counted by hand; which parts of recordings are compared."""

import numpy as np
import pytest

from mynah.data.verification import Part, equal_error_rate, parts_to_compare, verification_errors


def rate(same: list[float], different: list[float]) -> float:
    scores = np.array(same + different)
    return equal_error_rate(scores, np.arange(len(scores)) < len(same))


@pytest.mark.parametrize(
    ("same", "different", "expected"),
    [
        ([0.9, 0.8], [0.1, 0.2], 0.0),
        ([0.1, 0.2], [0.9, 0.8], 1.0),
        ([0.9, 0.3], [0.5, 0.1], 0.5),  # one of two on the wrong side each
        ([0.9, 0.8, 0.7, 0.2], [0.6, 0.1, 0.1, 0.0], 0.25),
        ([0.5, 0.5], [0.5, 0.5], 0.5),  # nothing is told apart
        ([0.9], [0.1, 0.2, 0.3], 0.0),
    ],
)
def test_known_rates(same, different, expected):
    assert rate(same, different) == pytest.approx(expected)


def test_between_two_thresholds_it_is_interpolated():
    """From rejecting 1/4 and accepting 1/3 to rejecting 2/4 and accepting 1/3: they meet at 1/3. And from
    1/5 and 1/4 to 1/5 and 0: at 1/5."""
    assert rate([0.9, 0.8, 0.2, 0.1], [0.3, 0.15, 0.05]) == pytest.approx(1 / 3)
    assert rate([0.9, 0.8, 0.7, 0.65, 0.2], [0.6, 0.5, 0.1, 0.0]) == pytest.approx(0.2)


def test_neither_scale_nor_order_matter():
    rng = np.random.default_rng(0)
    scores, same = rng.normal(size=4000), rng.random(4000) < 0.2
    scores += 2.0 * same
    found = equal_error_rate(scores, same)
    assert found == pytest.approx(0.1587, abs=0.02)  # two normal distributions, two deviations apart
    order = rng.permutation(4000)
    assert equal_error_rate(np.exp(scores[order]), same[order]) == pytest.approx(found)


@pytest.mark.parametrize("same", [[True, True], [False, False], []])
def test_pairs_of_both_kinds_are_needed(same):
    with pytest.raises(ValueError, match="pairs of one speaker and pairs of two"):
        equal_error_rate(np.zeros(len(same)), np.array(same, bool))


def test_parts_of_recordings():
    speakers = ["a"] * 30 + ["b", "c", "d", "e", "e"]
    seconds = [float(i + 1) for i in range(30)] + [5.0, 20.0, 1.0, 1.4, 9.0]
    parts = parts_to_compare(speakers, seconds)
    of_a = [part for part in parts if part.recording < 30]
    assert len(of_a) == 20 and len({part.recording for part in of_a}) == 20
    assert of_a[0] == Part(1, 0.0, 2.0) and of_a[-1] == Part(29, 0.0, 8.0)  # the one of 1 s is too short
    others = [part for part in parts if part.recording >= 30]
    halves = [Part(31, 0.0, 8.0), Part(31, 10.0, 18.0)]
    assert others == [Part(30, 0.0, 5.0), *halves, Part(34, 0.0, 4.5), Part(34, 4.5, 9.0)]
    assert parts_to_compare([], []) == []


def test_errors_by_group():
    """Five speakers of a corpus are told apart, four of another are too few; names count within theirs."""
    unit = np.eye(5)
    embeddings = np.concatenate([unit, unit, unit[:4], unit[:4]])
    groups = ["x"] * 10 + ["y"] * 8
    speakers = [*"abcde", *"abcde", *"abcd", *"abcd"]
    found = verification_errors(embeddings, groups, speakers)
    assert list(found) == ["x", "all"]
    assert found["x"] == (0.0, 5, 40, 5)
    assert found["all"].same == 9 and found["all"].speakers == 9
    assert found["all"].rate > 0  # the same voice in two corpora is two speakers
    mixed = verification_errors(embeddings[:10], groups[:10], [*"abcde", *"bacde"])
    assert mixed["x"].rate == mixed["all"].rate > 0.03
    assert verification_errors(unit, ["x"] * 5, list("abcde")) == {}  # no two recordings of anybody
    assert verification_errors(unit[:0], [], []) == {}
