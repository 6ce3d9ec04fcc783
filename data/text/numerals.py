"""Numbers as an American reader says them: cardinals, ordinals, years, decimals, fractions,
digit by digit."""

ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen "
    "eighteen nineteen"
).split()
TENS = "zero ten twenty thirty forty fifty sixty seventy eighty ninety".split()
SCALES = (" thousand million billion trillion").split(" ")
LONGEST = 15  # digits; longer integers are read digit by digit
_ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}


def digits(text: str) -> str:
    """Return the digits in `text` one by one: "007" is "zero zero seven"."""
    return " ".join(ONES[int(char)] for char in text if "0" <= char <= "9")


def cardinal(text: str) -> str:
    """Return a whole number in words.

    Args:
        text: ASCII digits, possibly with commas between them. A leading zero, or more than 15 digits, has
        it read digit by digit.
    """
    text = text.replace(",", "")
    if len(text) > LONGEST or (len(text) > 1 and text[0] == "0"):
        return digits(text)
    value = int(text)
    if value == 0:
        return "zero"
    words: list[str] = []
    for scale in range(len(SCALES)):
        value, group = divmod(value, 1000)
        if group:
            words[:0] = [_below_thousand(group), SCALES[scale]] if SCALES[scale] else [_below_thousand(group)]
        if not value:
            break
    return " ".join(words)


def _below_thousand(value: int) -> str:
    hundreds, rest = divmod(value, 100)
    words = [ONES[hundreds], "hundred"] if hundreds else []
    if rest:
        words.append(_below_hundred(rest))
    return " ".join(words)


def _below_hundred(value: int) -> str:
    if value < 20:
        return ONES[value]
    tens, ones = divmod(value, 10)
    return TENS[tens] + (f"-{ONES[ones]}" if ones else "")


def to_ordinal(words: str) -> str:
    """Return the ordinal of a cardinal in words: "twenty-one" becomes "twenty-first"."""
    head = words[: max(words.rfind(" "), words.rfind("-")) + 1]
    last = words[len(head) :]
    if last in _ORDINALS:
        return head + _ORDINALS[last]
    return head + (last[:-1] + "ieth" if last.endswith("y") else last + "th")


def ordinal(text: str) -> str:
    """Return the ordinal of ASCII digits, possibly with commas: "21" is "twenty-first"."""
    return to_ordinal(cardinal(text.replace(",", "").lstrip("0") or "0"))


def plural(words: str) -> str:
    """Return the plural of a number in words: "sixty" becomes "sixties"."""
    if words.endswith("y"):
        return words[:-1] + "ies"
    return words + ("es" if words.endswith(("x", "s", "ch", "sh")) else "s")


def pairs(text: str) -> str:
    """Return digits as a reader says house numbers, codes and years: "1905" is "nineteen oh five".

    Args:
        text: three or four ASCII digits.
    """
    head, tail = text[:-2], text[-2:]
    if head.startswith("0"):
        return digits(text)
    if tail == "00":
        if head.endswith("0"):  # 1000, 2000
            return cardinal(text)
        return f"{cardinal(head)} hundred"
    return f"{cardinal(head)} {'oh ' + ONES[int(tail)] if tail[0] == '0' else cardinal(tail)}"


def year(text: str) -> str:
    """Return a year of one to four ASCII digits: "1905" is "nineteen oh five", "2005" "two thousand five"."""
    return cardinal(text) if len(text) < 3 or text[1:3] == "00" else pairs(text)


def decimal(text: str) -> str:
    """Return a number with or without a decimal part: "3.14" is "three point one four", ".5" "point five"."""
    whole, point, rest = text.partition(".")
    words = cardinal(whole) if whole else ""
    return f"{words} point {digits(rest)}".strip() if point and rest else words


def fraction(numerator: str, denominator: str) -> str:
    """Return a fraction: 2/3 is "two thirds", 1/2 "one half", 3/4 "three quarters",
    7/101 "seven over one hundred one".

    Args:
        numerator, denominator: ASCII digits.
    """
    top = cardinal(numerator)
    if denominator in ("2", "4"):
        singular, several = {"2": ("half", "halves"), "4": ("quarter", "quarters")}[denominator]
        return f"{top} {singular if numerator == '1' else several}"
    if denominator.startswith("0") or denominator == "1" or (len(denominator) > 2 and int(denominator) % 10):
        return f"{top} over {cardinal(denominator)}"
    below = ordinal(denominator)
    return f"{top} {below if numerator == '1' else below + 's'}"


def mixed(whole: str | None, top: str, bottom: str) -> str:
    """Return a fraction with the whole number before it, if any: 1 1/2 is "one and a half"."""
    words = fraction(top, bottom)
    if not whole:
        return words
    return f"{cardinal(whole)} and {'a ' + words[4:] if top == '1' and words.startswith('one ') else words}"


def roman(text: str) -> int:
    """Return the value of a roman numeral below 4000, 0 when `text` is none."""
    values = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}
    if not text or len(text) > 15 or any(char not in values for char in text):
        return 0
    total = 0
    for char, following in zip(text, text[1:] + "I"):
        total += values[char] if values[char] >= values[following] else -values[char]
    # only the usual spelling: IIX and VV are words, or misprints
    return total if 0 < total < 4000 and to_roman(total) == text else 0


def to_roman(value: int) -> str:
    """Return `value` in 1...3999 as a roman numeral."""
    out = ""
    for number, letters in zip(
        (1000, 900, 500, 400, 100, 90, 50, 40, 10, 9, 5, 4, 1), "M CM D CD C XC L XL X IX V IV I".split()
    ):
        while value >= number:
            out, value = out + letters, value - number
    return out
