"""Words in capitals: roman numerals, initialisms that are spelled,
acronyms and shouted words that are spoken."""

import re
from collections.abc import Container

from . import lexicon
from .numerals import cardinal, roman, to_ordinal
from .rules import STARTERS, Match, Rule, Say, rule, spelled

# Said as words although they are initials, or no dictionary word at all.
_SPOKEN = frozenset(
    """AIDS ASCII BASIC BIOS CAPTCHA COBOL COVID CRISPR DOS EBITDA FEMA FIFA FORTRAN GIF HIPAA IKEA IMAX
    JPEG JSON LAN LASER LIDAR LOL MIDI NAFTA NAND NASA NASCAR NASDAQ NATO NIMBY OPEC OSHA PETA PIN POSIX
    POTUS RADAR RAID RAM ROM SARS SCOTUS SCUBA SIM SONAR SWAT TASER UNESCO UNICEF UNIX WAN WYSIWYG YAML
    YOLO ZIP MERS NOR XOR NOT AND OR""".split()
)
# Spelled although they could be words; those in the second group are words when the whole sentence shouts.
_SPELLED = frozenset(
    """AA ABS ADA AFL AI AMA APA API ATM BA BBC BMI CD CIO DA DC DIY DJ DNA DVD EPA ESP ETA EU FAQ FDA
    GDP GOP GPA GPS GPU HIV HR IBM ICU IDE IOU IPA IPO IQ IRA IRS ISO ISP IVF LA LCD LED LSD MA MBA MC
    MD MIT MRI MS NBA NBC NFL NHL NPR NSA NY NYC OS PA PC PDA PDF PHD PIN PR QA QR RAF RNA RPG RSVP SAS
    SDK SQL SUV TA TSA TV UAE UCLA UFO UI UK UN UPS URL USA USB UV UX VA VAT VIP VPN WWII XML""".split()
) - {"PIN"}
_BY_CONTEXT = frozenset(
    """US IT WHO AM PM AS OK ID AN IN IS ME OH OR PA HI MA LA MS AL BE DO GO HE IF NO OF ON SO TO UP WE BY
    MY AT""".split()
)
_SPELLED_IN_TEXT = frozenset("US IT WHO AM PM ID PA MA LA MS AL".split())
_ODD = {
    "NAACP": "N double A C P", "NCAA": "N C double A", "IEEE": "I triple E", "AAA": "triple A",
    "WWW": "W W W",
    "WWI": "World War One", "WWII": "World War Two", "OK": "O K", "O.K": "O K", "UNAIDS": "U N AIDS",
    "JFK": "J F K", "GIFs": "GIFs", "iOS": "i O S", "macOS": "mac O S", "LaTeX": "lay tech", "WiFi": "wi-fi",
    "Wi-Fi": "wi-fi", "GUI": "gooey", "SaaS": "sass", "PyPI": "pie P I", "eSpeak": "e speak",
}  # fmt: skip
_MIXED = {key: value for key, value in _ODD.items() if not key.isupper()}

_KINGS = frozenset(
    """Albert Alexander Alfonso Amenhotep Baldwin Benedict Boniface Carlos Catherine Charles Christian
    Clement Constantine Cyrus Darius David Edward Elizabeth Felipe Ferdinand Francis Franz Frederick
    George Gregory Gustav Haakon Harald Henry Innocent Ivan James John Joseph Juan Julius Leo Leopold
    Louis Ludwig Malcolm Mary Maximilian Napoleon Nicholas Olaf Otto Paul Pedro Peter Philip Pius
    Ptolemy Ramses Ramesses Richard Robert Rudolf Sixtus Stephen Thutmose Umberto Urban Victor Wilhelm
    William Xerxes""".split()
)
_FIRST_NAMES = _KINGS | frozenset(
    """Thomas Michael Davis Walter Samuel Daniel Harry Frank Howard Arthur Patrick Andrew Jack Ken Kenneth
    Martin Donald""".split()
)
_NUMBERED = frozenset(
    """War Part Chapter Volume Act Scene Book Section Article Title Phase Type Class Level Appendix
    Grade Bowl Division Stage Group Figure Table Unit Category Schedule Item Number Tier Step Round Case
    Fantasy Rocky Apollo Symphony Psalm Mark Saturn Title Canto""".split()
)
_FIRST_PERSON = frozenset(
    """am think know knew have had was will would can could did do saw see said say want wanted need
    love like believe guess hope mean met feel felt told asked went got should must just really also
    never always don't didn't""".split()
)
_BEFORE = re.compile(r"(?:(\b[\w']{1,40}) +)?(\b[\w']{1,40}) +$", re.ASCII)
_ROMAN = r"[IVXLC]{1,9}"

