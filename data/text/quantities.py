"""How measures are read: percentages, units, temperatures, dimensions."""

import re

from .dates import plural_noun
from .numerals import cardinal, decimal, mixed, year
from .rules import DECIMAL, NOT_INSIDE, Match, Rule, one_of, rule

_MANY = {"M": "million", "B": "billion"}
_BASE = {
    "m": "meter", "g": "gram", "s": "second", "l": "liter", "L": "liter", "Hz": "hertz", "W": "watt",
    "V": "volt",
    "A": "ampere", "J": "joule", "Pa": "pascal", "N": "newton", "B": "byte", "cal": "calorie",
    "eV": "electron volt",
    "Wh": "watt hour", "Ah": "ampere hour", "bps": "bit per second", "bit/s": "bit per second",
    "B/s": "byte per second",
    "ohms": "ohm",
}  # fmt: skip
_PREFIXES = {
    "n": "nano",
    "µ": "micro",
    "m": "milli",
    "c": "centi",
    "k": "kilo",
    "M": "mega",
    "G": "giga",
    "T": "tera",
}
_PREFIXED = """nm µm mm cm km ng µg mg kg ns µs ms µl ml mL cl cL µL kHz MHz GHz THz mW kW MW GW TW mV kV mA
    µA     kJ MJ kPa MPa GPa kN kB MB GB TB kcal keV MeV GeV TeV kWh MWh GWh mAh kbps Mbps Gbps kbit/s Mbit/s
    Gbit/s kB/s MB/s GB/s""".split()
UNITS = {
    **_BASE,
    **{
        unit: (_PREFIXES[unit[0]] + _BASE[unit[1:]])
        for unit in _PREFIXED
    },
    "KB": "kilobyte", "Kb": "kilobit", "Mb": "megabit", "Gb": "gigabit", "PB": "petabyte", "GiB": "gibibyte",
    "MiB": "mebibyte", "hPa": "hectopascal", "in": "inch", "ft": "foot", "yd": "yard", "yds": "yard",
    "mi": "mile",
    "oz": "ounce", "lb": "pound", "lbs": "pound", "fl oz": "fluid ounce", "fl. oz": "fluid ounce",
    "gal": "gallon",
    "qt": "quart", "pt": "pint", "tsp": "teaspoon", "tbsp": "tablespoon", "min": "minute",
    "mins": "minute", "h": "hour",
    "hr": "hour", "hrs": "hour", "sec": "second", "secs": "second", "yr": "year", "yrs": "year",
    "mph": "mile per hour",
    "kph": "kilometer per hour", "kmh": "kilometer per hour", "km/h": "kilometer per hour",
    "m/s": "meter per second",
    "rpm": "revolution per minute", "fps": "frame per second", "mpg": "mile per gallon", "dB": "decibel",
    "sq ft": "square foot", "sq. ft": "square foot", "sq m": "square meter", "sq km": "square kilometer",
    "sq mi": "square mile", "cu ft": "cubic foot", "ha": "hectare", "px": "pixel", "psi": "P S I", "t": "ton",
    "wk": "week", "wks": "week", "mol": "mole", "bpm": "beat per minute", "dpi": "dot per inch",
    "sqft": "square foot", "cc": "C C", "K": "kelvin", "knots": "knot", "kt": "knot",
    "hp": "horsepower", "Nm": "newton meter",
    "cu in": "cubic inch", "cu yd": "cubic yard", "cu m": "cubic meter", "sq in": "square inch",
    "sq yd": "square yard", "sq cm": "square centimeter",
}  # fmt: skip
ALONE = {
    "A",
    "V",
    "W",
    "K",
    "J",
    "N",
    "B",
    "t",
    "pt",
    "in",
    "min",
    "ha",
}  # words too: not after a space
# read without a number too, where no other sense is likely
_WITHOUT_NUMBER = """Hz kHz MHz GHz THz dB kB MB kB/s MB/s GB/s kbit/s Mbit/s Gbit/s kbps Mbps Gbps
    kWh MWh GWh km/h""".split()
PER = {"s": "second", "sec": "second", "h": "hour", "hr": "hour", "min": "minute", "mo": "month",
        "yr": "year",
        "wk": "week", "kg": "kilogram", "lb": "pound", "l": "liter", "L": "liter", "m": "meter",
        "km": "kilometer",
        "mi": "mile", "sq ft": "square foot", "g": "gram", "gal": "gallon"}  # fmt: skip
