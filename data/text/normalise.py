"""From written to spoken English: `normalise`."""

import re
from collections.abc import Callable, Container
from typing import NamedTuple

from ..errors import TextError
from . import abbreviations, capitals, dates, electronic, figures, markup, money, plurals, quantities, ranges
from .characters import Skipped, clean
from .overrides import protect, restore
from .rules import MONEY, OVERRIDE, Match, apply

LONGEST = 1_000_000  # characters at once; `split` takes text of any length
PASSES = 4

EMOTICON = re.compile(r"(?<![\w(])(?:[:;][-^']?[)(DPpOo/\\|*]|\^_\^)(?!\w)")
_SPEAKABLE = re.compile(rf"[A-Za-z{OVERRIDE}]")
_REST = re.compile(rf"[^A-Za-z' ,.?!;:—…()\"{OVERRIDE}-]+")
_LEFT_OVER = {"&": " and ", "%": " percent ", "@": " at ", "+": " plus ", "=": " equals ", "/": ", ",
              "$": " dollar ",
              "€": " euro ", "£": " pound ", "¥": " yen ", "°": " degrees ", "µ": " mu ", "×": " times ",
              "–": " — ",
              "−": " minus ", "_": " ", "′": "'", "″": '"', "[": " (", "]": ") ", "{": " (", "}": ") ",
              "|": ", ",
              "₹": " rupee ", "₿": " bitcoin ", "¢": " cents ", "₽": " ruble ", "₩": " won ",
              "#": " hash "}  # fmt: skip


class NothingToSay(TextError):
    """Text without a word, a number or an override: `warnings` says what was skipped in it."""

    warnings: tuple[str, ...] = ()


class Normalised(NamedTuple):
    """Text as it is spoken.

    Attributes:
        text: words of a-z, A-Z and apostrophes, single capitals for letters that are spelled, hyphens
        within compounds, the marks
            , . ? ! ; : — … ( ) " and inline overrides.
        warnings: a line for everything that was skipped.
    """

    text: str
    warnings: tuple[str, ...]


def normalise(text: str, words: Container[str] = ()) -> Normalised:
    """Return `text` as a careful American reader says it; normalised text is returned as it is.

    Inline overrides such as `[tomato](/t ə m ˈɑː t oʊ/)` stay, with their phonemes in the inventory's
    spelling.
    What happens to characters that are not English is described in `characters`.

    Args:
        text: English text.
        words: lower-case words, as of a user's lexicon, that are kept whole in capitals ("SQL") and in mixed
            case ("GitHub").

    Raises:
        NothingToSay: nothing in `text` can be spoken.
        TextError: it is longer than `LONGEST`, holds unpaired surrogates, or an
            override has phonemes that do not exist or is not closed.
    """
    check_length(text)
    skipped = Skipped()
    spoken = _once(text, skipped, words)
    for _ in range(PASSES):  # a rule may have set free what another reads: "U.S.$" or "#COVID19"
        again = _once(spoken, skipped, words)
        if again == spoken:
            break
        spoken = again
    if not _SPEAKABLE.search(spoken):
        raise nothing_to_say(text, skipped)
    return Normalised(spoken, tuple(skipped.warnings()))


def check_length(text: str) -> None:
    """Raise TextError for more than `LONGEST` characters."""
    if len(text) > LONGEST:
        raise TextError(f"{len(text)} characters of text at once; at most {LONGEST}, or `split` it")


def nothing_to_say(text: str, skipped: Skipped, script: str = "Latin") -> NothingToSay:
    """Return the error for text without a word."""
    what = repr(text if len(text) <= 40 else text[:40] + "…")
    nothing = NothingToSay(
        f"nothing to say in {what}: expected words or numbers in {script.capitalize()} letters"
    )
    nothing.warnings = tuple(skipped.warnings())
    return nothing


def _once(text: str, skipped: Skipped, words: Container[str]) -> str:
    text, overrides = protect(text)
    text = markup.plain(clean(text, skipped), skipped)
    text = EMOTICON.sub(lambda match: _emoticon(match, skipped), text)
    text = _spaces(text)
    for rules in _STAGES:
        text = apply(rules, text)
    text = apply(capitals.rules(words), text)
    text = capitals.capitals(text, words)
    text = re.sub(r"(?<=[A-Za-z])/(?=[A-Za-z])", " slash ", text)
    text = _punctuation(_REST.sub(lambda match: _left_over(match, skipped), text))
    return restore(text, overrides)


