"""Normalisation: the table beside this file, what must hold for all text, and text that is refused."""

import re
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mynah.data.errors import MynahError
from mynah.data.text import NothingToSay, normalise

TABLE = Path(__file__).with_suffix(".tsv").read_text(encoding="utf-8").splitlines()
CASES = [line.split("\t") for line in TABLE if line and not line.startswith("# ")]
ALLOWED = re.compile(r"[A-Za-z' ,.?!;:—…()\"-]*")
OVERRIDES = re.compile(r"\[[^\[\]()\n]+\]\(/[^()\n]+/\)")

# What rules look for, so that they meet in ways that no table has.
FRAGMENTS = [*dict.fromkeys(word for case in CASES for word in case[0].split()),
*"$€%/-–—.,:;!?'\"()[]{}#@&*+=<>^~_|\\°²½",
             "\n", "\n\n", "…", "A", "I", "S", "5", "0", "1", "x", "II", "U.S.", "'s", "US",
             "a.m."]  # fmt: skip


def test_the_table_is_large():
    assert len(CASES) >= 150


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0])
def test_table(case):
    spoken = normalise(case[0])
    assert spoken.text == case[1]
    assert bool(spoken.warnings) == (len(case) > 2), spoken.warnings
    assert normalise(spoken.text) == (spoken.text, ())


def check(text: str) -> None:
    """What holds for all text: normalised, or one clear line."""
    try:
        spoken = normalise(text)
    except MynahError as error:
        assert "\n" not in str(error) and len(str(error)) < 600
        return
    assert ALLOWED.fullmatch(OVERRIDES.sub("", spoken.text)), spoken.text
    again = normalise(spoken.text)
    assert again.text == spoken.text
    assert again.warnings == ()


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60))
def test_any_unicode(text):
    check(text)


@settings(max_examples=50, deadline=None)
@given(st.text(st.characters(codec=None, exclude_categories=()), max_size=20))
def test_any_code_point_even_surrogates(text):
    check(text)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(FRAGMENTS), st.sampled_from(["", " ", " "])), max_size=10))
def test_fragments_in_any_order(parts):
    check("".join(fragment + space for fragment, space in parts))


HOSTILE = [
    *"1-.'[(AV…éяα👍\n &µ\x00\u0301",
    *"1, 1. 1- 1/ 1: a. A. a' $1 [a](/ A1 #a @a a@ x^ 1e http:// a- <a 1x a_ 1° 1,000, a+".split(),
    *("1 ", "I ", "St. ", "No. 1 ", "5 km ", "p.m. ", "IV ", "a b\n", "+1 "),
    *("1.2.2023 ", "<a ", "&#", "#", "C#", "~/", "[a](/x"),
    *("1 - ", "a - 1 ", "1 – ", "10s, ", '1" ', "1st-", "₹1,00,", "the 10s and ", "A and "),
]


def seconds_for(text: str) -> float:
    """Processor time of normalising `text`, which may be refused."""
    began = time.process_time()
    try:
        normalise(text)
    except MynahError:
        pass
    return time.process_time() - began


@pytest.mark.parametrize("unit", HOSTILE)
def test_hostile_repetitions_take_linear_time(unit):
    assert seconds_for(unit * (4000 // len(unit))) < 0.8  # 0.1 s is usual


@pytest.mark.slow
@pytest.mark.parametrize("unit", HOSTILE)
def test_100_000_hostile_characters_take_seconds(unit):
    assert seconds_for(unit * (100_000 // len(unit))) < 8  # 3 s at most on a machine with nothing else to do


def test_ordinary_text_of_100_000_characters_takes_seconds():
    text = "Dr. Smith paid $1.50 on Jan. 5, 2024, and left at 5 p.m. He saw the FBI. It was 72°F! " * 1150
    assert seconds_for(text) < 4  # 1 s is usual


@pytest.mark.parametrize(
    "text", ["", " \n\t", "...", "?!", "👍🎉", "()", "Привет", "你好", "[](//)", "\x00", "---", "*"]
)
def test_nothing_to_say(text):
    with pytest.raises(NothingToSay, match="nothing to say"):
        normalise(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a\ud800b", "unpaired surrogate U\\+D800 at character 2"),
        ("[tomato](/t ə q/) is red", "override of 'tomato'.*'q' is not a phoneme; allowed"),
        ("[tomato](//)", "no phonemes"),
        ("x" * 1_000_001, "1000001 characters"),
        ("a [tomato](/t ə m ˈɑː", "^the override of 'tomato' is not closed with /\\)$"),
        ("[tomato](/t ə m ˈɑː t oʊ/ is red (really)", "override of 'tomato' is not closed"),
        ("[tomato](/t ə m ˈɑː t oʊ)", "override of 'tomato' is not closed"),
        ("[tomato](/T AH0 M AA1", "override of 'tomato' is not closed"),
    ],
)
def test_refused(text, words):
    with pytest.raises(MynahError, match=words):
        normalise(text)


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("[text](http link)", "(text) (http link)"),
        ("[text](/about page)", "(text) (, about page)"),
        ("[text](/usr/bin)", "text"),
        ("[text](/wiki/Foo_(bar))", "(text) (, wiki slash Foo (bar))"),
    ],
)
def test_links_are_no_overrides(text, spoken):
    assert normalise(text).text == spoken


def test_warnings_say_what_to_do():
    (latin,) = normalise("ə x").warnings
    (modifier,) = normalise("ˈx").warnings
    (chinese,) = normalise("你好 x").warnings
    assert "in Latin letters" not in latin + modifier and "[word](/phonemes/)" in latin
    assert modifier.startswith("skipped 'ˈ': modifier letters are not spoken")
    assert "CJK letters are not spoken; write it in Latin letters" in chinese


def test_headings_are_markup():
    for text in ("# Heading", "## Heading"):
        spoken = normalise(text)
        assert spoken.text == "Heading" and "markup is not spoken" in spoken.warnings[0]


def test_warnings_name_what_is_skipped_and_do_not_flood():
    (warning,) = normalise("Say Привет мир now").warnings[:1]
    assert "Привет" in warning and "Cyrillic" in warning
    many = normalise("a " + " a ".join(chr(0x1F600 + place) for place in range(70)))
    assert len(many.warnings) == 21
    assert many.warnings[-1] == "skipped 50 other things"
    assert "3 times" in normalise("well 👍 done 👍 you 👍").warnings[0]