UNITS["″"] = "inch"
_UNIT = one_of(UNITS)
PER = {
    **{unit: UNITS[unit] for unit in ("kB", "KB", "MB", "GB", "TB", "kWh", "oz", "ha", "mL", "ml")},
    **PER,
}
# these stand before what they describe: a 12V battery, a 60W bulb, a 35mm film
_ADJECTIVES = {"A", "V", "W", "kW", "mAh", "mm", "″"}
# "seat 12A", "section 5V"; but a 15A fuse
_PLACE = re.compile(
    r"\b(?:apartment|appendix|bay|block|bus|chapter|class|door|exit|figure|flat|flight|form|gate|grade|house|item"
    r"|level|line|lot|number|page|part|pier|platform|question|room|route|row|seat|section|stand|step|suite|table"
    r"|terminal|track|unit|zone)s? $"
)
_NAME = re.compile(r"(?:-|\b(?!An? |The )[A-Z]\w{0,20} )$")
_ELECTRIC = re.compile(r"[- ](?:adapter|breaker|charger|circuit|current|fuse|load|outlet|plug|socket|supply)")
_BEHIND = re.compile(r" (?:and|at|for|from|in|of|on|or|per|to|bulb|power)\b")
_FUNCTION_WORDS = frozenset(
    "and are away from for her high his into long more less than per that the thick too was wide with".split()
)
_EXPONENT = {"2": "square", "3": "cubic"}
PER_UNIT = rf"(?:/(?P<per>{one_of(PER)}|[a-z]{{3,12}})(?![\w/]))?"
_TO = r"(?: ?[-–] ?| to )"


def several(unit: str) -> str:
    """Return the plural of a unit in words: "mile per hour" becomes "miles per hour"."""
    head, per, rest = unit.partition(" per ")
    if head.endswith(("hertz", "P S I", "C C", "kelvin", "horsepower")):
        return unit
    head = head[:-4] + "feet" if head.endswith("foot") else head + ("es" if head.endswith("inch") else "s")
    return head + per + rest


def is_one(number: str) -> bool:
    return number.replace(",", "") in ("1", "1.0")


def attributive(match: Match) -> bool:
    """Whether the amount stands before its noun: "a $5 bill"."""
    before = re.search(r"\b(?:[Aa]n?|another)\s+$", match.string[: match.start()][-12:])
    return before is not None and re.match(r"[\s-]+[a-z]{3}", match.string[match.end() :][:10]) is not None


def _measure(match: Match) -> str | None:
    unit, number = match["unit"], match["number"]
    spaced = match["gap"] != ""
    text, end = match.string, match.end()
    if unit == "s" and not spaced and re.search(r"[A-Z]-$", text[max(0, match.start() - 2) : match.start()]):
        return None  # F-16s
    following = text[end : end + 2]
    if spaced and unit in ALONE and unit not in ("K", "B") and not match["per"] and not match["power"]:
        # "5 in 10", "5 A students": a unit only at the end of a phrase, or with its period
        dotted = unit in ("in", "min", "pt") and following[:1] == "."
        if unit in ("V", "W") and _BEHIND.match(text, end):  # 60 W and 5 V
            pass
        elif (not dotted and not re.match(r"[,;:!?)]|\.|\s*$", following)) or (
            unit == "A" and following[:1] not in (",", ".", "")
        ):
            return None
    if unit == "s" and not spaced and "," in number:  # 10,000s
        return None
    if not spaced and unit in "AVWKJNBL":  # 4K; Route 1A, I-80W, seat 12A are names
        before = text[max(0, match.start() - 22) : match.start()]
        if unit == "K" or _PLACE.search(before) or (unit != "L" and _NAME.search(before)):
            return None
        if unit in "AB" and number.isdigit() and not match["per"] and not _ELECTRIC.match(text, end):
            return None
    if spaced and unit in ("K", "B") and not re.match(r"[,;:!?).]|$", following):
        return None
    words = UNITS[unit]
    power = match["power"]
    squared = ""
    if power and "/" in unit:  # m/s^2
        squared = " squared" if power[-1] == "2" else " cubed"
    elif power:
        words = f"{_EXPONENT[power[-1]]} {words}"
    if match["per"]:
        words = f"{words} per {PER.get(match['per'], match['per'])}"
    glued = match["gap"] == "-"
    noun = re.match(r" ([a-z]{3,})", text[end:][:20]) if unit in _ADJECTIVES and not spaced else None
    singular = (
        (noun is not None and noun[1] not in _FUNCTION_WORDS)
        or glued
        or (is_one(number) and not match["until"])
        or following[:1] == "-"
        or attributive(match)
    )
    minus = "minus " if match["minus"] else ""
    until = f" to {decimal(match['until'])}" if match["until"] else ""
    words = (words if singular else several(words)) + squared
    return f"{minus}{decimal(number)}{until}{'-' if glued and ' ' not in words else ' '}{words}"


