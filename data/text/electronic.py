"""How addresses and numbers of machines are read: URLs, e-mail, hashtags, file names, phone numbers,
versions."""

import re

from . import dates, lexicon
from .numerals import cardinal, digits, pairs
from .rules import Match, Rule, rule, spelled

_SIGNS = {
    ".": "dot", "/": "slash", "-": "dash", "_": "underscore", "@": "at", ":": "colon", "?": "question mark",
    "=": "equals", "&": "and", "%": "percent", "+": "plus", "#": "hash", "~": "tilde", ",": "comma",
    "!": "exclamation mark", ";": "semicolon", "$": "dollar", "*": "star",
}  # fmt: skip
_PIECES = re.compile(r"\d+|[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^A-Za-z0-9]", re.ASCII)
_SITES = "com|org|net|edu|gov|io|ai|dev|app|info|co\\.uk|org\\.uk|ac\\.uk|eu"
_FILES = (
    "pdf|txt|py|js|ts|html?|css|jpe?g|png|gif|docx?|xlsx?|pptx?|mp[34]|wav|flac|ogg|zip|tar|gz|csv|tsv|json|jsonl|exe|md|cpp|"
    "ya?ml|toml|xml|sh|mynah"
)
_SOFTWARE = re.compile(r"\b(?:version|release|build|firmware|update|ver\.) $", re.IGNORECASE)
# "the API V2"; but a V8 engine, the V2 rocket
_HAS_VERSIONS = re.compile(
    r"\b(?:API|SDK|app|application|software|firmware|driver|plugin|library|package|protocol|update)s? $",
    re.IGNORECASE,
)
_TELEPHONE = re.compile(r"(?:1\.)?[2-9]\d\d\.\d{3}\.\d{4}", re.ASCII)
_PATH = r"(?:/[^\s<>\"()\[\]{},]{0,2000})?"


def spell_address(text: str) -> str:
    """Return how an address is read: words where they can be spoken, else letters; signs by their names."""
    words = []
    for piece in _PIECES.findall(text):
        if piece.isdigit():
            words.append(cardinal(piece) if len(piece) < 3 else digits(piece))
        elif piece.isalpha():
            words.append(_word(piece))
        elif piece in _SIGNS:
            words.append(_SIGNS[piece])
    return " ".join(words)


def _word(letters: str) -> str:
    low = letters.lower()
    if low == "www":
        return "W W W"
    if len(low) > 1 and lexicon.is_word(low):
        return low
    return spelled(low) if len(low) < 4 or not re.search("[aeiouy]", low) else low


def _url(match: Match) -> str:
    address = match[0].rstrip(".,;:!?'")
    tail = match[0][len(address) :]
    address = re.sub(r"^https?://", "", address, flags=re.IGNORECASE).rstrip("/")
    return spell_address(address) + tail


def _hashtag(match: Match) -> str:
    pieces = _PIECES.findall(match[1].replace("_", ""))
    return "hashtag " + " ".join(pieces)  # the later rules read numbers and capitals in it


def _groups(match: Match) -> str:
    """Digits by groups, as they are written; 800 and 1-800 as numbers."""
    groups = re.findall(r"\d+", match[0])
    words = [
        cardinal(group) if group in ("800", "900") and place < 2 else digits(group)
        for place, group in enumerate(groups)
    ]
    plus = "plus " if match[0].lstrip("(").startswith("+") else ""
    # the country code and what follows it are one phrase
    if len(groups) > 1 and len(groups[0]) == 1:
        words[:2] = [f"{words[0]} {words[1]}"]
    return plus + ", ".join(words)


def _version(match: Match) -> str | None:
    before = match.string[max(0, match.start() - 20) : match.start()]
    if not match[1] and dates.is_dotted(match[2]) and not _SOFTWARE.search(before):
        return None  # the rules of dates read it
    numbers = match[2].split(".")
    if match[1][:1] == "V" and len(numbers) == 1 and not _HAS_VERSIONS.search(before):
        return None
    if not match[1] and _TELEPHONE.fullmatch(match[2]) and not _SOFTWARE.search(before):
        return None
    if not match[1] and len(numbers) > 2 and all(len(n) == 3 for n in numbers[1:]) and len(numbers[0]) < 4:
        return cardinal("".join(numbers))  # 1.000.000
    return ("version " if match[1] else "") + " point ".join(map(cardinal, numbers))


def _release(match: Match) -> str:
    return f"{match[1]} {cardinal(match[2])} point {cardinal(match[3])}"


def _file(match: Match) -> str:
    return f"{match[1].replace('_', ' ')} dot {_word(match[2])}"


