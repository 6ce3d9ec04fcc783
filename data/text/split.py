"""Long text in pieces that a voice says in one breath: sentences, and phrases of bounded length."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from ..errors import TextError
from . import foreign_text
from .abbreviations import NEVER_LAST, SHORTENED
from .espeak import ENGLISH, LANGUAGES, code_of
from .foreign import TITLES, is_ordinal
from .normalise import Normalised, NothingToSay, normalise
from .overrides import INLINE
from .phonemize import Phonemes, phonemize
from .rules import STARTERS

LONGEST = 300  # characters of a piece, some 20 seconds of speech
_AHEAD = 1500  # characters looked at behind a piece: more than an override has

_SENTENCE_END = re.compile(r"([.?!…]+)[\"'”’)\]»]*(?:\s+|$)|\n[^\S\n]*\n\s*|(?<=[。？！])")
_PHRASE_END = re.compile(r"([,;:])[\"'”’)]*\s+|\s([—–-]+)\s+|(?<=[^\s-])(—|--+)|(\))\s+")
_SPACE = re.compile(r"\s+")
_LAST_TOKEN = re.compile(r"[\w.'’]{1,40}$")
_INITIALS = re.compile(r"(?:[A-Za-z]\.)*[A-Za-z]", re.ASCII)
_NEXT = re.compile(r"[\"'“‘(\[]*(\w+)")
_MARKS = {"。": ".", "？": "?", "！": "!"}


class Piece(NamedTuple):
    """A part of a text.

    Attributes:
        text: the part with the spaces behind it; all parts together are the text.
        end: what ended it: "." "?" "!" "…" (a sentence or paragraph), "," ";" ":" "—" (a phrase), "" when
        it was cut for its
            length alone, or the text ended without a mark.
    """

    text: str
    end: str


def split(text: str | Iterable[str], longest: int = LONGEST, language: str = ENGLISH) -> Iterator[Piece]:
    """Yield `text` in sentences; sentences of more than `longest` characters in phrases, or at spaces.

    Nothing is cut within an abbreviation, a number or an inline override, unless a single word is longer than
    `longest`. Memory is constant for an iterable of strings such as an open file.

    Args:
        text: raw or normalised text, whole or in parts that may end anywhere.
        longest: characters of a piece, at least 20; only an override may be longer.
        language: of others than English, few abbreviations are known.

    Raises:
        ValueError: `longest` is below 20.
    """
    if longest < 20:
        raise ValueError(f"longest is {longest}, expected at least 20 characters")
    parts = iter([text]) if isinstance(text, str) else iter(text)
    buffer, at, ended = "", 0, False
    while True:
        while not ended and len(buffer) - at < 2 * longest + _AHEAD:
            part = next(parts, None)
            if part is None:
                ended = True
            else:
                buffer, at = buffer[at:] + part, 0
        if at == len(buffer):
            return
        window = buffer[at : at + 2 * longest + _AHEAD]
        piece = _first(window, longest, ended and at + len(window) == len(buffer), language)
        at += len(piece.text)
        yield piece


def phonemize_long(
    text: str | Iterable[str],
    user_lexicon: Mapping[str, tuple[str, ...]] | None = None,
    longest: int = LONGEST,
    language: str = ENGLISH,
) -> Iterator[Phonemes]:
    """Yield the sounds of text of any length, sentence by sentence, in constant memory.

    What was skipped in pieces without a word to say stands in the warnings of the next piece.

    Args:
        text: as for `split`.
        user_lexicon: as for `phonemize`.
        longest: characters of a piece of normalised text.
        language: as for `phonemize`.

    Raises:
        TextError: there is nothing to say in all of `text`, or an override or character is refused.
        LanguageError: as `phonemize`.
    """
    code = code_of(language)
    waiting: tuple[str, ...] = ()
    spoke = False
    for piece in split(text, longest, code):
        if not piece.text.strip():
            continue
        try:
            if code == ENGLISH:
                spoken = normalise(piece.text, user_lexicon or ())
            else:
                spoken = foreign_text.normalise(piece.text, code)
        except NothingToSay as nothing:
            waiting += nothing.warnings[: 20 - len(waiting)]
            continue
        for part in split(spoken.text, longest, code):  # numbers are longer in words
            if any(char.isalnum() for char in part.text):
                told = waiting + spoken.warnings
                try:
                    yield phonemize(Normalised(part.text.strip(), told), user_lexicon, code)
                except NothingToSay as nothing:  # eSpeak NG does not know its letters
                    waiting += nothing.warnings[: 20 - len(waiting)]
                    continue
                waiting, spoken, spoke = (), Normalised(spoken.text, ()), True
    if not spoke:
        script = "Latin" if code == ENGLISH else LANGUAGES[code].script.capitalize()
        raise TextError(f"nothing to say in the text: expected words or numbers in {script} letters")


def _first(window: str, longest: int, is_all: bool, language: str) -> Piece:
    """The first piece of `window`, which is not empty."""
    overrides = [match.span() for match in INLINE.finditer(window)]
    for match in _SENTENCE_END.finditer(window):
        if match.start() > longest:
            break
        if match.end() == len(window) and not is_all and not match[0].strip():
            continue
        if not _inside(match.start(), overrides) and match.end() and _ends(window, match, language):
            mark = match[1][-1] if match[1] else _MARKS.get(window[match.start() - 1], ".")
            return _bounded(window, match.end(), mark, longest)
    if is_all and len(window) <= longest:
        return Piece(window, "")
    for pattern in (_PHRASE_END, _SPACE):
        cut, end = 0, ""
        for match in pattern.finditer(window, 0, longest + 1):
            if match.end() > longest:
                break
            if not _inside(match.start(), overrides) and _may_break(window, match, language):
                cut, end = match.end(), _phrase_mark(match) if pattern is _PHRASE_END else ""
        if cut >= longest // 4 or (cut and pattern is _SPACE):
            return Piece(window[:cut], end)
    for start, stop in overrides:
        if start < longest < stop:
            return Piece(window[: start or stop], "")
    return Piece(window[:longest], "")


def _bounded(window: str, end: int, mark: str, longest: int) -> Piece:
    """The sentence, its trailing space cut where it is very long."""
    return Piece(window[: min(end, max(longest, len(window[:end].rstrip())))], mark)


def _inside(place: int, spans: list[tuple[int, int]]) -> bool:
    return any(start < place < stop for start, stop in spans)


def _phrase_mark(match: re.Match[str]) -> str:
    return match[1] or ("," if match[4] else "—")


def _ends(text: str, match: re.Match[str], language: str) -> bool:
    """Whether a sentence ends at a mark: not at the period of an abbreviation or an initial."""
    if match[1] is None:
        return True
    following = _NEXT.match(text, match.end())
    if following is None:
        return True
    first = following[1]
    if match[1] != ".":
        return not first[0].islower()
    never_last, shortened = (NEVER_LAST, SHORTENED) if language == ENGLISH else (TITLES, frozenset())
    token = _LAST_TOKEN.search(text, max(0, match.start() - 40), match.start())
    word = token[0] if token else ""
    if word.lower() in never_last or first[0].islower():
        return False
    if first[0].isdigit() and word.lower() in shortened:
        return False
    if word.lower() in shortened or _INITIALS.fullmatch(word):
        return first in STARTERS or (word.lower() in ("a.m", "p.m") and first[0].isupper())
    if is_ordinal(word, language):
        return False
    # "1. First": the number of a list item is no sentence
    return not (word.isdigit() and text[: match.start() - len(word)].strip() == "")


def _may_break(text: str, match: re.Match[str], language: str) -> bool:
    """Whether a phrase may end here: not in "January 5, 2024", "$5 million", "Dr. Smith", "5 km"."""
    before, after = text[: match.start()], text[match.end() : match.end() + 1]
    if not before.strip():
        return False
    if match.re is _PHRASE_END:
        return not (before[-1].isdigit() and after.isdigit())
    last = before[-1]
    if last == ".":
        token = _LAST_TOKEN.search(before[:-1])
        if token is not None and is_ordinal(token[0], language):
            return False
        never_last = NEVER_LAST | SHORTENED if language == ENGLISH else TITLES
        return token is None or token[0].lower() not in never_last
    return not (last.isdigit() or after.isdigit() or last in "$€£#(" or after in "%°)")