def _unit(match: Match) -> str | None:
    """A unit without a number: "in MB", "a MB"; but Winnipeg, MB."""
    before = match.string[max(0, match.start() - 30) : match.start()]
    after = match.string[match.end() : match.end() + 1]
    if match[0] == "MB" and re.search(r"[A-Z][a-z]+, $", before):
        return None
    if after == "-" or re.search(r"\b(?:an?|one|per|each|every|the)\s$", before, re.IGNORECASE):
        return UNITS[match[0]]
    return several(UNITS[match[0]])


def _part(match: Match) -> str | None:
    """Fractions of a unit: 1 1/2 tsp, 3/4 mi, 1/2-in."""
    unit, words = match["unit"], mixed(match["whole"], match["top"], match["bottom"])
    if match["gap"] == " " and unit in ALONE:
        return None
    if match["gap"] == "-" or (not match["whole"] and match["top"] + match["bottom"] == "12"):
        return f"{words} {UNITS[unit]}"
    if match["whole"]:
        return f"{words} {several(UNITS[unit])}"
    return f"{words} of {'an' if UNITS[unit][0] in 'aeio' or unit in ('h', 'hr') else 'a'} {UNITS[unit]}"


def _quoted(match: Match) -> bool:
    """Whether a quotation is open, so that the mark ends it."""
    return len(re.findall(r'(?<!\d)"', match.string[max(0, match.start() - 300) : match.start()])) % 2 == 1


def _degrees(match: Match) -> str:
    names = {
        "C": " Celsius",
        "F": " Fahrenheit",
        "K": " kelvin",
        "N": " north",
        "S": " south",
        "E": " east",
        "W": " west",
    }
    minus = "minus " if match["minus"] else ""
    until = f" to {decimal(match['until'])}" if match["until"] else ""
    one = (is_one(match["number"]) and not until) or attributive(match)
    scale = names.get(match["scale"] or "", "")
    return f"{minus}{decimal(match['number'])}{until} degree{'' if one else 's'}{scale}"


def _coordinate(match: Match) -> str:
    words = [f"{cardinal(match[1])} degrees"]
    words += [
        f"{decimal(value)} {name}" for value, name in ((match[2], "minutes"), (match[3], "seconds")) if value
    ]
    return " ".join(words) + {"N": " north", "S": " south", "E": " east", "W": " west", None: ""}[match[4]]


def _tall(match: Match) -> str:
    inches = f" {cardinal(match[2])} inch{'' if match[2] == '1' else 'es'}"
    return f"{cardinal(match[1])} {'foot' if match[1] == '1' else 'feet'}{inches}"


def _by(match: Match) -> str:
    word = " times " if re.match(r" ?=", match.string[match.end() :][:2]) else " by "
    parts = re.split(r" ?[x×] ?", match[0])
    return word.join(year(part) if part.isdigit() and len(part) == 4 else decimal(part) for part in parts)