RULES: list[Rule] = [
    rule(
        r"(?<![\w.+-])([\w.+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,5})",
        lambda m: spell_address(m[1]),
    ),
    rule(r"\b(?:https?://|www\.)[^\s<>\"()\[\]{}]{1,2000}", _url, re.IGNORECASE),
    rule(
        rf"(?<![\w.@-])(?:[A-Za-z0-9-]{{1,63}}\.){{1,4}}(?:{_SITES})(?![\w-])"
        rf"(?::\d{{2,5}}(?!\w))?{_PATH}",
        _url,
    ),
    rule(rf"(?<![\w.@-])localhost:\d{{2,5}}(?!\w){_PATH}", _url),
    # .NET and ASP.NET; .com, .txt; /usr/bin, ~/work, but not the sound /t/
    rule(r"(?<!\.)\.NET(?![\w.]\w)(?!\w)", " dot net"),
    rule(rf"(?<![^\s\"'(])\.({_SITES}|{_FILES})(?![\w.]\w)(?!\w)", lambda m: f"dot {_word(m[1])}"),
    rule(
        r"(?<![^\s\"'(])(?<!\]\()(~?)/(?=[A-Za-z])(?![\w-]{1,30}/(?!\w))",
        lambda m: "tilde slash " if m[1] else "slash ",
    ),
    rule(rf"(?<![\w.])([A-Za-z0-9_-]{{1,64}})\.({_FILES})(?![\w.])(?!\.\w)", _file),
    rule(r"(?<![\w&#])([A-GJQ]|[a-gjq](?!#\w))#(?!#)", r"\1 sharp"),
    rule(r"(?<![\w&#])#(\d{0,10}[A-Za-z]\w{0,100})", _hashtag),
    rule(r"(?<![\w.])@(\w{1,50})", lambda m: f"at {spell_address(m[1])}"),
    # 10.0.0.1, 2.0.13, v2.1
    rule(
        r"(?<![\w.,])(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})(:\d{1,5})?(?![\w.]\w)(?!\w)",
        lambda m: " dot ".join(map(cardinal, m.groups()[:4])) + (f" {spell_address(m[5])}" if m[5] else ""),
    ),
    rule(r"(?<![\w.,])()(\d{1,9}(?:\.\d{1,9}){2,6})(?!\w|\.\d)", _version),
    rule(r"(?<![\w.,])([vV]\.? ?)(\d{1,9}(?:\.\d{1,9}){0,6})(?!\w|\.\d)", _version),
    rule(
        r"\b(Python|[Vv]ersion|iOS|iPadOS|macOS|Android|Ubuntu|"
        r"Windows|Java|Linux|kernel|CUDA|[Rr]elease|Node) "
        r"(\d{1,3})\.(\d{1,3})(?!\w|\.\d)",
        _release,
    ),
    # phone numbers: with a country code, in the United States, of seven digits; toll-free words
    rule(
        r"(?<![\w.+-])\+\d{1,3}[ -.]?(?:\(\d{1,4}\)[ -.]?)?\d{2,4}(?:[ -.]\d{2,4}){1,4}(?!\w|[-.,]\d)",
        _groups,
    ),
    rule(r"(?<![\w.,+-])(?:1[-. ])?(?:\(\d{3}\) ?|\d{3}[-. ])\d{3}[-. ]\d{4}(?!\w|[-.,]\d)", _groups),
    rule(
        r"\b(Boeing|Airbus) (\d{3})-(\d{3})(?!\w|[-.,:]\d)",
        lambda m: f"{m[1]} {pairs(m[2])} {pairs(m[3]) if m[3][1:] != '00' else cardinal(m[3])}",
    ),
    rule(
        r"(?<![\w.,+-])(?:1-)?8(?:33|44|55|66|77|88)-(?=[A-Z])",
        lambda m: digits(m[0]) + " ",
    ),
    rule(
        r"(?<![\w.,+-])(?:1-)?800-(?=[A-Z])", lambda m: ("one " if m[0][0] == "1" else "") + "eight hundred "
    ),
    rule(r"(?<![\w.,+$-])\d{3}-\d{4}(?!\w|[-.,]\d)", _groups),
    # social security, card and book numbers
    rule(r"(?<![\w.,+-])\d{3}-\d{2}-\d{4}(?!\w|[-.,]\d)", _groups),
    rule(r"(?<![\w.,+-])\d{4}(?:[ -]\d{4}){2,3}(?!\w|[-.,]\d)", _groups),
    rule(r"(?<![\w.,+-])97[89]-\d{1,5}-\d{1,7}-\d{1,7}-[\dX](?!\w|[-.,]\d)", _groups),
    rule(
        r"\b([Cc]all|[Cc]alled|[Cc]alling|[Dd]ial|[Dd]ialed|[Dd]ialled|[Tt]ext) (\d{3})"
        r"(?!\w|[-.,:]\d)(?! \w+s\b)",
        lambda m: f"{m[1]} {digits(m[2])}",
    ),
    # places that go by a number
    rule(
        r"\b(Flight|Route|Highway|Hwy\.?|Room|Boeing|Interstate|Apartment|Apt\.?|Suite|Bus|"
        r"Area Code|[Aa]rea code|[Rr]oom) "
        r"(\d{3,4})(?!\w|[-.,:]\d)",
        lambda m: f"{m[1]} {pairs(m[2])}",
    ),
    rule(r"(?<=, [A-Z]{2} )(\d{5})(?:-(\d{4}))?(?!\w|[-.,]\d)", _groups),
    rule(r"(?<=, [A-Z]\.[A-Z]\. )(\d{5})(?:-(\d{4}))?(?!\w|[-.,]\d)", _groups),
]
