"""Skipped and repeated words, in sequences of phones made by hand."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mynah.tts.word_errors import Step, WordErrors, alignment, word_errors

WORDS = st.lists(st.text("abc", min_size=1, max_size=4), max_size=4)
HEARD = st.text("abc", max_size=9)


@given(WORDS, HEARD)
def test_an_alignment_is_complete_and_in_order(words, heard):
    steps = alignment(words, heard)
    assert [s.said for s in steps if s.said is not None] == list(range(len("".join(words))))
    assert [s.heard for s in steps if s.heard is not None] == list(range(len(heard)))


def ways(said: str, heard: str, i: int = 0, j: int = 0) -> Iterator[list[Step]]:
    """All alignments of the rest of two sequences."""
    if (i, j) == (len(said), len(heard)):
        yield []
    for a, b in ((1, 1), (1, 0), (0, 1)):
        if i + a <= len(said) and j + b <= len(heard):
            for rest in ways(said, heard, i + a, j + b):
                yield [Step(i if a else None, j if b else None), *rest]


def costs(words: list[str], heard: str, steps: list[Step]) -> tuple[int, int]:
    """What the edits of an alignment cost, and disturbed words."""
    said, owner = "".join(words), [number for number, word in enumerate(words) for _ in word]
    cost, disturbed, place = 0, set(), 0
    for step in steps:
        if step.said is None or step.heard is None:
            cost += 3
        else:
            cost += 4 * (said[step.said] != heard[step.heard])
        if step.heard is None:
            disturbed.add(owner[place])
        if step.said is None and 0 < place < len(said) and owner[place] == owner[place - 1]:
            disturbed.add(owner[place])
        place += step.said is not None
    return cost, len(disturbed)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text("ab", min_size=1, max_size=2), max_size=3), st.text("ab", max_size=5))
def test_of_the_cheapest_it_disturbs_the_fewest_words(words, heard):
    best = min(costs(words, heard, steps) for steps in ways("".join(words), heard))
    assert costs(words, heard, alignment(words, heard)) == best


@pytest.mark.parametrize(
    ("said", "heard", "skipped", "repeated"),
    [
        ("the cat sat", "thecatsat", [], []),
        ("", "", [], []),
        ("the cat", "", ["the", "cat"], []),
        ("", "thecat", [], []),
        ("the cat sat", "thesat", ["cat"], []),
        ("the cat sat", "catsat", ["the"], []),
        ("the cat sat", "thecat", ["sat"], []),
        # Something else in their place is no gap, and neither are phones that are swallowed.
        ("the cat sat", "thedogsat", [], []),
        ("the cat sat", "xyzuvwijk", [], []),
        ("the cat sat", "thtst", [], []),
        ("the cat sat", "thectsa", [], []),
        # A fifth of a word may be left over, no more.
        ("our elephants left", "ourlleft", ["elephants"], []),
        ("our elephants left", "ourelleft", [], []),
        ("a horse came", "ahcame", ["horse"], []),
        ("a horse came", "ahocame", [], []),
        # One phone is no evidence.
        ("i saw a cat", "sawcat", [], []),
        ("a cat", "aaacat", [], []),
        # Said again: a word, several, badly, and parts of words, which are none.
        ("the cat sat", "thecatcatsat", [], ["cat"]),
        ("the cat sat", "thethecatsat", [], ["the"]),
        ("the cat sat", "thecatsatsat", [], ["sat"]),
        ("the cat sat", "thecatthecatsat", [], ["the", "cat"]),
        ("the cat sat", "thecatsatthecatsat", [], ["the", "cat", "sat"]),
        ("a cat sat", "acatacatsat", [], ["a", "cat"]),
        ("the cat sat", "thecatxcatsat", [], ["cat"]),
        ("the horse sat", "thehorsehorzesat", [], ["horse"]),
        ("the cat sat", "thecatkitsat", [], []),
        ("the cat sat", "thecacatsat", [], []),
        ("the cat sat", "thecatdogsat", [], []),
        # Not where it stands, or inside of another word.
        ("the cat sat on", "thecatsattheon", [], []),
        ("seventeen in", "sevinenteenin", [], []),
        # What the text repeats has to be said as often as that.
        ("no no no", "nonono", [], []),
        ("no no no", "nono", ["no"], []),
        ("no no no", "no", ["no", "no"], []),
        ("no no no", "nononono", [], ["no"]),
        ("that that one", "thatone", ["that"], []),
        # Both at once.
        ("the big cat sat", "thethecatsat", [], []),
        ("the big black cat sat", "thethebigcatsat", ["black"], ["the"]),
    ],
)
def test_words(said, heard, skipped, repeated):
    words = said.split()
    found = word_errors(words, heard)
    assert [words[place] for place in found.skipped] == skipped
    assert [words[place] for place in found.repeated] == repeated
    assert list(found.skipped) == sorted(set(found.skipped))


def test_places_are_told():
    words = [("ð", "ə"), ("k", "æ", "t"), ("s", "æ", "t")]
    assert word_errors(words, ("ð", "ə", "s", "æ", "t")) == WordErrors((1,), ())
    assert word_errors(words, ("ð", "ə", "k", "æ", "t", "s", "æ", "t", "s", "æ", "t")) == WordErrors((), (2,))


@given(st.lists(st.text("abcdefgh", min_size=1, max_size=5), max_size=6))
def test_what_was_said_is_without_fault(words):
    assert word_errors(words, "".join(words)) == WordErrors((), ())
