"""From arbitrary Unicode to the characters that the rules know: ASCII and a few signs,
and a note of what was skipped.

What happens to a character:

- Latin letters lose their diacritics (é, ø, ß become e, o, ss), digits of all scripts become 0-9.
- Typographic quotes, dashes, spaces and full-width forms become their plain forms.
- Signs that have a name in running text are spoken (×, ±, ≥, ∞, §, ©); so are single Greek letters.
- Emoji, other symbols, control characters and words in other scripts are skipped, each with a warning: an
  English voice has no sounds for them. An override, `[Москва](/m ɑ s k v ˈɑ/)`, says them nevertheless.
- Invisible characters (zero width, direction marks, soft hyphens) are removed.
- Unpaired surrogates are refused: such text is damaged.
"""

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache

from ..errors import TextError

KEPT = "µ°′″^"  # signs that later rules read, beside ASCII; superscripts become ^
MOST_WARNINGS = 20

_PLAIN = {
    **dict.fromkeys("‘’‚‛ʼʹʻ´`＇", "'"),
    **dict.fromkeys("“”„‟«»〝〞＂「」『』", '"'),
    **dict.fromkeys("‐‑", "-"),
    **dict.fromkeys("‒–", "–"),
    **dict.fromkeys("—―⸺⸻", "—"),
    **dict.fromkeys("−﹣", "−"),
    **dict.fromkeys("。．｡", ". "),
    **dict.fromkeys("、，､", ", "),
    **dict.fromkeys("！¡", "! "),
    **dict.fromkeys("？¿", "? "),
    **dict.fromkeys("‼❗❕", "! "),
    **dict.fromkeys("❓❔", "? "),
    **dict.fromkeys("…⋯", "…"),
    **dict.fromkeys("•·‧∙●▪◦‣", " , "),
    **dict.fromkeys("\u2028\u2029\x85\x1c\x1d\x1e\x1f", "\n"),
    **dict.fromkeys("⁄∕", "/"),
    **dict.fromkeys("µμ", "µ"),
    "¡": "",
    "¿": "",
    "×": "×",
    "℃": "°C",
    "℉": "°F",
    "º": "°",
    "ß": "ss", "ẞ": "SS", "æ": "ae", "Æ": "Ae", "œ": "oe", "Œ": "Oe", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L",
    "đ": "d", "Đ": "D", "ð": "th", "Ð": "Th", "þ": "th", "Þ": "Th", "ı": "i", "ŋ": "ng", "ħ": "h",
}  # fmt: skip
NAMES = {
    "÷": "divided by", "±": "plus or minus", "∓": "minus or plus", "≈": "approximately",
    "≠": "is not equal to",
    "≤": "is at most", "≥": "is at least", "∞": "infinity", "√": "the square root of", "§": "section",
    "¶": "paragraph", "©": "copyright", "‰": "per mille", "∑": "the sum of", "∫": "the integral of",
    "∂": "partial", "Ω": "ohms", "→": "to", "⇒": "implies", "↔": "to and from", "∈": "in", "℮": "estimated",
    "¬": "not", "∆": "delta", "№": "No.", "℅": "care of",
}  # fmt: skip
_MONEY = "€£¥₹¢₽₩₿"
# \ue000 holds the place of an override
_OUTSIDE = re.compile(r"[^\t\n\r -~\ue000]+")
# letters of one script with their marks, and the spaces between such words: one warning for a whole sentence
_SUPERSCRIPT = re.compile(r"[⁺⁻]?[⁰¹²³⁴-⁹]+")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
Plain = Callable[[str], tuple[str, str]]


