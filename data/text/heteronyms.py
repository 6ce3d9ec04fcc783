"""Words that are spelled alike and sound different, told apart by the words beside them.

`heteronyms.tsv` lists nouns and verbs (record, estimate, use); the rules for single words (read, live, lead,
wind, tear ...) are below. A few words of context stand in for a tagger: right in most sentences, not in all;
where it matters, an inline override settles it.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

from .symbols import from_arpabet

FILE = Path(__file__).with_name("heteronyms.tsv")

_DETERMINERS = frozenset(
    """a an the this that these those my your his her its our their some any no every each another what
    whose one two three four five six seven eight nine ten many few several most all more much first
    second last next new old same such good great big small high low own""".split()
)
_PREPOSITIONS = frozenset(
    "of in on at for from with without by about under over into through per between as".split()
)
_VERBAL = frozenset(
    """to will would can could shall should may might must cannot don't doesn't didn't won't can't
    couldn't wouldn't shouldn't do does did i you we they who let let's please not never always often
    also i'll you'll we'll they'll he'll she'll it'll i'd you'd we'd they'd he'd she'd help""".split()
)
_SUBJECTS = frozenset("he she it who which that this everyone nobody somebody".split())
_OBJECTS = frozenset("the a an it him her them me us my your his its our their this these those".split())
_PERFECT = frozenset(
    """have has had having been was were be is are being i've you've we've they've hasn't haven't hadn't
    well who'd widely""".split()
)
_PAST = frozenset("yesterday ago last then earlier once before".split())


@lru_cache(maxsize=1)
def _table() -> dict[str, tuple[str, str, bool]]:
    """Word -> noun, verb, whether it is a verb without evidence; with the forms in s."""
    table = {}
    for line in FILE.read_text(encoding="ascii").splitlines():
        if not line.startswith("#"):
            word, noun, verb, default = line.split("\t")
            table[word] = (noun, verb, default == "verb")
            table[_with_s(word)] = (_s(noun), _s(verb), False)
    return table


def _with_s(word: str) -> str:
    return word + ("es" if word.endswith(("s", "sh", "ch", "x")) else "s")


def _s(phones: str) -> str:
    last = phones.split()[-1]
    ending = (
        "IH0 Z"
        if last in ("S", "Z", "SH", "CH", "ZH", "JH")
        else "S"
        if last in ("P", "T", "K", "F", "TH")
        else "Z"
    )
    return f"{phones} {ending}"


def pronounce(words: Sequence[str], place: int, capital: bool) -> tuple[str, ...] | None:
    """Return the symbols of a heteronym in its sentence, None when the word is none.

    Args:
        words: lower-case words of the sentence.
        place: which of them.
        capital: whether the word is capitalised.
    """
    word = words[place]
    if word in _SINGLE:
        return from_arpabet(_SINGLE[word](words, place, capital))
    entry = _table().get(word)
    if entry is None:
        return None
    noun, verb, default = entry
    return from_arpabet(verb if _is_verb(words, place, default, word not in _SINGULAR) else noun)


_SINGULAR = frozenset({"progress", "compress", "address", "process"})


def _is_verb(words: Sequence[str], place: int, default: bool, may_be_plural: bool) -> bool:
    word = words[place]
    before = words[place - 1] if place else ""
    following = words[place + 1] if place + 1 < len(words) else ""
    in_s = (may_be_plural and word.endswith("s") and word[:-1] in _table()) or (
        word.endswith("es") and word[:-2] in _table()
    )
    if in_s:
        return before in _SUBJECTS or (following in _OBJECTS and before not in _DETERMINERS | _PREPOSITIONS)
    if before == "to":  # "to record it"; "prior to use of" stays rare
        return True
    if before in _DETERMINERS or before in _PREPOSITIONS or (before.endswith("'s") and before != "let's"):
        return False
    if before in _VERBAL or before.endswith("n't"):
        return True
    if following in _OBJECTS:
        return before not in _PERFECT
    if following == "of" or before in _PERFECT or (before == "and" and not default):
        return False
    return default


def _near(words: Sequence[str], place: int) -> tuple[str, str]:
    return words[place - 1] if place else "", words[place + 1] if place + 1 < len(words) else ""


def _read(words: Sequence[str], place: int, _capital: bool) -> str:
    before, _ = _near(words, place)
    two = words[place - 2] if place > 1 else ""
    past = before in _PERFECT or (two in _PERFECT and before in ("just", "already", "never", "always",
    "you", "not", "ever", "he",
                                                                "she", "i", "they", "we", "also",
                                                                "only"))  # fmt: skip
    # "she read": the present would be "she reads"
    past = past or (
        before in ("he", "she", "it")
        and two not in ("will", "can", "did", "does", "would", "should", "let", "could")
    )
    past = past or (
        before in ("i", "you", "we", "they", "") and bool(_PAST & set(words)) and "did" not in words
    )
    return "R EH1 D" if past else "R IY1 D"


def _live(words: Sequence[str], place: int, _capital: bool) -> str:
    before, following = _near(words, place)
    things = """music broadcast broadcasts performance performances audience show shows concert concerts
    stream streams album wire wires ammunition animals tv television recording coverage band update updates
    version ammo bait chat event events feed""".split()
    adjective = before in (
        "a",
        "the",
        "is",
        "are",
        "was",
        "broadcast",
        "streamed",
        "streaming",
        "performed",
        "go",
        "went",
        "going",
    )
    return "L AY1 V" if following in things or adjective else "L IH1 V"


def _lives(words: Sequence[str], place: int, _capital: bool) -> str:
    before, _ = _near(words, place)
    noun = before in _DETERMINERS or before in (
        "of",
        "human",
        "saved",
        "save",
        "lost",
        "people's",
        "saving",
        "innocent",
        "in",
        "and",
    )
    return "L AY1 V Z" if noun or before.endswith("s'") else "L IH1 V Z"


