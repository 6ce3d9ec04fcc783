"""How the numbers that no other rule has claimed are read: fractions, ranges, sums, ordinals,
signs and counts."""

import re

from .numerals import LONGEST, cardinal, decimal, digits, mixed, ordinal, pairs, plural
from .quantities import ALONE, UNITS, several
from .ranges import SPACED_HYPHEN, between
from .rules import DECIMAL, NOT_INSIDE, NUMBER, Match, Rule, one_of, rule, spelled

_POWERS = {"2": "squared", "3": "cubed"}
_SUMS = {"+": "plus", "-": "minus", "−": "minus", "–": "minus", "*": "times", "×": "times", "x": "times",
         "/": "over",
         "=": "equals", "<": "is less than", ">": "is greater than", "~": "is about", "<=": "is at most",
         ">=": "is at least", "==": "equals", "!=": "is not equal to"}  # fmt: skip

_SCRIPTURE = one_of(
    """Genesis Exodus Leviticus Numbers Deuteronomy Joshua Judges Ruth Samuel Chronicles Ezra Nehemiah
    Esther Job Psalm Psalms Proverbs Ecclesiastes Isaiah Jeremiah Lamentations Ezekiel Daniel Hosea Joel Amos
    Obadiah Jonah Micah Nahum Habakkuk Zephaniah Haggai Zechariah Malachi Matthew Mark Luke John Acts Romans
    Corinthians Galatians Ephesians Philippians Colossians Thessalonians Timothy Titus Philemon Hebrews James
    Peter Jude Revelation Quran Surah""".split()
)


def _long(match: Match) -> str:
    """Numbers of absurd length: digit by digit."""
    whole, _, part = match[0].replace(",", "").partition(".")
    words = cardinal(whole) if len(whole) <= LONGEST else digits(whole)
    return f"{words} point {digits(part)}" if part else words


def _scientific(match: Match) -> str:
    mantissa = (
        f"{'minus ' if match['minus'] else ''}{decimal(match['number'])} times " if match["number"] else ""
    )
    power = match["power"].lstrip("+")
    words = f"the minus {cardinal(power[1:])}" if power[0] in "-−" else f"the {ordinal(power)}"
    return f"{mantissa}ten to {words}" + (f" {several(UNITS[match['unit']])}" if match["unit"] else "")


def _power(match: Match) -> str:
    power = match[1].replace("−", "-")
    if power in _POWERS:
        return f" {_POWERS[power]}"
    if power[0] == "-":
        return f" to the minus {cardinal(power[1:])}"
    return f" to the {ordinal(power)}" if power.isdigit() else f" to the {power}"


def _fraction(match: Match) -> str | None:
    whole, top, bottom = match["whole"], match["top"], match["bottom"]
    tail = match.string[match.end() :][:8]
    # 8/10 is a mark, 80/20 and 50/50 are shares
    marked = re.match(r" (?:stars|points)\b", tail) or (bottom == "10" and not re.match(r"-| of\b", tail))
    if marked and not whole and not match["minus"]:
        return f"{cardinal(top)} out of {cardinal(bottom)}"
    if not whole and top != "1" and (top == bottom or int(top) + int(bottom) == 100):
        return f"{cardinal(top)} {cardinal(bottom)}"
    if not whole and len(bottom) > 1 and int(top) > int(bottom):  # a blood pressure
        return f"{'minus ' if match['minus'] else ''}{cardinal(top)} over {cardinal(bottom)}"
    return ("minus " if match["minus"] else "") + mixed(whole, top, bottom)


def _range(match: Match) -> str:
    return f"{decimal(match[1])} to {decimal(match[2])}"


def _chain(match: Match) -> str:
    return ", ".join(digits(group) if group[0] == "0" or len(group) > 3 else cardinal(group)
                     for group in re.findall(r"\d+", match[0]))  # fmt: skip


def _sum(match: Match) -> str:
    return f"{match[1]} {_SUMS[match[2]]} "


def _suffix(match: Match) -> str:
    """Digits after a letter: A380, MP3, H2O, COVID-19."""
    figures = match[0].lstrip("-")
    return " " + _name(figures)


def _name(figures: str) -> str:
    return pairs(figures) if len(figures) == 3 and figures[-2:] != "00" else cardinal(figures)


def _plural(match: Match) -> str:
    return plural(
        cardinal(match[1])
        if len(match[1]) < 3
        else pairs(match[1])
        if len(match[1]) < 5
        else cardinal(match[1])
    )


def _players(match: Match) -> str:
    """49ers."""
    words = cardinal(match[1])
    return words + ("rs" if words.endswith("e") else "ers")


def _verse(match: Match) -> str:
    until = f" to {cardinal(match[4])}" if match[4] else ""
    return f"{match[1]} {cardinal(match[2])} {cardinal(match[3])}{until}"


# Before all other rules: what is left has at most 15 digits in a row.
LONG: list[Rule] = [
    # thousands kept apart by spaces, where they cannot be a telephone number
    rule(
        r"(?<![\w.,])(?<!\d )\d{1,3}(?: \d{3}){0,4} 000(?![\w.,] ?\d| \d)\b", lambda m: m[0].replace(" ", ",")
    ),
    rule(r"(?<![\d.,])\d{1,15}\.\d{16,}(?!\.?\d)", _long),
    rule(r"(?<![\d,])\d{1,3}(?:,\d{3}){5,}(?:\.\d{1,1000})?(?!\d)", _long),
    rule(r"\d{16,}", _long),
]

