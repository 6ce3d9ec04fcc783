"""Plurals of figures: decades, centuries, airplanes, ones and zeros; 5s may be seconds instead."""

import re

from .numerals import ONES, cardinal, pairs, plural
from .rules import Match, Rule, rule

# "the 80s and 90s", "the 400s, not the 500s"; but "the 30s timeout"
_OTHERS = r"(?:,? (?:(?:and|or|to|not) )?(?:the )?'?\d{2,4}'?s\b){0,4}"
_NO_SECONDS = r"(?! (?:timeout|delay|interval|limit|window|pause|wait|timer|countdown|cooldown|deadline)s?\b)"


def said(figures: str) -> str:
    """Return the plural of up to four digits: "80" is "eighties", "747" "seven forty-sevens", "1800"
    "eighteen hundreds"."""
    if len(figures) < 3:
        return plural(cardinal(figures))
    if figures.endswith("000"):
        return f"{cardinal(figures[0])} thousands"
    if len(figures) == 4 and not figures.endswith("00"):
        return f"{cardinal(figures[:2])} {plural(cardinal(figures[2:]))}"
    return plural(pairs(figures))


def _each(match: Match) -> str:
    return re.sub(r"'?(\d{1,4})'?s\b", lambda figures: said(figures[1]), match[0], flags=re.ASCII)


RULES: list[Rule] = [
    rule(rf"(?<!\w)'\d0'?s\b{_OTHERS}", _each),
    rule(rf"\b(?:1\d\d0|20\d0)'?s\b{_OTHERS}", _each),
    rule(
        r"\b(?:(?:his|her|their|my|your|our|early|late|mid|low|lower|high|upper)[ -](?:[1-9]00|[2-9]0)'?s"
        rf"|(?:the|two|three|four|five|six|double|triple|Boeing|Airbus)[ -]\d{{1,3}}s)\b"
        rf"{_OTHERS}{_NO_SECONDS}",
        _each,
        re.IGNORECASE,
    ),
    rule(r"(?<![\w.,-])([01])s\b", lambda m: plural(ONES[int(m[1])])),
    rule(r"(?<![\w.,-])([1-9]0)s(?= of [a-z]{2,20}s\b)", lambda m: plural(cardinal(m[1]))),
]