class Skipped:
    """Gathers what is not spoken, for the warnings."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], int] = {}

    def note(self, what: str, why: str) -> None:
        """Remember that `what` was left out."""
        self._found[what, why] = self._found.get((what, why), 0) + 1

    def warnings(self) -> list[str]:
        """Return a line for everything that was left out, at most `MOST_WARNINGS` and one for the others."""
        lines = []
        for (what, why), count in list(self._found.items())[:MOST_WARNINGS]:
            shown = what if len(what) <= 40 else what[:40] + "…"
            lines.append(f"skipped {shown!r}{f' ({count} times)' if count > 1 else ''}: {why}")
        if len(self._found) > MOST_WARNINGS:
            lines.append(f"skipped {len(self._found) - MOST_WARNINGS} other things")
        return lines


def clean(text: str, skipped: Skipped, plain: Plain | None = None) -> str:
    """Return `text` in ASCII and the signs of `KEPT`, "…", "–", "—", "−", "×" and currencies.

    Args:
        text: any text.
        skipped: gathers what is left out.
        plain: what `english` is, of another language that keeps more characters; superscripts are left to it.

    Raises:
        TextError: `text` holds an unpaired surrogate.
    """
    damaged = _SURROGATE.search(text)
    if damaged:
        raise TextError(
            f"the text holds an unpaired surrogate U+{ord(damaged[0]):04X} at character "
            f"{damaged.start() + 1}; "
            "expected Unicode text"
        )
    if not text.isascii() or not text.isprintable():
        if plain is None:
            text = _SUPERSCRIPT.sub(lambda match: "^" + unicodedata.normalize("NFKC", match[0]), text)
        text = unicodedata.normalize("NFC", text)
        text = _OUTSIDE.sub(lambda match: _run(match[0], skipped, plain or english), text)
    return text


def _run(run: str, skipped: Skipped, plain_of: Plain) -> str:
    """The plain form of a run of characters that are not ASCII."""
    out: list[str] = []
    foreign = ""
    for place, char in enumerate(run):
        plain, why = plain_of(char)
        greek = plain[1:-1] if why == "Greek" else ""
        if greek and not any(
            0 <= at < len(run) and plain_of(run[at])[1] == "Greek" for at in (place - 1, place + 1)
        ):
            plain, why = f" {greek} ", ""
        if foreign and why not in (plain_of(foreign[0])[1], "mark"):
            skipped.note(foreign, _sentence(plain_of(foreign[0])[1]))
            foreign = ""
        if why == "mark" and not foreign:
            why = ""
        if why in ("", "mark"):
            out.append(plain if why == "" else "")
        else:
            foreign += char
            out.append(" " if not out or out[-1] != " " else "")
    if foreign:
        skipped.note(foreign, _sentence(plain_of(foreign[0])[1]))
    return "".join(out)


def _sentence(reason: str) -> str:
    if reason in ("Latin", "Modifier"):
        kind = "Latin letters that English does not have" if reason == "Latin" else "modifier letters"
        return f"{kind} are not spoken; sounds are written as [word](/phonemes/)"
    if reason in ("emoji or symbol", "control character"):
        return (
            f"{reason}s are not spoken" if reason != "emoji or symbol" else "emoji and symbols are not spoken"
        )
    return f"{reason} letters are not spoken; write it in Latin letters, or [word](/phonemes/)"


@lru_cache(maxsize=8192)
def english(char: str) -> tuple[str, str]:
    """Return what stands for a character, and why it is skipped: "" when it is not,
    "mark" when it goes with its letter."""
    if char in _PLAIN:
        return _PLAIN[char], ""
    if char in KEPT or char in _MONEY or char in "–—−…×":
        return char, ""
    if char in NAMES:
        return f" {NAMES[char]} ", ""
    category = unicodedata.category(char)
    if category[0] == "Z":
        return " ", ""
    if category == "Nd":
        return str(unicodedata.decimal(char)), ""
    if category == "No":  # fractions, subscripts
        wide = unicodedata.normalize("NFKC", char)
        if wide.replace("⁄", "/").isascii():
            return (f" {wide.replace('⁄', '/')}" if "⁄" in wide else f" {wide} "), ""
    if category == "Cf" or char in "\ufe0e\ufe0f":
        return "", ""
    if category == "Cc":
        return " ", "control character"
    if category[0] == "M":
        return "", "mark"
    name = unicodedata.name(char, "")
    if name.startswith("GREEK") and category[0] == "L":
        return f" {name.split()[-1].lower() if 'WITH' not in name else name.split()[-3].lower()} ", "Greek"
    if category[0] in "LPSN":
        plain = "".join(
            part for part in unicodedata.normalize("NFKD", char) if unicodedata.category(part)[0] != "M"
        )
        if plain and plain.isascii() and plain.isprintable() and category != "So":
            return plain, ""
    if category[0] in "LN" and name:
        script = name.split()[0].split("-")[0]
        return " ", script if script == "CJK" else script.title()
    return " ", "emoji or symbol"