_STAGES = (
    figures.LONG,
    electronic.RULES,
    abbreviations.RULES,
    ranges.RULES,
    dates.RULES,
    plurals.RULES,
    money.RULES,
    quantities.RULES,
    figures.RULES,
)


def _emoticon(match: Match, skipped: Skipped) -> str:
    skipped.note(match[0], "emoticons are not spoken")
    return " "


def _left_over(match: Match, skipped: Skipped) -> str:
    out = []
    for char in match[0]:
        if char in _LEFT_OVER:
            out.append(_LEFT_OVER[char])
        else:
            out.append(" ")
            if not char.isspace():
                skipped.note(char, "the sign is not spoken here")
    return "".join(out)


# Before the rules: spaces, dashes and dots in one form.
_BEFORE: list[tuple[re.Pattern[str], str]] = [
    (re.compile(r"[ \t\x0b\x0c\r]+"), " "),
    (re.compile(r" ?\n[ \n]*\n"), "\n\n"),
    (re.compile(r"(?<=[a-z]) -(?=[a-z])"), "-"),
    # 1) First 2) Second; also in brackets of their own
    (re.compile(r"(?<![\w(.,])(\d{1,3}|[A-Za-z])\)(?= [A-Z])"), r"\1,"),
    (re.compile(r"(?<=[A-Za-z,;])-\n(?=[a-z])"), "-"),
    (re.compile(r"\.{2,}|…[.…]+|(?<!\.)\. \. \.(?: \.)?"), "…"),
    # a range whose dash has spaces, a minus as word processors write it
    (re.compile(r"(?<=[ap]\.m\.) [-–] (?=\d{1,2}(?::\d\d)? ?[ap]\.? ?m)", re.IGNORECASE | re.ASCII), "-"),
    (re.compile(r"(?<=\d) – (?=\d)", re.ASCII), " - "),
    (re.compile(rf"(?<![^\s(\"'])(?<!\d )–(?=[{MONEY}]?\.?\d)", re.ASCII), "-"),
    (re.compile(r" ?-{2,} ?| [—–] "), " — "),
    # between words; what stands beside figures or letters of their own is left to `ranges`
    (re.compile(r"(?<=[^\W\d]{2}) - (?=[^\W\d])|(?<=[^\W\d]) - (?=[^\W\d]{2})|(?<=[.,!?;:\"]) - "), " — "),
]


def _spaces(text: str) -> str:
    for pattern, plain in _BEFORE:
        text = pattern.sub(plain, text)
    return text


_AFTER: list[tuple[re.Pattern[str], str | Callable[[Match], str]]] = [
    # a new paragraph without a mark ends a sentence
    (re.compile(r"(?<=[\w'\"),])\s*\n\s*\n\s*"), ". "),
    (re.compile(r"\s+"), " "),
    (re.compile(r"(?<![A-Za-z])'(?!(?:tis|twas|em|til|cause|bout|n)\b)|'(?![A-Za-z])", re.IGNORECASE), ""),
    (re.compile(rf"(?<![A-Za-z{OVERRIDE}])-+|-+(?![A-Za-z{OVERRIDE}])"), " "),
    (re.compile(r"\(\s*\)"), " "),
    (re.compile(r'"\s*"'), " "),
    (re.compile(r"\( +"), "("),
    (re.compile(r" +(?=[,.?!;:…)])"), ""),
    (re.compile(r" *— *(?:— *)*"), " — "),
    (re.compile(r"[,.?!;:…]{2,}"), lambda match: _mark(match[0])),
    (re.compile(r"(?<=[,.?!;:…]) — | — (?=[,.?!;:…])"), " "),
    (re.compile(r"(?<=[,;:?!.…])(?=[A-Za-z(—])"), " "),
    (re.compile(r"(?<=[A-Za-z)])(?=\()|(?<=\))(?=[A-Za-z(])"), " "),
    (re.compile(r" {2,}"), " "),
]


def _mark(marks: str) -> str:
    """One mark for a run of them: the question, the exclamation, the ellipsis, else the last."""
    for mark in "?!…":
        if mark in marks:
            return mark
    return marks[-1]  # the period of an abbreviation goes before a comma


def _punctuation(text: str) -> str:
    for _ in range(3):
        before = text
        for pattern, plain in _AFTER:
            text = pattern.sub(plain, text)
        text = re.sub(r"^[\s,.;:!?…—)]+", "", text).strip()
        text = re.sub(r"[ (]+$", "", text)
        if text == before:
            break
    return text
