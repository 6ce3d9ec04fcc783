"""How dates, times of day and years are read, as in the United States."""

import re

from .numerals import ONES, cardinal, decimal, ordinal, pairs, year
from .rules import MONEY, NOT_INSIDE, Match, Rule, ends_sentence, one_of, rule

MONTHS = "January February March April May June July August September October November December".split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
SHORT = {
    **{month[:3]: month for month in MONTHS},
    "Sept": "September",
    **{day[:3]: day for day in DAYS},
    "Tues": "Tuesday",
    "Thur": "Thursday",
    "Thurs": "Thursday",
}
SHORT.pop("May")
_MONTH = rf"(?P<month>{one_of(MONTHS)}|{one_of(k for k, v in SHORT.items() if v in MONTHS)}\b\.?)"
_DAY = r"(?P<day>0?[1-9]|[12]\d|3[01])"
_DOTTED = r"(\d{1,2})\.(\d{1,2})\.(1\d{3}|20\d{2})"
_WEEKDAY = one_of(short for short, full in SHORT.items() if full in DAYS)
_AFTER_WEEKDAY = "|".join(rf"(?<=\b{day}{comma} )" for day in DAYS for comma in ("", ","))

# A number of four digits is a year after these, whatever follows; after the second group it is a count.
_BEFORE_YEAR = frozenset(
    """in since until till year circa early late mid spring summer autumn fall winter during class
    founded born died established dated copyright before""".split()
) | {month.lower() for month in MONTHS}
_BEFORE_COUNT = frozenset(
    """over exactly than nearly approximately almost only all these those some total sum least most
    costs cost weighs weighed worth paid pay earned scored sold bought counted""".split()
)
# Plural nouns end in s; these do not, and those words in s are no nouns.
_IRREGULAR = frozenset(
    "people men women children feet teeth mice sheep fish deer troops dollars cattle".split()
)
_NO_NOUN = frozenset(
    "was is has as its this his us does goes says thus always yes whereas across perhaps".split()
)


def _full(month: str) -> str:
    month = month.rstrip(".")
    return SHORT.get(month, month)


def _month_day(month: int, day: int, of_year: str = "") -> str | None:
    """Words of a date, None when there is no such day."""
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return None
    if len(of_year) == 2:
        of_year = f"{20 if of_year < '50' else 19}{of_year}"
    return f"{MONTHS[month - 1]} {ordinal(str(day))}" + (f", {year(of_year)}" if of_year else "")


def _iso(match: Match) -> str | None:
    return _month_day(int(match[2]), int(match[3]), match[1])


def _slashes(match: Match) -> str | None:
    first, second = int(match[1]), int(match[2])
    return _month_day(first, second, match[3]) or _month_day(second, first, match[3])


def _dots(match: Match) -> str | None:
    return _month_day(int(match[2]), int(match[1]), match[3]) or _month_day(
        int(match[1]), int(match[2]), match[3]
    )


def is_dotted(text: str) -> bool:
    """Whether `text` is a date such as 25.12.2023, not a version."""
    match = re.fullmatch(_DOTTED, text, re.ASCII)
    return match is not None and _dots(match) is not None


def _days(match: Match) -> str | None:
    """6/1, 6/1-6/3 where a day is named before."""
    days = [_slashed_day(match[1], match[2]), _slashed_day(match[3], match[4]) if match[3] else ""]
    return None if None in days else " to ".join(filter(None, days))


def _slashed_day(first: str, second: str) -> str | None:
    return _month_day(int(first), int(second)) or _month_day(int(second), int(first))


def _month_first(match: Match) -> str:
    words = f"{_full(match['month'])} {ordinal(match['day'])}"
    if match["until"]:
        words += f" to {ordinal(match['until'])}"
    return words + (f", {year(match['year'])}" if match["year"] else "")


def _day_first(match: Match) -> str:
    words = f"{ordinal(match['day'])} of {_full(match['month'])}"
    words = words if re.search(r"\bthe\s+$", match.string[: match.start()][-8:]) else f"the {words}"
    return words + (f", {year(match['year'])}" if match["year"] else "")


