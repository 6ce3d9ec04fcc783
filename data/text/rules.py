"""What the files of rules share: a rule replaces what a regular expression finds by spoken words.

The expressions run over text of any length, so each is linear: it starts at a fixed character or behind a
look-behind, and its repetitions are bounded or of one class of characters.
"""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache

Match = re.Match[str]
Say = Callable[[Match], str | None]
Rule = tuple[re.Pattern[str], Say]

OVERRIDE = "\ue000"  # stands for an inline override while the rules run
NUMBER = r"(?:\d{1,3}(?:,\d{3}){1,5}(?!\d)|\d{1,15})"
DECIMAL = rf"(?:{NUMBER}(?:\.\d{{1,15}})?|\.\d{{1,15}})"
MONEY = "$€£¥₹₽₩₿"  # the signs of currencies, for a class of characters
NOT_INSIDE = r"(?<![\w.,^])(?<!\^-)"  # before a number: not the rest of a longer one

# Words that begin sentences more often than names do: what stands before them may end a sentence.
STARTERS = frozenset(
    """A An The This That These Those There Here He She It They We I You His Her Its Their Our My Your
    Who What When Where Why How Which If In On At By For From To With And But Or So Then As After Before
    While Because Although Since Until Once Now Today Tomorrow Yesterday Later Soon Meanwhile However
    Perhaps Maybe Yes No Not Never Let Is Are Was Were Do Does Did Can Could Will Would Should May Might
    Must Have Has Had Be Come Go Please Both Some Many Most All Each Every Everyone Nobody Nothing Only
    Just Even Still Also Turn Stop Continue Follow Head Keep Walk Exit Cross Make Leave Take Look See
    Ask Call""".split()
)


def rule(pattern: str, say: Say | str, flags: int = 0) -> Rule:
    """Return a rule.

    Args:
        pattern: what to look for; ASCII classes.
        say: the words for it, or a function from the match to them; None leaves the text as it is.
        flags: of `re.compile`.
    """
    words = say
    return re.compile(pattern, flags | re.ASCII), words if callable(words) else lambda match: match.expand(
        words
    )


def apply(rules: Iterable[Rule], text: str) -> str:
    """Return `text` with the rules applied in turn; words are kept apart from the letters beside them."""
    for pattern, say in rules:
        text = pattern.sub(lambda match, say=say: _spaced(match, say(match)), text)  # type: ignore[misc]
    return text


def _spaced(match: Match, words: str | None) -> str:
    if words is None or not words:
        return match[0] if words is None else " "
    text, start, end = match.string, match.start(), match.end()
    before = start > 0 and (text[start - 1].isalnum() or text[start - 1] == OVERRIDE) and words[0].isalnum()
    after = end < len(text) and (text[end].isalnum() or text[end] == OVERRIDE) and words[-1].isalnum()
    return f"{' ' if before else ''}{words}{' ' if after else ''}"


_NEXT_WORD = re.compile(r"\s+[\"'(]?([A-Z][A-Za-z]*)")
_FIGURE = re.compile(r"\s+[\"'(]?\d")
_TO_END = re.compile(r"[\"')]*\s*(?:$|\n\s*\n)")


def ends_sentence(match: Match, capital_is_enough: bool = False) -> str:
    """Return "." when the sentence seems to end with the abbreviation that was found, else "".

    Args:
        match: of the abbreviation with its period.
        capital_is_enough: any capitalised word that follows begins a sentence, not only the usual ones.
    """
    text = match.string
    if _TO_END.match(text, match.end()):
        return "."
    following = _NEXT_WORD.match(text, match.end())
    if following is None:
        return "." if capital_is_enough and _FIGURE.match(text, match.end()) else ""
    return "." if capital_is_enough or following[1] in STARTERS else ""


@lru_cache(maxsize=1024)
def spelled(letters: str) -> str:
    """Return the letters one by one, as capitals: "fbi" is "F B I"."""
    return " ".join(letters.upper())


def one_of(words: Iterable[str]) -> str:
    """Return a group that matches any of `words`, the longest first."""
    return (
        "(?:" + "|".join(re.escape(word) for word in sorted(words, key=lambda word: (-len(word), word))) + ")"
    )
