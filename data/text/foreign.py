"""Other languages as sounds of the inventory: what stands between two marks is read by eSpeak NG at once,
since words lean on each other, and said as `ipa` tells."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from . import espeak
from .characters import Skipped
from .ipa import to_inventory
from .normalise import Normalised, nothing_to_say
from .phonemize import HEARD_AS, STRENGTH, Phonemes, Word
from .symbols import BOUNDARY, VOWEL_SOUNDS, parse_phonemes

AT_ONCE = 50  # words that eSpeak reads together where no mark ends them sooner
TITLES = frozenset("dr prof hr fr sr sra srta st mme mlle mgr ing dott sig".split())  # before names
# Languages that write "3." for the third.
_WITH_ORDINALS = frozenset("cs de fi hu nb pl sk tr".split())

_ITEM = re.compile(
    r"\[(?P<shown>[^\[\]()\n]+)\]\(/(?P<override>[^()\n]+?)/\)|(?P<mark>[.,;:?!…—()])"
    # marks within a word are its own: 3,50 and 12:30 and z.B; eSpeak cuts what is longer than 60 characters
    r"|(?P<word>(?:[^\s\"()?!…—.,;:\[]|[.,;:](?=[^\s\"()?!…—.,;:\[])){1,60})"
)
_NEXT = re.compile(r"\s+[\"'(]*(\w)")
_INITIALS = re.compile(r"(?:[^\W\d_]\.)*[^\W\d_]")
_ORDINAL = re.compile(r"\d{1,2}")
Lexicon = Mapping[str, tuple[str, ...]]


def phonemize(text: Normalised, user_lexicon: Lexicon, language: str) -> Phonemes:
    """Return the sounds of `text`; the source of a word that eSpeak has read is "espeak".

    Written and spoken words need not be as many: a number's words all have its span, and words that are said
    as one are a word. What has no vowel leans on the word behind it.

    Args:
        text: from `foreign_text.normalise`.
        user_lexicon: as from `lexicon.read_lexicon`.
        language: a code of `espeak.LANGUAGES`.

    Raises:
        NothingToSay: eSpeak says nothing to it.
        LanguageError: eSpeak NG is not installed.
    """
    words: list[Word] = []
    separators: list[str] = []
    waiting: list[Word] = []  # written words without sounds yet
    unknown = Skipped()

    def read() -> None:
        if waiting:
            words.extend(_read(text.text, waiting, language, unknown))
            separators.extend([BOUNDARY] * (len(words) - len(separators)))
            waiting.clear()

    for item in _items(text.text, language):
        if item.source == "mark":
            read()
            mark = HEARD_AS.get(item.text, item.text)
            if separators and STRENGTH[mark] > STRENGTH[separators[-1]]:
                separators[-1] = mark
            continue
        sounds = item.phonemes or user_lexicon.get(item.text.lower().strip("'"), ())
        if sounds:
            read()
            words.append(item._replace(phonemes=sounds, source=item.source or "lexicon"))
            separators.append(BOUNDARY)
        else:
            waiting.append(item)
            if len(waiting) == AT_ONCE:
                read()
    read()
    warnings = (*text.warnings, *unknown.warnings())
    if not words:
        raise nothing_to_say(text.text, unknown, espeak.LANGUAGES[language].script)
    return Phonemes(text.text, tuple(words), tuple(separators), warnings)


def _items(text: str, language: str) -> Iterator[Word]:
    """Marks, overrides with their sounds, and words without, the periods of abbreviations among them."""
    at = 0
    while item := _ITEM.search(text, at):
        at = item.end()
        if item["override"]:
            yield Word(item["shown"], item.start(), at, parse_phonemes(item["override"]), "override")
        elif item["mark"]:
            yield Word(item["mark"], item.start(), at, (), "mark")
        else:
            at += _shortened(text, item, language)
            yield Word(text[item.start() : at], item.start(), at, (), "")


def _shortened(text: str, word: re.Match[str], language: str) -> bool:
    """Whether a period ends a word, and not the sentence."""
    following = _NEXT.match(text, word.end() + 1) if text.startswith(".", word.end()) else None
    if following is None:
        return False
    if following[1].islower() or is_ordinal(word[0], language):
        return True
    return word[0].lower() in TITLES or bool(_INITIALS.fullmatch(word[0]))


def is_ordinal(word: str, language: str) -> bool:
    """Whether a period behind a word belongs to a number, as in "3. Mai"."""
    return language in _WITH_ORDINALS and bool(_ORDINAL.fullmatch(word))


def _read(text: str, written: Sequence[Word], language: str, unknown: Skipped) -> Iterator[Word]:
    """What eSpeak says to words, each with the words it was written as."""

    def said(count: int) -> list[str]:
        return espeak.words(" ".join(word.text for word in written[:count]), language)

    spoken = said(len(written))
    ends = _spread(len(written), len(spoken), lambda count: len(said(count)))
    leaning: tuple[str, ...] = ()
    begin = 0
    for place, ipa in enumerate(spoken):
        heard = to_inventory(ipa, language)
        for sign in heard.unknown:
            unknown.note(sign, "no sound of the voices is near this one of eSpeak NG")
        sounds = (*leaning, *heard.phonemes)
        first = next(at for at, end in enumerate(ends) if end > place)
        last = max(at for at, end in enumerate(ends) if end <= place + 1 or at == first)
        begin = begin if leaning else written[first].start
        leaning = ()
        if place + 1 < len(spoken) and not VOWEL_SOUNDS.intersection(sounds):
            leaning = sounds
        elif sounds:
            end = written[last].end
            yield Word(text[begin:end], begin, end, sounds, "espeak")


def _spread(written: int, spoken: int, count: Callable[[int], int]) -> list[int]:
    """How many spoken words there are up to the end of each written one.

    Args:
        written, spoken: words.
        count: spoken words of the first so many written ones; asked only where they are not as many.
    """
    ends = [spoken] * written

    def fill(low: int, high: int, before: int, after: int) -> None:
        if after - before == high - low:
            ends[low:high] = range(before + 1, after + 1)
        elif high - low > 1:
            middle = (low + high) // 2
            between = min(max(count(middle), before), after)
            fill(low, middle, before, between)
            fill(middle, high, between, after)
        else:
            ends[low] = after

    fill(0, written, 0, spoken)
    return ends