def _clock(hours: str, minutes: str) -> str | None:
    if int(hours) > 24 or int(minutes) > 59:
        return None
    if minutes == "00":
        return cardinal(str(int(hours)))
    low = f"oh {ONES[int(minutes)]}" if minutes[0] == "0" else cardinal(minutes)
    return f"{cardinal(str(int(hours)))} {low}"


def _midnight(hours: str, minutes: str) -> str:
    return "midnight" if int(hours) in (0, 24) and minutes == "00" else ""


def _time(match: Match) -> str | None:
    words = _clock(match["h"], match["m"] or "00")
    if words is None or (int(match["h"]) > 12 and not match["m"]):
        return None
    if match["s"]:
        words = f"{words}, {cardinal(str(int(match['s'])))} seconds"
    half = f"{match['half'].upper()} M"
    words = f" to {words}" if match["to"] else words
    if match["until"]:
        hour, _, minute = match["until"].partition(":")
        words += f" to {_clock(hour, minute or '00')}"
    return f"{words} {half}" + (ends_sentence(match) if match[0].endswith(".") else "")


def _time_of_day(match: Match) -> str | None:
    words = _clock(match["h"], match["m"])
    if words is None:
        return None
    if match["s"]:
        low = cardinal(str(int(match["s"]))) + (" second" if int(match["s"]) == 1 else " seconds")
        return f"{words} and {low}" if match["m"] != "00" else f"{words} o'clock and {low}"
    hour = int(match["h"])
    words = _midnight(match["h"], match["m"]) or words
    if match["until"]:
        hours, _, minutes = match["until"].partition(":")
        until = (_midnight(hours, minutes) or _clock(hours, minutes)) if minutes else cardinal(hours)
        return f"{words} to {until}" if until else None
    if match["m"] != "00" or words == "midnight":
        return words
    return f"{words} o'clock" if 1 <= hour <= 12 and match["h"][0] != "0" else f"{words} hundred"


def _military(match: Match) -> str:
    """0600 hours."""
    hour = f"oh {ONES[int(match[1])]}" if match[1][0] == "0" else cardinal(match[1])
    minutes = (
        "hundred"
        if match[2] == "00"
        else f"oh {ONES[int(match[2])]}"
        if match[2] < "10"
        else cardinal(match[2])
    )
    return f"{hour} {minutes} hours"


def _fiscal(match: Match) -> str:
    """FY2023/24, FY24."""
    first = year(match[1]) if len(match[1]) == 4 else cardinal(match[1])
    return f"fiscal year {first}" + (f" to {cardinal(match[2])}" if match[2] else "")


def _lasting(match: Match) -> str:
    """2h 30m, 45m 12s, 4:05.32."""
    parts = [
        f"{decimal(number.lstrip('0') or '0')} {name}{'' if number == '1' else 's'}"
        for number, name in zip(match.groups(""), ("hour", "minute", "second"), strict=True)
        if number
    ]
    return " ".join(parts)


def _years(match: Match) -> str | None:
    """1914-18, 1914-1918."""
    first, last = match[1], match[2]
    if not 1000 <= int(first) <= 2100 or (len(last) == 2 and last <= first[2:]):
        return None
    if len(last) == 4 and not int(first) < int(last) <= 2100:
        return None
    if len(last) == 4:
        return f"{year(first)} to {year(last)}"
    return f"{year(first)} to {'oh ' + ONES[int(last)] if last[0] == '0' else cardinal(last)}"


def _year_or_count(match: Match) -> str | None:
    value = int(match[0])
    words = re.findall(r"[A-Za-z]+", match.string[max(0, match.start() - 30) : match.start()])
    before = words[-1].lower() if words else ""
    if not 1000 <= value <= 2099:
        return year(match[0]) if before == "year" else None
    following = re.match(r"\s+([a-z]+(?:-[a-z]+)?\s+)?([a-z]+)", match.string[match.end() :][:60])
    if before not in _BEFORE_YEAR and following is not None:
        nouns = [following[2]] if following[1] is None else [following[1].strip(), following[2]]
        if plural_noun(nouns[0]):
            return cardinal(match[0])
    if before in _BEFORE_COUNT:
        return cardinal(match[0])
    return year(match[0])


