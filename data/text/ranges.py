"""What a hyphen or dash between two figures is: "to", "minus" or a pause."""

import re

from .dates import MONTHS, SHORT
from .numerals import cardinal
from .quantities import UNITS
from .rules import MONEY, Match, Rule, one_of, rule

# not one of its own, as in the cell of a table or on a command line
SPACED_HYPHEN = r"(?<=[^\s|\-−]) - (?=[-−]?[^\s|<>=\-−])"
_MONTHS = one_of([*MONTHS, *SHORT])
_ORDINAL = r"\d{1,4}(?:st|nd|rd|th)"
# A figure of its own before the hyphen, not the end of "COVID-19" or "Q1", with what measures it.
_FIGURE_BEFORE = re.compile(
    rf"(?:^|[\s(\"'~{MONEY}+])[-−]?\.?\d[\d.,:/]{{0,20}}"
    rf"(?:st|nd|rd|th|[%'\"′″{MONEY}¢]| ?°(?: ?[CF])?| ?(?:[ap]\.?m|AM|PM|{one_of(UNITS)}|{_MONTHS}\.?"
    r"|BCE?|CE|AD|hundred|thousand|million|billion|trillion|percent))?$",
    re.ASCII,
)
_FIGURE_AFTER = re.compile(
    rf"[-−+~]?[{MONEY}]?\.?\d|'\d0s|{_MONTHS}\.? \d|(?:present|now|today|noon|midnight)\b", re.ASCII
)
_MONEY_BEFORE = re.compile(rf"[{MONEY}] ?[\d.,]{{1,20}}\S{{0,2}}(?: \w{{2,10}})?$", re.ASCII)
# one thing with a title: "Step 1 - 2 cups of flour"
_TITLED_BEFORE = re.compile(
    r"\b(?:Act|Chapter|Day|Episode|Lesson|Level|Module|Part|Question|Room|Rule|Scene|Section|Step|Tip|Unit|Week)"
    r" \d{1,3}$",
    re.ASCII,
)
# "in 1990 - 20 years later"
_YEAR_BEFORE = re.compile(r"\b(?:1\d|20)\d\d$", re.ASCII)
_WHILE_AFTER = re.compile(r"\d{1,3} (?:years?|months?|weeks?|days?)\b", re.ASCII)
_LETTER_BEFORE = re.compile(r"(?:^|[^\w'])[b-hj-z]$", re.ASCII)
_CAPITAL_BEFORE = re.compile(r"(?:^|[^\w'])[B-HJ-Z]$", re.ASCII)
_LETTER_AFTER = re.compile(r"[b-hj-z](?![\w'])", re.ASCII)
_CLAUSE_END = re.compile(r"[,;:.!?](?=\s)|[\n—]")
# The signs of sums, and the words that the rules make of them.
_OPERATOR = re.compile(
    r"[=÷√]| [−/<>] |[\w)] ?[+*×] ?[\d(]|[\w)] [+*×] |\b(?:plus|equals|squared|cubed)\b"
    r"|\b(?:[Ww]hat is|[Ww]hat's|[Cc]alculate|[Cc]ompute|[Ss]olve) [\d(]",
    re.ASCII,
)


def _around(match: Match) -> tuple[str, str]:
    text = match.string
    return text[max(0, match.start() - 80) : match.start()], text[match.end() : match.end() + 80]


def _is_sum(head: str, tail: str) -> bool:
    """Whether another operator stands in the clause, or one side is a letter as in algebra."""
    if _LETTER_BEFORE.search(head) or _LETTER_AFTER.match(tail):
        return True
    if _CAPITAL_BEFORE.search(head) and re.match(r"1(?![\w.,:-]?\w)", tail):  # N - 1; but Plan B - 5 steps
        return True
    if re.match(r"[\d.,]{1,20} is \d", tail):  # 5 - 3 is 2
        return True
    clause = _CLAUSE_END.split(head)[-1], _CLAUSE_END.split(tail)[0]
    return any(_OPERATOR.search(part) for part in clause)


def _pause(match: Match) -> str | None:
    """A hyphen with spaces around it that is neither a minus nor between figures is a dash."""
    head, tail = _around(match)
    if _is_sum(head, tail):
        return None
    if not _FIGURE_BEFORE.search(head) or not _FIGURE_AFTER.match(tail):
        return " — "
    if re.match(rf"{_ORDINAL}\b", tail) and not re.search(rf"{_ORDINAL}$", head):  # in 1990 - 2nd edition
        return " — "
    if tail[0] in MONEY and not _MONEY_BEFORE.search(head):  # iPhone 12 - $799
        return " — "
    if _TITLED_BEFORE.search(head):
        return " — "
    return " — " if _YEAR_BEFORE.search(head) and _WHILE_AFTER.match(tail) else None


def between(match: Match) -> str:
    """What is said for a hyphen with spaces around it that no rule of dates or measures has claimed."""
    return " minus " if _is_sum(*_around(match)) else " to "


def _offset(match: Match) -> str | None:
    """UTC-8, GMT+5:30, UTC-08:00."""
    if int(match[3]) > 14:
        return None
    minutes = f" {cardinal(match[4])}" if match[4] and match[4] != "00" else ""
    return f"{match[1]} {'plus' if match[2] == '+' else 'minus'} {cardinal(match[3])}{minutes}"


RULES: list[Rule] = [
    rule(r"\b(GMT|UTC) ?([-−–+]) ?0?(\d{1,2})(?::?([0-5]\d))?(?![\w:]|\.\d)", _offset),
    rule(SPACED_HYPHEN, _pause),
    rule(rf"(\d(?:st|nd|rd|th)) ?[-–] ?(?={_ORDINAL}\b)", r"\1 to "),
    rule(r"(?<=\d0s) ?[-–] ?(?='?(?:1\d|20)?\d0'?s\b)", " to "),
    # 20°-25°C, 20°C-25°C; 5'-6', 10"-12"
    rule(r"(?:(?<=°)|(?<=°[CF]))[-–](?=\d)", " to "),
    rule(
        r"(?<![\w.,'])(\d{1,3})['′] ?[-–] ?(\d{1,3})['′](?![\w'′\"″])",
        lambda m: f"{cardinal(m[1])} to {cardinal(m[2])} feet",
    ),
    rule(r"(?<![\w.,\"])(\d{1,3})[\"″] ?[-–] ?(\d{1,3})[\"″](?!\w)", r"\1-\2″"),
]