RULES: list[Rule] = [
    rule(rf"\b({_SCRIPTURE}|[12] Kings) (\d{{1,3}}):(\d{{1,3}})(?:[-–](\d{{1,3}}))?(?![\w:]|\.\d)", _verse),
    rule(
        rf"{NOT_INSIDE}(?P<minus>(?<!\w)[-−])?(?:(?P<number>{DECIMAL}) ?[×x*] ?)?10\^"
        rf"(?P<power>[-−+]?\d{{1,4}})(?!\d)(?: (?P<unit>{one_of(UNITS.keys() - ALONE)})(?!\w))?",
        _scientific,
    ),
    rule(
        rf"{NOT_INSIDE}(?P<minus>(?<!\w)[-−])?(?P<number>{DECIMAL})[eE](?P<power>[-−+]?\d{{1,4}})(?P<unit>)(?!\w)",
        _scientific,
    ),
    rule(r"(?<=[\w)])\^\(?([-−]?\d{1,4}|[a-zA-Z])\)?(?!\w)", _power),
    rule(
        rf"{NOT_INSIDE}(\d{{1,6}}\.\d{{1,6}})/(\d{{1,6}})(?![\w/])",
        lambda m: f"{decimal(m[1])} out of {cardinal(m[2])}",
    ),
    rule(r"\b50-50\b", "fifty fifty"),
    # a mixed number, a fraction
    rule(
        rf"{NOT_INSIDE}(?P<minus>(?<![\w)])[-−])?(?<!/)(?:(?P<whole>\d{{1,6}})(?: |-| and"
        rf" ))?(?P<top>\d{{1,6}})/(?P<bottom>[1-9]\d{{0,5}})(?![\w/]|[.,]\d)",
        _fraction,
    ),
    rule(r"(?<![\w.,-])\d{1,15}(?:-\d{1,15}){2,20}(?![\w-])", _chain),
    rule(
        rf"{NOT_INSIDE}({DECIMAL})[-–−]({DECIMAL})(?= ?=)", lambda m: f"{decimal(m[1])} minus {decimal(m[2])}"
    ),
    rule(rf"{NOT_INSIDE}(?<!-)({DECIMAL}) ?– ?({DECIMAL})(?![\w–-])", _range),
    rule(rf"{NOT_INSIDE}(?<![-–])({DECIMAL})-({DECIMAL})(?![\w-])", _range),
    rule(
        rf"{NOT_INSIDE}(?<!:)(\d{{1,6}}):({NUMBER})(?![\w:])",
        lambda m: f"{cardinal(m[1])} to {cardinal(m[2])}",
    ),
    rule(r"(?<=[=+*/<>(] )[-−](?=[A-Za-z]\b)|(?<=\()[-−](?=[A-Za-z]\b)", "minus "),
    # sums; a sign between numbers or letters with spaces around it, or between numbers
    rule(SPACED_HYPHEN, between),
    rule(r"(?<![\w.])(\w{1,15}|[\w.,]{1,15}\d|\))(?: )(\+|−|\*|×|=|<|>|<=|>=|==|!=) (?=[-−]?[\w(.])", _sum),
    rule(r"(?<=[\d)]) (\+|−|\*|×|=|/) (?=[-−]?[\w(])", lambda m: f" {_SUMS[m[1]]} "),
    rule(r"(?<=\d)()(<=|>=|==|!=|[+*×=<>])(?=[-−]?\.?\d)", _sum),
    rule(r"(?<=\d)()(<=|>=|[<>])(?=[A-Za-z]\b)", _sum),
    rule(r"(?<=\b[A-Za-z])()(<=|>=|==|!=|[+*×=<>])(?=[-−]?[\da-zA-Z]\b)", _sum),
    rule(r"(?<=\d)\+(?!\w)", " plus"),
    rule(r"(?<![\w)+])\+(?=\.?\d)", "plus "),
    rule(r"(?<![\w)\-−])[-−](?=\.?\d)", "minus "),
    rule(r"(?<![\w*])\*(?=\d)", "star "),
    rule(r"(?<!\w)# ?(?=\d)", "number "),
    rule(r"(?<=[A-Za-z] )#(?= [a-z]|[.,;:?)\"']|\s*$)", "number"),
    rule(rf"(?<![\w.,])({NUMBER})(?:st|nd|rd|th|ST|ND|RD|TH)\b", lambda m: ordinal(m[1])),
    rule(r"(?<![\w.,-])(\d{1,6})'?s\b", _plural),
    rule(r"(?<![\w.,-])(\d{1,3}(?:,\d{3}){1,4})'?s\b", lambda m: plural(cardinal(m[1]))),
    rule(
        r"(?<![\d.,])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])", lambda m: " dot ".join(map(cardinal, m[0].split(".")))
    ),
    rule(r"(?<![\w.,-])(\d[1-9])ers\b", _players),
    # MP3s, F-16s; SO2, H2SO4
    rule(r"(?:(?<=[A-Za-z])|(?<=[A-Z])-)(\d{1,4})s\b", lambda m: f" {plural(_name(m[1]))}"),
    rule(r"(?<![A-Z&])[A-Z]{2}(?=\d)|(?<=[A-Z]\d)[A-Z]{2,3}(?![A-Za-z])", lambda m: spelled(m[0])),
    # letters and digits in one word; what a letter begins is a name, what a digit begins is counted
    rule(r"(?<=[A-Za-z])-?\d{1,15}(?![\d.,]\d)", _suffix),
    rule(r"(?<![\d.])\.\d{1,15}", lambda m: decimal(m[0])),
    rule(rf"(?<![\d.,]){NUMBER}\.\d{{1,15}}(?!\d)", lambda m: decimal(m[0])),
    rule(NUMBER, lambda m: cardinal(m[0])),
]