def plural_noun(word: str) -> bool:
    return word in _IRREGULAR or (
        len(word) > 3 and word.endswith("s") and not word.endswith("ss") and word not in _NO_NOUN
    )


RULES: list[Rule] = [
    rule(r"\b9/11\b(?!/)", "nine eleven"),
    rule(r"\b24/7\b(?!/)", "twenty-four seven"),
    rule(
        rf"\b({_WEEKDAY})\.? ?[-–—] ?({_WEEKDAY})\b\.?",
        lambda m: f"{_full(m[1])} to {_full(m[2])}" + (ends_sentence(m) if m[0][-1] == "." else ""),
    ),
    rule(rf"\b({_WEEKDAY})\.?(?=,? \d)", lambda m: _full(m[1])),
    rule(rf"{NOT_INSIDE}(\d{{4}})-(\d{{2}})-(\d{{2}})(?!\d|[-/]\d)(?:T(?=\d\d:))?", _iso),
    rule(rf"{NOT_INSIDE}(\d{{4}})/(\d{{1,2}})/(\d{{1,2}})(?![\d/])", _iso),
    rule(rf"{NOT_INSIDE}(?<!/)(\d{{1,2}})/(\d{{1,2}})/(\d{{4}}|\d{{2}})(?![\d/])", _slashes),
    rule(rf"{NOT_INSIDE}(\d{{1,2}})-(\d{{1,2}})-(\d{{4}})(?![\d-])", _slashes),
    rule(rf"(?<=\.\d{{4}})(?: ?[-–] ?| — )(?={_DOTTED}(?!\d))", " to "),
    rule(rf"{NOT_INSIDE}{_DOTTED}(?!\d)", _dots),
    rule(
        rf"(?:(?<=\bon )|{_AFTER_WEEKDAY})(\d{{1,2}})/(\d{{1,2}})(?:[-–](\d{{1,2}})/(\d{{1,2}}))?(?![\d/])"
        r"(?![ -](?:of|off|price|day|time|cup|hour|mile|inch|pound|tsp|tbsp|lb|oz)s?\b)",
        _days,
    ),
    rule(
        rf"\b{_MONTH} {_DAY}(?:st|nd|rd|th)?(?: ?[-–] ?(?P<until>[12]?\d|3[01])(?!\d))?"
        r"(?:,? (?P<year>1\d{3}|20\d{2})(?!\d|,\d|[.:]\d))?(?!\d|[.,:]\d| percent|%|st\b|nd\b|rd\b|th\b)",
        _month_first,
    ),
    rule(
        rf"{NOT_INSIDE}{_DAY}(?:st|nd|rd|th)? (?:of )?{_MONTH}(?:,? "
        rf"(?P<year>1\d{{3}}|20\d{{2}})(?!\d))?(?![a-z])",
        _day_first,
    ),
    rule(rf"\b({one_of(SHORT)})\.(?=,? \d)", lambda m: _full(m[1])),
    rule(
        rf"\b({one_of(k for k, v in SHORT.items() if k not in ('Mar', 'Sun', 'Sat', 'Jan'))})\.(?!\w)",
        lambda m: _full(m[1]) + ends_sentence(m),
    ),
    rule(rf"\b({one_of(k for k in SHORT)})(?=,? (?:{one_of(MONTHS)} )?\d)", lambda m: _full(m[1])),
    rule(
        r"\b([Oo]n|[Ii]n|[Uu]ntil|[Ss]ince|[Bb]y|last|next|this|every|from|of|late|early) "
        r"(Sat|Sun|Mar|Jan)\.",
        lambda m: f"{m[1]} {_full(m[2])}{ends_sentence(m)}",
    ),
    rule(rf"\b({one_of(SHORT)})\.?[-–]({one_of(SHORT)})\b\.?", lambda m: f"{_full(m[1])} to {_full(m[2])}"),
    # durations, times
    rule(rf"{NOT_INSIDE}(\d{{1,2}})h ?(\d{{1,2}})m(?:in)?(?: ?(\d{{1,2}})s)?(?!\w)", _lasting),
    rule(rf"{NOT_INSIDE}()(\d{{1,3}})m ?(\d{{1,2}})s(?!\w)", _lasting),
    rule(rf"{NOT_INSIDE}(?<!:)(?:(\d{{1,2}}):)?(\d{{1,2}}):(\d{{2}}\.\d{{1,3}})(?![\w:]|\.\d)", _lasting),
    rule(r"(?<![\w:.,])([01]\d|2[0-3]):([0-5]\d)(?::\d\d(?:\.\d{1,6})?)?Z\b", r"\1:\2 U T C"),
    rule(rf"{NOT_INSIDE}(1[0-2]|\d)\.([0-5]\d)(?= ?[aApP]\.?[mM]\b)", r"\1:\2"),
    rule(
        r"(?:(?P<to>(?<=[mM.])[-–] ?)|(?<![\w:,])(?<!\d\.))(?P<h>\d{1,2})(?::(?P<m>\d{2}))?(?::(?P<s>\d{2}))?"
        r"(?: ?(?:-|–|to) ?(?P<until>(?:0?[1-9]|1[0-2])(?::[0-5]\d)?))? ?(?P<half>[aApP])"
        r"(?:\. ?[mM](?:\.|(?!\w))|[mM](?!\w))",
        _time,
    ),
    rule(
        r"(?<![\w:.,])(?P<h>\d{1,2}):(?P<m>\d{2})(?::(?P<s>\d{2}))?"
        r"(?:(?:[-–]| - (?=\d{1,2}:))(?P<until>\d{1,2}:\d{2}|\d{1,3}))?(?!(?!ish\b)[\w:]|\.\d)",
        _time_of_day,
    ),
    rule(
        r"(?<![\w.,:-])(0\d|(?:(?<=\b[Aa]t )|(?<=\b[Bb]y ))(?:1\d|2[0-3]))([0-5]\d) h(?:ou)?rs\b", _military
    ),
    # years
    rule(r"(?<=\d\d)[-–](?='\d\d\b)", " to "),
    rule(r"(?<!\w)'(\d\d)\b(?!')", lambda m: f"oh {ONES[int(m[1])]}" if m[1][0] == "0" else cardinal(m[1])),
    rule(r"\bFY ?'?((?:20)?\d\d)(?:[-–/](?:20)?(\d\d))?(?![\w/-])", _fiscal),
    rule(
        rf"{NOT_INSIDE}(\d{{1,4}}) (BCE?|CE|AD|B\.C\.(?:E\.)?|A\.D\.|C\.E\.)(?![\w])",
        lambda m: (
            f"{year(m[1])} {' '.join(m[2].replace('.', ''))}" + (ends_sentence(m) if m[0][-1] == "." else "")
        ),
    ),
    rule(r"\b(AD|A\.D\.) (\d{1,4})(?!\w|[.,]\d)", lambda m: f"A D {year(m[2])}"),
    rule(rf"{NOT_INSIDE}(?<![-–/{MONEY}])(\d{{4}}) ?[-–/] ?(\d{{4}}|\d{{2}})(?!\w|[-–.,/]\d)", _years),
    rule(
        rf"{NOT_INSIDE}(?<![-–/{MONEY}+#^])(?<![{MONEY}] )\d{{4}}"
        rf"(?![\w%°'{MONEY}/^]|[-–.,:]\d| [{MONEY}](?! ?\d)| ?"
        rf"(?:%|million\b|billion\b|thousand\b|percent\b|[-–+×*=] ?\d|×))",
        _year_or_count,
    ),
    rule(r"\b([Pp]re|[Pp]ost|[Mm]id)-(1[1-9]\d\d|20\d\d)(?![\w.,:-]\d|\w)", lambda m: f"{m[1]}-{year(m[2])}"),
    # house numbers
    rule(
        r"(?<![\w.,#-])(\d{3,4})(?= (?:North |South |East |West )?"
        r"(?:[A-Z][a-z]{1,20}|\d{1,3}(?:st|nd|rd|th)) "
        r"(?:Street|Avenue|Road|Boulevard|Drive|Lane|Court|Place|Way|Terrace|Circle)\b)",
        lambda m: pairs(m[1]),
    ),
]
