"""Long text in pieces: nothing lost, nothing cut that belongs together, bounded, in constant memory."""

import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mynah.data.errors import MynahError
from mynah.data.text import phonemize_long, split

LONG = "Word " * 50


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("One. Two! Three? Four", ["One. ", "Two! ", "Three? ", "Four"]),
        ("Dr. Smith saw Mr. X. He left.", ["Dr. Smith saw Mr. X. ", "He left."]),
        ("J. R. R. Tolkien vs. St. John", ["J. R. R. Tolkien vs. St. John"]),
        ("In the U.S. Army. In the U.S. He", ["In the U.S. Army. ", "In the U.S. ", "He"]),
        ("It cost $1.50 or 3.5 km. No. 5 too.", ["It cost $1.50 or 3.5 km. ", "No. 5 too."]),
        ("On Jan. 5 at 5 p.m. He left.", ["On Jan. 5 at 5 p.m. ", "He left."]),
        ('"Really?" he said. "Yes."', ['"Really?" he said. ', '"Yes."']),
        ("Title\n\nText", ["Title\n\n", "Text"]),
        ("Wait... what? see www.a.com. Now", ["Wait... what? see www.a.com. ", "Now"]),
        ("[A. Bc. D](/t ə/) is. It", ["[A. Bc. D](/t ə/) is. ", "It"]),
    ],
)
def test_sentences(text, pieces):
    assert [piece.text for piece in split(text)] == pieces


def test_marks_of_the_ends():
    text = f"Yes! No? Well… So. {LONG}, {LONG}; {LONG} — {LONG}\n\n{'x' * 300}"
    assert [piece.end for piece in split(text, 260)] == ["!", "?", "…", ".", ",", ";", "—", ".", "", ""]


def test_long_sentences_break_at_phrases_then_at_spaces():
    pieces = list(split("a b, " * 10 + "c " * 30, 30))
    assert all(len(piece.text) <= 30 for piece in pieces)
    assert [piece.end for piece in pieces][:2] == [",", ","]


@pytest.mark.parametrize(
    "whole",
    [
        "January 5, 2024",
        "$5 million",
        "Dr. Smith",
        "5 km",
        "555 123 4567",
        "[long override](/t ə m ˈɑː t oʊ/)",
    ],
)
def test_what_belongs_together_stays_together(whole):
    for before in range(60):
        pieces = list(split("x " * before + whole + " and so on it goes to the end", 45))
        if whole != "Dr. Smith" and not whole.startswith("$"):
            assert any(whole in piece.text for piece in pieces), pieces


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from([*"aA1.,;!? \n-—()…'\"[]/", "Dr. ", "St. ", "word ", "5 km", "[a](/t ə/)", "x" * 30]),
        max_size=60,
    ),
    st.integers(20, 60),
    st.integers(1, 40),
)
def test_nothing_is_lost_and_parts_do_not_matter(fragments, longest, size):
    text = "".join(fragments)
    pieces = list(split(text, longest))
    assert "".join(piece.text for piece in pieces) == text
    assert all(piece.text and len(piece.text.strip()) <= longest + 12 for piece in pieces)
    assert list(split((text[at : at + size] for at in range(0, len(text), size)), longest)) == pieces


def test_too_short_a_bound():
    with pytest.raises(ValueError, match="longest is 5"):
        list(split("a", 5))


def test_an_hour_of_text_in_constant_memory():
    sentence = "The quick brown fox jumps over the lazy dog, and Dr. Smith pays $5. "
    tracemalloc.start()
    count = sum(1 for _ in split(sentence for _ in range(1000)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 1000
    assert peak < 300_000


def test_phonemize_long():
    results = list(phonemize_long(["Hello. 👍👍. ", "\n\n*** 5 dogs! 12345", "67890123456789"], longest=60))
    texts = [result.text for result in results]
    assert texts[0] == "Hello."
    assert texts[1] == "five dogs!"
    assert " ".join(texts[2:]).startswith("one two three") and all(len(text) <= 60 for text in texts)
    assert any("👍" in warning for warning in results[1].warnings)


def test_phonemize_long_with_nothing_to_say():
    with pytest.raises(MynahError, match="nothing to say"):
        list(phonemize_long("👍. ... !"))