MINUS = r"(?P<minus>(?<![\w)])[-−])?"
RULES: list[Rule] = [
    rule(
        rf"{NOT_INSIDE}(?<!/)(?:(\d{{1,6}})[ -])?(\d{{1,4}})/([1-9]\d{{0,3}}) ?%",
        lambda m: f"{mixed(m[1], m[2], m[3])} percent",
    ),
    rule(
        rf"{NOT_INSIDE}{MINUS}({DECIMAL}) ?%?{_TO}({DECIMAL}) ?%",
        lambda m: f"{'minus ' if m['minus'] else ''}{decimal(m[2])} to {decimal(m[3])} percent",
    ),
    rule(
        rf"{NOT_INSIDE}{MINUS}({DECIMAL}) ?%",
        lambda m: f"{'minus ' if m['minus'] else ''}{decimal(m[2])} percent",
    ),
    rule(
        rf"{NOT_INSIDE}(\d{{1,3}})°\s?(\d{{1,2}})[′'](?:\s?(\d{{1,2}}(?:\.\d{{1,6}})?)[″\"])?\s?([NSEW]\b)?",
        _coordinate,
    ),
    rule(
        rf"{NOT_INSIDE}{MINUS}(?P<number>{DECIMAL})(?:{_TO}(?P<until>{DECIMAL}))? ?°(?: ?"
        rf"(?P<scale>[CFKNSEW])(?!\w))?",
        _degrees,
    ),
    rule(rf"(?<![\w)]){MINUS}(?<=[-−])(?P<number>\d{{1,3}})(?P<until>)(?: ?(?P<scale>[CF])(?!\w))", _degrees),
    rule(
        rf"{NOT_INSIDE}({DECIMAL})[′'](?: ?[x×] ?| by )({DECIMAL})[′'](?!\d)",
        lambda m: f"{decimal(m[1])} foot by {decimal(m[2])} foot",
    ),
    rule(rf"{NOT_INSIDE}([1-9]\d?)[′'] ?(1[01]|\d)(?:[″\"]|'')", _tall),
    rule(rf"{NOT_INSIDE}([1-9]\d?)[′'](1[01]|\d)(?![\w'\"])", _tall),
    rule(r"(?<=\b[Aa] )(\d{1,3})'(?= [a-z]{3})", r"\1 foot"),
    rule(rf"{NOT_INSIDE}(?<!')({DECIMAL})'(?= (?:tall|high|long|wide|deep|thick)\b)", r"\1′"),
    rule(rf"{NOT_INSIDE}({DECIMAL})′", lambda m: f"{decimal(m[1])} {'foot' if m[1] == '1' else 'feet'}"),
    rule(rf"{NOT_INSIDE}({DECIMAL})[x×](?={DECIMAL} ?{_UNIT}(?!\w))", lambda m: f"{decimal(m[1])} by "),
    rule(rf"{NOT_INSIDE}({DECIMAL} ?{_UNIT}) ?[x×] ?(?={DECIMAL} ?{_UNIT}(?!\w))", r"\1 by "),
    # 6x9, 1920 × 1080; 10x faster
    rule(
        rf"{NOT_INSIDE}{DECIMAL}(?: ?[x×] ?{DECIMAL}){{1,3}}(?!\^|[\d])(?!\w{{4}})(?!"
        rf" ?10\^)(?<!×10)(?<!× 10)",
        _by,
    ),
    rule(rf"{NOT_INSIDE}({DECIMAL})[x×](?![\w])", lambda m: f"{decimal(m[1])} times"),
    # 5M users, 7B people, 100K followers; 3M alone is a company
    rule(
        rf"{NOT_INSIDE}({DECIMAL})([MB])(?= ([a-z]{{1,30}}))",
        lambda m: f"{decimal(m[1])} {_MANY[m[2]]}" if plural_noun(m[3]) else None,
    ),
    rule(
        rf"{NOT_INSIDE}(\d{{2,3}})[kK](?! (?:race|run|walk|relay)\b)(?= [a-z]{{3}})",
        lambda m: f"{decimal(m[1])} thousand",
    ),
    rule(r"(?<=\d)\"(?=[ -][a-z])", lambda m: None if _quoted(m) else "″"),
    # at the end of a phrase; the quotation that it could end may have begun far before
    rule(r"(?<![\w.,\"])(\d{1,3})\"(?=[.,;:!?)]|\s*$)", lambda m: None if _quoted(m) else f"{m[1]}″"),
    rule(
        rf"{NOT_INSIDE}(?<!/)(?:(?P<whole>\d{{1,6}})[ -])?(?P<top>\d{{1,4}})/(?P<bottom>[1-9]\d{{0,3}})"
        rf"(?P<gap>[ -]?)(?P<unit>{_UNIT})(?![\w°/])",
        _part,
    ),
    rule(
        rf"{NOT_INSIDE}(?<!/){MINUS}(?P<number>{DECIMAL})(?:{_TO}(?P<until>{DECIMAL}))?"
        rf"(?P<gap>[ -]?)(?P<unit>{_UNIT})"
        rf"(?P<power>\^[23])?{PER_UNIT}(?![\w°/])",
        _measure,
    ),
    rule(rf"(?<![\w.&']){one_of(_WITHOUT_NUMBER)}(?![\w&'])", _unit),
    # 5 bucks/kg, $/lb
    rule(
        rf"(?<=[a-z])/({one_of(unit for unit in PER if len(unit) > 1)})(?!\w)",
        lambda m: f" per {PER[m[1]]}",
    ),
    rule(rf"(?<!\w)\$/({one_of(PER)})(?!\w)", lambda m: f"dollars per {PER[m[1]]}"),
]
