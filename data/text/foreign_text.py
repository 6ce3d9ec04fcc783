"""Text of other languages, cleaned for eSpeak NG: `normalise`.

eSpeak reads numbers, abbreviations and signs itself, in the language. What is no text is treated as in
English: emoji, control characters, tags and letters of other scripts are skipped with a warning, inline
overrides are checked and stay.
"""

import re
import unicodedata
from functools import lru_cache, partial

from . import markup
from .characters import NAMES, Skipped, clean, english
from .espeak import LANGUAGES
from .normalise import EMOTICON, Normalised, check_length, nothing_to_say
from .overrides import protect, restore
from .rules import OVERRIDE, Match

SPOKEN = "€£¥¢₹$°§±×÷²³½¼¾%&@+=/#ºª"  # signs whose names eSpeak knows in most languages

_LETTERS = ("Lu", "Ll", "Lt", "Lo")
_REST = re.compile(rf"[^\w\s' ,.?!;:—…()\"–−{SPOKEN}{OVERRIDE}-]|_")
_LEFT_OVER = {"[": " (", "]": ") ", "{": " (", "}": ") ", "|": ", ", "_": " "}
_SPACES = [
    (re.compile(r"\.{2,}|…[.…]+"), "…"),
    # a new paragraph without a mark ends a sentence
    (re.compile(r"(?<=[\w'\"),])\s*\n\s*\n\s*"), ". "),
    (re.compile(r"\s+"), " "),
    (re.compile(r" ?-{2,} ?| [–−-] (?!\d)|—"), " — "),
    (re.compile(r"[–−]"), "-"),
    (re.compile(r"(?<=[,;:?!…)])(?=[^\W\d])|(?<=[^\W\d])(?=\()"), " "),
    # hyphens within words, a minus before a figure; apostrophes beside a letter: "'-A" ends eSpeak's Danish
    (re.compile(r"-(?!\w)|(?<![\w ])-|(?<= )-(?!\d)|^-(?!\d)|'(?!\w)(?<!\w')"), " "),
    (re.compile(r"\( +"), "("),
    (re.compile(r" +(?=[,?!;:…)]|\.(?!\w))"), ""),
    (re.compile(r" {2,}"), " "),
]


def normalise(text: str, language: str) -> Normalised:
    """Return `text` with the letters, digits, marks and signs that eSpeak reads; the rest is in the warnings.

    Args:
        text: of the language.
        language: a code of `espeak.LANGUAGES`.

    Raises:
        NothingToSay: it has no letter, digit or override.
        TextError: as for English text: too long, damaged, or with a wrong override.
    """
    check_length(text)
    skipped = Skipped()
    script = LANGUAGES[language].script
    plain_of = partial(_plain, script=script)
    spoken, overrides = protect(text)
    spoken = markup.plain(clean(spoken, skipped, plain_of), skipped, plain_of)
    spoken = EMOTICON.sub(lambda match: _skip(match, skipped, "emoticons are not spoken"), spoken)
    spoken = _REST.sub(lambda match: _left_over(match, skipped), spoken)
    for pattern, plain in _SPACES:
        spoken = pattern.sub(plain, spoken)
    if language == "el":
        spoken = spoken.replace(";", "?")  # the Greek question mark
    if not any(char.isalnum() or char == OVERRIDE for char in spoken):
        raise nothing_to_say(text, skipped, script)
    return Normalised(restore(spoken.strip(), overrides), tuple(skipped.warnings()))


def _skip(match: Match, skipped: Skipped, why: str) -> str:
    skipped.note(match[0], why)
    return " "


def _left_over(match: Match, skipped: Skipped) -> str:
    if match[0] in _LEFT_OVER:
        return _LEFT_OVER[match[0]]
    return _skip(match, skipped, "the sign is not spoken here")


@lru_cache(maxsize=8192)
def _plain(char: str, script: str) -> tuple[str, str]:
    """As `characters.english`, of a language that has letters of its own and names signs in its own way."""
    if char in SPOKEN:
        return char, ""
    if unicodedata.category(char) in _LETTERS and unicodedata.name(char, "").startswith(("LATIN", script)):
        return char, ""
    if char in NAMES:
        return " ", "emoji or symbol"
    return english(char)