_STARTS = re.compile(r"(?:^|[.!?…:\n\"(])\s*[\w']{1,40} +$", re.ASCII)


def _is_name(word: str, match: Match) -> bool:
    """Whether the capitalised word before a numeral is a name, not the first of a sentence or an owner."""
    if word in STARTERS or word.endswith(("'s", "s'")):
        return False
    return word.isupper() or not _STARTS.search(match.string[max(0, match.start() - 60) : match.start()])


def _numeral(match: Match) -> str | None:
    value = roman(match[1])
    before = _BEFORE.search(match.string[max(0, match.start() - 90) : match.start()])
    if not value or before is None:
        return None
    word, earlier = before[2], before[1] or ""
    tail = match.string[match.end() : match.end() + 30]
    context = word.capitalize() in _NUMBERED
    if (len(match[1]) == 1 and match[1] in "LC") or (set(match[1]) & set("LC") and not context):
        return None
    if match[1] == "I":
        following = re.match(r"\s+([a-z']+)", tail)
        if (tail.startswith("'") and not tail.startswith("'s")) or (
            following
            and following[1] in _FIRST_PERSON
            and not ((word in _KINGS or word == "War") and following[1] in ("was", "had"))
        ):
            return None
        if not context and not (word in _KINGS and (following or re.match(r"[.,;:!?)']|$", tail))):
            return None
        if context and not word[0].isupper():
            return None
    elif (match[1] in ("V", "X") and not context and not (word in _KINGS and word != "Malcolm")) or (
        re.match(r"\.\s?[A-Z]", tail) and len(match[1]) == 1
    ):
        return None
    if (word == "mark" and len(match[1]) == 1) or (word == "Mark" and tail.startswith(" as ")):
        return None  # "mark X as done", "question mark X"
    if context:
        return cardinal(str(value))
    if match[1] in ("IV", "VI") and not (word in _KINGS or _is_name(word, match)):
        return None
    if word in _KINGS or (earlier in _FIRST_NAMES and word[0].isupper() and value < 6):
        return f"the {to_ordinal(cardinal(str(value))).capitalize()}"
    return (
        cardinal(str(value))
        if word[0].isupper() and word.lower() not in ("the", "an", "a", "my", "this")
        else None
    )


_SENTENCE = re.compile(r"[^.!?\n]+[.!?\n]*")
_TOKEN = re.compile(r"(?<![\w'])([A-Z]{1,40})('?s|'S)?(?![\w])", re.ASCII)


def capitals(text: str, kept: Container[str] = ()) -> str:
    """Return `text` with words in capitals read as a reader would; sentences that shout are lowered.

    Args:
        text: what the other rules have left.
        kept: words in lower case that are not spelled.
    """
    return _SENTENCE.sub(lambda match: _sentence(match, kept), text)


def _sentence(match: Match, kept: Container[str]) -> str:
    sentence = match[0]
    words = [word for word, _ in _TOKEN.findall(sentence) if len(word) > 1 and word not in _SPOKEN]
    if not words:
        return sentence
    small = len(re.findall(r"[a-z]{2,}", sentence))
    shouted = sum(1 for word in words if word not in _SPELLED and lexicon.is_word(word.lower()))
    shouts = shouted > 0 and (small == 0 or (shouted >= 3 and shouted > small))
    return _TOKEN.sub(lambda token: _capitals(token, shouts, kept), sentence)


