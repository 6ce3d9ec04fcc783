"""Inline overrides, `[tomato](/t ə m ˈɑː t oʊ/)`: found, checked, and kept away from the rules."""

import re

from ..errors import TextError
from . import markup
from .rules import OVERRIDE, Match
from .symbols import PhonemeError, parse_phonemes

INLINE = re.compile(r"\[([^\[\]()\n]{1,200})\]\(/([^()\n]{0,1000}?)/\)")
# an override without its end, or a link
_OPENED = re.compile(r"\[([^\[\]()\n]{1,200})\]\(/([^()\n]{0,1000})")
_PHONETIC = re.compile(r"[ˈˌːəɚɝɑɔɛɪʊʌθʃʒɡɹ]")


def protect(text: str) -> tuple[str, list[str]]:
    """Return `text` with `OVERRIDE` for each override, and the overrides in the inventory's spelling.

    Raises:
        TextError: an override has phonemes that do not exist, or is not closed.
    """
    overrides: list[str] = []
    text = text.replace(OVERRIDE, " ")
    text = INLINE.sub(lambda match: _protect(match, overrides), text)
    _refuse_unclosed(text)
    return text, overrides


def restore(text: str, overrides: list[str]) -> str:
    """Return `text` with its overrides in their places again."""
    kept = iter(overrides)
    return re.sub(OVERRIDE, lambda _: next(kept), text)


def _protect(match: Match, overrides: list[str]) -> str:
    try:
        phonemes = parse_phonemes(match[2])
    except PhonemeError as error:
        raise PhonemeError(f"override of {match[1]!r}: {error}") from None
    word = " ".join("".join(char if char.isprintable() else " " for char in match[1]).split())
    overrides.append(f"[{word}](/{' '.join(phonemes)}/)")
    return OVERRIDE


def _refuse_unclosed(text: str) -> None:
    """Raise TextError for the first override without its end; `text` has no others any more."""
    for match in _OPENED.finditer(text):
        if _looks_phonetic(match[2]) and not markup.LINK.match(text, match.start()):
            raise TextError(f"the override of {match[1]!r} is not closed with /)")


def _looks_phonetic(text: str) -> bool:
    """Whether it has a sign of IPA, or two phonemes in front: "T AH0 M AA1 and more"."""
    if _PHONETIC.search(text):
        return True
    try:
        return bool(parse_phonemes(" ".join(text.split()[:2])))
    except PhonemeError:
        return False
