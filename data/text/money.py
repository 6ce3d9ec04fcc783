"""How money is read: signs and codes of currencies, millions, cents."""

import re

from .numerals import cardinal, decimal
from .quantities import MINUS, PER, PER_UNIT, attributive, is_one
from .rules import DECIMAL, MONEY, NOT_INSIDE, Match, Rule, one_of, rule

_CURRENCIES = {  # sign -> one, several, one hundredth, several
    "$": ("dollar", "dollars", "cent", "cents"),
    "€": ("euro", "euros", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
    "¥": ("yen", "yen", "", ""),
    "₹": ("rupee", "rupees", "paisa", "paise"),
    "₽": ("ruble", "rubles", "kopek", "kopeks"),
    "₩": ("won", "won", "", ""),
    "₿": ("bitcoin", "bitcoins", "", ""),
}
_COUNTRIES = {"US": "U S", "A": "Australian", "AU": "Australian", "C": "Canadian", "CA": "Canadian",
              "HK": "Hong Kong",
              "NZ": "New Zealand", "S": "Singapore", "R": "Brazilian"}  # fmt: skip
_CODES = {
    "USD": ("U S dollar", "U S dollars"), "EUR": ("euro", "euros"), "GBP": ("British pound",
    "British pounds"),
    "CAD": ("Canadian dollar", "Canadian dollars"), "AUD": ("Australian dollar", "Australian dollars"),
    "JPY": ("Japanese yen", "Japanese yen"), "CHF": ("Swiss franc", "Swiss francs"),
    "INR": ("Indian rupee", "Indian rupees"),
    "CNY": ("Chinese yuan", "Chinese yuan"),
}  # fmt: skip
_SCALES = {"k": "thousand", "K": "thousand", "m": "million", "M": "million", "mm": "million", "mn": "million",
           "MM": "million", "mil": "million", "b": "billion", "B": "billion", "bn": "billion",
           "Bn": "billion",
           "t": "trillion", "T": "trillion", "tn": "trillion", "lakh": "lakh", "lakhs": "lakh",
           "crore": "crore",
           "crores": "crore"}  # fmt: skip
_LAKHS = r"\d{1,2}(?:,\d\d){1,5},\d{3}"
SCALE = (
    r"(?:(?: ?|-(?=thousand|million|billion|trillion))"
    rf"(?P<scale>thousand|million|billion|trillion|{one_of(_SCALES)})(?!\w))"
)

_NO_NOUN = one_of(
    "a after and are as at by for from in is of on or over per than that the to was with".split()
)


def _before_noun(match: Match) -> bool:
    """The $2-billion deal."""
    hyphened = match["scale"] is not None and f"-{match['scale']}" in match[0]
    return hyphened and re.match(rf"-| (?!{_NO_NOUN}\b)[a-z]", match.string[match.end() :][:12]) is not None


def _money(match: Match) -> str:
    one, more, one_hundredth, hundredths = _CURRENCIES[match["sign"]]
    country = _COUNTRIES.get(match["country"] or "")
    if country:
        one, more = f"{country} {one}", f"{country} {more}"
    number = match["number"]
    minus = "minus " if match["minus"] else ""
    per = f" per {PER.get(match['per'], match['per'])}" if match["per"] else ""
    scale = match["scale"]
    scale = _SCALES.get(scale, scale) if scale else ""
    whole, _, part = number.partition(".")
    more = one if attributive(match) or _before_noun(match) else more
    if match["until"]:
        return (
            f"{minus}{decimal(number)} to {decimal(match['until'])} {scale + ' ' if scale else ''}{more}{per}"
        )
    if scale:
        return f"{minus}{decimal(number)} {scale} {more}{per}"
    if len(part) != 2 or not one_hundredth:
        return f"{minus}{decimal(number)} {one if is_one(number) else more}{per}"
    cents = (
        f"{cardinal(str(int(part)))} {one_hundredth if part == '01' else hundredths}" if part != "00" else ""
    )
    if not whole.strip("0,"):
        return f"{minus}{cents or 'zero ' + more}{per}"
    units = f"{cardinal(whole)} {one if is_one(whole) else more}"
    return f"{minus}{units} and {cents}{per}" if cents else f"{minus}{units}{per}"


def _coded(match: Match) -> str:
    one, more = _CODES[match["code"]]
    scale = match["scale"]
    words = decimal(match["number"]) + (f" {_SCALES.get(scale, scale)}" if scale else "")
    return f"{words} {one if is_one(match['number']) and not scale else more}"


RULES: list[Rule] = [
    # lakhs and crores: 1,00,000
    rule(rf"₹ ?{_LAKHS}(?: ?[-–] ?₹?{_LAKHS})?(?!,?\d)", lambda m: m[0].replace(",", "")),
    rule(r"([$€£¥])([-−])(?=[\d.])", r"\2\1"),
    rule(r"(?<=[\dkKmMbBn])[-–](?=[$€£¥]\d{1,15}[A-Za-z])", " to "),
    rule(
        rf"(?<![\w{MONEY}.,]){MINUS}(?:(?<![A-Za-z])"
        rf"(?P<country>US|AU|A|CA|C|HK|NZ|S|R))?(?P<sign>[{MONEY}]) ?(?P<number>{DECIMAL})"
        rf"(?: ?[-–] ?(?P=sign)?(?P<until>{DECIMAL}))?{SCALE}?{PER_UNIT}(?![\d])",
        _money,
    ),
    rule(
        rf"{NOT_INSIDE}{MINUS}(?P<number>{DECIMAL}) ?(?P<until>)"
        rf"(?P<country>US|AU|CA|HK|NZ)?(?P<sign>[{MONEY}])(?P<scale>){PER_UNIT}(?!\w)",
        _money,
    ),
    rule(
        rf"{NOT_INSIDE}(?P<number>{DECIMAL})¢", lambda m: f"{decimal(m[1])} cent{'' if m[1] == '1' else 's'}"
    ),
    rule(rf"{NOT_INSIDE}(?P<number>{DECIMAL}){SCALE}? ?(?P<code>{one_of(_CODES)})\b", _coded),
    rule(rf"\b(?P<code>{one_of(_CODES)}) ?(?P<number>{DECIMAL}){SCALE}?(?!\w)", _coded),
]