_LEADEN = frozenset(
    """pipe pipes poisoning paint acid pencil pencils bullet bullets based free levels shot""".split()
)


def _lead(words: Sequence[str], place: int, _capital: bool) -> str:
    before, following = _near(words, place)
    metal = following in _LEADEN
    return (
        "L EH1 D"
        if metal or before in ("of", "contains", "containing", "contain", "like", "molten")
        else "L IY1 D"
    )


def _wind(words: Sequence[str], place: int, _capital: bool) -> str:
    before, following = _near(words, place)
    verb = before in _VERBAL - {"not", "often"} or (
        following in ("up", "down") and before not in _DETERMINERS
    )
    return "W AY1 N D" if verb else "W IH1 N D"


def _winds(words: Sequence[str], place: int, _capital: bool) -> str:
    before, following = _near(words, place)
    verb = following in ("up", "down", "its", "through", "around") and before not in _DETERMINERS
    return "W AY1 N D Z" if verb else "W IH1 N D Z"


def _wound(words: Sequence[str], place: int, _capital: bool) -> str:
    before, following = _near(words, place)
    past = following in ("up", "around", "down", "through", "its", "round", "back", "tightly", "it", "the")
    past = (past and before not in _DETERMINERS) or before in ("he", "she", "they", "we", "i", "road", "it")
    return "W AW1 N D" if past else "W UW1 N D"


def _tear(words: Sequence[str], place: int, _capital: bool) -> str:
    before, following = _near(words, place)
    verb = following in (
        "apart",
        "down",
        "up",
        "off",
        "it",
        "them",
        "the",
        "out",
        "open",
        "away",
        "through",
        "in",
        "at",
    )
    verb = (verb and before != "single") or before in _VERBAL or before in ("and", "wear")
    return "T EH1 R" if verb else "T IH1 R"


def _tears(words: Sequence[str], place: int, _capital: bool) -> str:
    before, following = _near(words, place)
    return (
        "T EH1 R Z"
        if before in _SUBJECTS or following in ("apart", "up", "down", "off", "it")
        else "T IH1 R Z"
    )


def _bow(words: Sequence[str], place: int, _capital: bool) -> str:
    before, following = _near(words, place)
    weapon = following in ("and", "tie", "ties", "string", "legged") or before in (
        "violin", "long", "cross", "rain", "red", "ribbon", "hair", "his", "her", "elm")  # fmt: skip
    return "B OW1" if weapon else "B AW1"


def _bass(words: Sequence[str], place: int, _capital: bool) -> str:
    before, following = _near(words, place)
    fish = following in ("fish", "fishing", "boat", "lake", "pro") or before in (
        "sea",
        "largemouth",
        "striped",
        "caught",
        "black",
    )
    return "B AE1 S" if fish else "B EY1 S"


def _close(words: Sequence[str], place: int, _capital: bool) -> str:
    before, following = _near(words, place)
    near = (
        following
        in """to by friend friends call range up enough relationship together attention look second proximity
    ties race game contact family relative relatives behind""".split()
        or before
        in """very so too how is are was were came come get got getting as stay stayed be been that pretty
    really quite a s""".split()
    )
    near = near and before not in ("to", "will", "must", "should", "can", "please", "i", "they", "we")
    return "K L OW1 S" if near else "K L OW1 Z"


def _minute(words: Sequence[str], place: int, _capital: bool) -> str:
    _, following = _near(words, place)
    tiny = "detail details amount amounts particles quantities differences traces changes inspection".split()
    return "M AY0 N UW1 T" if following in tiny else "M IH1 N AH0 T"


def _dove(words: Sequence[str], place: int, _capital: bool) -> str:
    before, following = _near(words, place)
    dived = before in ("he", "she", "they", "we", "i", "it", "and") or following in (
        "into",
        "in",
        "off",
        "under",
    )
    return "D OW1 V" if dived else "D AH1 V"


def _resume(words: Sequence[str], place: int, _capital: bool) -> str:
    before, _ = _near(words, place)
    return "R EH1 Z AH0 M EY2" if before in _DETERMINERS or before in _PREPOSITIONS else "R IH0 Z UW1 M"


def _polish(words: Sequence[str], place: int, capital: bool) -> str:
    return (
        "P OW1 L IH0 SH"
        if capital and (place or _near(words, place)[1] not in _OBJECTS)
        else "P AA1 L IH0 SH"
    )


def _the(words: Sequence[str], place: int, _capital: bool) -> str:
    """Before a vowel, by its letter: the hour, the one and the use are the usual exceptions."""
    _, following = _near(words, place)
    vowel = following[:1] in tuple("aeio") and not following.startswith(("one", "once", "eu", "ew"))
    vowel = vowel or following.startswith(("hour", "honest", "honor", "heir"))
    vowel = vowel or (
        following.startswith("u")
        and not following.startswith(("uni", "use", "usu", "uti", "ura", "ukr", "uk"))
    )
    vowel = vowel or (len(following) == 1 and following in "fhlmnrsx")
    return (
        "DH IY0" if (vowel and following not in ("u", "union")) or following.startswith("unin") else "DH AH0"
    )


_SINGLE: dict[str, Callable[[Sequence[str], int, bool], str]] = {
    "read": _read, "live": _live, "lives": _lives, "lead": _lead, "wind": _wind, "winds": _winds,
    "wound": _wound,
    "tear": _tear, "tears": _tears, "bow": _bow, "bass": _bass, "close": _close, "minute": _minute,
    "dove": _dove,
    "resume": _resume, "polish": _polish, "the": _the,
}  # fmt: skip