def _capitals(match: Match, shouts: bool, kept: Container[str]) -> str:
    word, ending = match[1], match[2] or ""
    low = word.lower()
    if len(word) == 1:
        if word == "A" and shouts and not ending:
            text, start, end = match.string, match.start(), match.end()
            beside = re.search(r"\b[A-Z] $", text[:start][-3:]) or re.match(r" [A-Z]\b", text[end : end + 3])
            return "A" if beside and not re.match(r" I\b", text[end : end + 3]) else "a"
        return match[0] if ending != "s" or word in "AI" else f"{word}'s"
    if ending == "'S":
        ending = "'s"
    if low in kept:
        return word + ("'s" if ending else "")
    if word in _ODD and not (word == "AAA" and shouts):
        return _ODD[word] + ending
    if word in _SPOKEN:
        return low + ending if word in ("NOT", "AND", "OR", "NOR") else word + ending
    if word in _BY_CONTEXT and (shouts or word not in _SPELLED_IN_TEXT):
        return low + ending
    if word in _SPELLED or word in _BY_CONTEXT or lexicon.is_spelled(low):
        return spelled(low) + ("'s" if ending else "")
    if lexicon.is_word(low) and (len(word) > 3 or shouts or low in _SHORT_WORDS):
        return low + ending
    if (not shouts and len(word) < 5) or not re.search("[AEIOUY]", word) or _unspeakable(low):
        return spelled(low) + ("'s" if ending else "")
    return word + ending


def _unspeakable(word: str) -> bool:
    """Whether a word has more consonants in a row than English allows."""
    return (
        re.search(r"[^aeiouy]{5}|^[^aeiouyl]{4}|^(?!sch|scr|shr|spl|spr|str|thr|chr|phr)[^aeiouy]{3}", word)
        is not None
    )


_SHORT_WORDS = frozenset(
    """all and any are bad big boy but buy can cut day did dog eat end far few fly for fun get god got
    had has her hey him his hit hot how its let lie lot man men mom new non nor not now off old one our
    out own pay per put ran red run sad say see set she sit six sky son sun ten the too top two use war
    was way who why win won yes yet you stop free best must only very""".split()
)


def _camel(match: Match) -> str:
    word = match[0]
    if word in _MIXED:
        return _MIXED[word]
    if lexicon.lookup(word.lower()) or re.match(r"(?:Mc|Mac|O'|De|Di|La|Le|Fitz|Van|Du)[A-Z][a-z]+$", word):
        return word
    parts = re.findall(r"[A-Z]+(?=s\b|(?![a-z]))|[A-Z]?[a-z]+|[A-Z]+", word)
    if len(parts) == 2 and parts[1] == "s" and parts[0].isupper():  # CDs, PhDs
        return word
    return " ".join(parts)


def rules(kept: Container[str] = ()) -> list[Rule]:
    """Return the rules, which leave a match alone that is a word of `kept` in other case."""
    return [(pattern, _unless(kept, say)) for pattern, say in RULES] if kept else RULES


def _unless(kept: Container[str], say: Say) -> Say:
    return lambda match: None if match[0].lower() in kept else say(match)


RULES: list[Rule] = [
    rule(r"\b([A-Z]{1,3})&([A-Z]{1,3})\b", lambda m: f"{spelled(m[1])} and {spelled(m[2])}"),
    rule(r"\b(?:iOS|macOS|WiFi|Wi-Fi|LaTeX|SaaS|PyPI|eSpeak)\b", lambda m: _MIXED[m[0]]),
    rule(r"(?<![\w'])(?=[A-Za-z]*[a-z][A-Z]|[A-Z]{2,40}[a-z]{2})[A-Za-z]{3,80}(?![\w'])", _camel),
    rule(
        r"(?<=\bthe )([XVI]{2,7})(?= ?(?:[Cc]entur|dynast|Dynast|Olymp|[Ll]egion|Congress))",
        lambda m: to_ordinal(cardinal(str(roman(m[1])))) if roman(m[1]) else None,
    ),
    rule(rf"(?<=\w )({_ROMAN})(?![\w-])(?!'(?!s\b))", _numeral),
    # nothing else is written so
    rule(r"(?<![\w'-])(II|III|VII|VIII|XII|XIII|XVII|XVIII)(?![\w'-])", lambda m: cardinal(str(roman(m[1])))),
]
