"""From text to phonemes: `phonemize`."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from . import g2p, heteronyms, lexicon
from .characters import MOST_WARNINGS
from .espeak import ENGLISH, code_of
from .normalise import Normalised, normalise
from .symbols import BOUNDARY, PUNCTUATION, VOWEL_SOUNDS, from_arpabet, parse_phonemes, stressed, to_ids

_ITEM = re.compile(
    r"\[(?P<shown>[^\[\]()\n]+)\]\(/(?P<override>[^()\n]+?)/\)"
    r"|(?P<word>[A-Za-z]+(?:'[A-Za-z]+)*'?|'[A-Za-z]+)|(?P<mark>[,.?!;:—…()])"
)
HEARD_AS = {"(": ",", ")": ","}
STRENGTH = {mark: place for place, mark in enumerate((BOUNDARY, ",", "—", ":", ";", "…", ".", "!", "?"))}
_ENDS = ".?!…"
LONG = 40  # letters; no English word has more


class Word(NamedTuple):
    """A word and its sounds.

    Attributes:
        text: as it stands in the normalised text; of an override, what stands in its square brackets.
        start, end: its span in the normalised text.
        phonemes: its sounds, at least one.
        source: "dictionary", "lexicon" (the user's), "override", "letter", "derived" (from a dictionary
        word) or "guessed".
    """

    text: str
    start: int
    end: int
    phonemes: tuple[str, ...]
    source: str


class Phonemes(NamedTuple):
    """Text as sounds.

    Attributes:
        text: the normalised text.
        words: its words.
        separators: what is heard between the words and after the last: `symbols.BOUNDARY` or a mark; as
        many as words.
        warnings: a line for everything that was skipped, and for every guessed word of more than `LONG`
            letters.
    """

    text: str
    words: tuple[Word, ...]
    separators: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def symbols(self) -> tuple[str, ...]:
        """All sounds, with exactly one separator between two words and a mark, or none, at the end."""
        out: list[str] = []
        for word, separator in zip(self.words, self.separators, strict=True):
            out += (*word.phonemes, separator)
        return tuple(out[:-1] if out and out[-1] == BOUNDARY else out)

    @property
    def ids(self) -> list[int]:
        """The ids of `symbols`."""
        return to_ids(self.symbols)


def phonemize(
    text: str | Normalised,
    user_lexicon: Mapping[str, tuple[str, ...]] | None = None,
    language: str = ENGLISH,
) -> Phonemes:
    """Return the sounds of `text`, which is normalised first.

    A word is looked up in turn: inline override, user's lexicon, heteronyms by context, dictionary,
    dictionary with an ending or as a compound, grapheme-to-phoneme model.

    Args:
        text: English text, or the result of `normalise`, which has spelled the words of the lexicon that
            stand in capitals unless it was given them.
        user_lexicon: as from `lexicon.read_lexicon`.
        language: another one is read by eSpeak NG, in the sounds of the inventory: see `foreign`.

    Raises:
        TextError: as `normalise`.
        LanguageError: a language that is not known, or another than English without the extra `espeak`.
    """
    code = code_of(language)
    if code != ENGLISH:
        from . import foreign, foreign_text

        cleaned = foreign_text.normalise(text, code) if isinstance(text, str) else text
        return foreign.phonemize(cleaned, user_lexicon or {}, code)
    normalised = normalise(text, user_lexicon or ()) if isinstance(text, str) else text
    found = list(_ITEM.finditer(normalised.text))
    words: list[Word] = []
    separators: list[str] = []
    for sentence in _sentences(found):
        lower = [(item["word"] or item["shown"]).lower() for item in sentence if not item["mark"]]
        place = 0
        for item in sentence:
            if item["mark"]:
                mark = HEARD_AS.get(item["mark"], item["mark"])
                if separators and STRENGTH[mark] > STRENGTH[separators[-1]]:
                    separators[-1] = mark
                continue
            sounds, source = _sounds(item, lower, place, user_lexicon or {})
            words.append(Word(item["word"] or item["shown"], item.start(), item.end(), sounds, source))
            separators.append(BOUNDARY)
            place += 1
    assert all(separator in PUNCTUATION or separator == BOUNDARY for separator in separators)
    warnings = (*normalised.warnings, *_long_guesses(words))
    return Phonemes(normalised.text, tuple(words), tuple(separators), warnings)


def _long_guesses(words: list[Word]) -> list[str]:
    """A line for every word that is too long to be one and is spoken from its letters nevertheless."""
    long = dict.fromkeys(word.text for word in words if word.source == "guessed" and len(word.text) > LONG)
    return [
        f"{text[:40] + '…'!r} has {len(text)} letters and is in no dictionary: spoken as it is spelled"
        for text in list(long)[:MOST_WARNINGS]
    ]


def _sentences(items: list[re.Match[str]]) -> list[list[re.Match[str]]]:
    sentences: list[list[re.Match[str]]] = [[]]
    for item in items:
        sentences[-1].append(item)
        if item["mark"] and item["mark"] in _ENDS:
            sentences.append([])
    return sentences


def _sounds(
    item: re.Match[str], words: list[str], place: int, user_lexicon: Mapping[str, tuple[str, ...]]
) -> tuple[tuple[str, ...], str]:
    if item["override"]:
        return parse_phonemes(item["override"]), "override"
    written, word = item["word"], words[place]
    for form in (word, word.rstrip("'")):
        if form in user_lexicon:
            return user_lexicon[form], "lexicon"
    if word.endswith("'s") and word[:-2] in user_lexicon:
        return user_lexicon[word[:-2]] + _possessive(user_lexicon[word[:-2]]), "lexicon"
    base, _, ending = word.partition("'")
    if len(base) == 1 and ending in ("", "s") and _is_letter(written, words, place, item):
        name = lexicon.letter(base)
        return (name + _possessive(name) if ending else name), "letter"
    sounds = heteronyms.pronounce(words, place, written[0].isupper())
    if sounds is not None:
        return sounds, "dictionary"
    for form in (word, word.rstrip("'"), word + "'"):
        sounds = lexicon.lookup(form)
        if sounds is not None:
            return sounds, "dictionary"
    sounds = _derived(word) if len(word) <= LONG else None  # `_derived` is for words, not for any letters
    if sounds is not None:
        return sounds, "derived"
    return stressed(from_arpabet(g2p.pronounce(word.strip("'")))), "guessed"


def _is_letter(written: str, words: list[str], place: int, item: re.Match[str]) -> bool:
    """Whether a word of one letter is the letter's name: always, but for the article."""
    if written == "a" or written[0] not in "Aa":
        return written != "a"
    if "'" in written:
        return True
    text = item.string
    beside = re.search(r"\b[A-Z] $", text[: item.start()][-3:]) or re.match(
        r" [A-Z]\b", text[item.end() :][:3]
    )
    starts = place == 0 or re.search(r"[\"(]$", text[: item.start()]) is not None
    return bool(beside) or not starts


def _possessive(sounds: tuple[str, ...]) -> tuple[str, ...]:
    """The s of plurals, possessives and verbs."""
    last = sounds[-1]
    if last in ("s", "z", "ʃ", "ʒ", "tʃ", "dʒ"):
        return ("ɪ", "z")
    return ("s",) if last in ("p", "t", "k", "f", "θ") else ("z",)


def _past(sounds: tuple[str, ...]) -> tuple[str, ...]:
    last = sounds[-1]
    if last in ("t", "d"):
        return ("ɪ", "d")
    return ("t",) if last in ("p", "k", "f", "θ", "s", "ʃ", "tʃ") else ("d",)


_SUFFIXES = {"ing": ("ɪ", "ŋ"), "ly": ("l", "i"), "ness": ("n", "ə", "s"), "less": ("l", "ə", "s"), "ful":
             ("f", "ə", "l"),
             "ment": ("m", "ə", "n", "t"), "er": ("ɚ",), "ers": ("ɚ", "z"), "like": ("l", "ˌaɪ", "k"),
             "ish": ("ɪ", "ʃ"),
             "able": ("ə", "b", "ə", "l"), "ship": ("ʃ", "ɪ", "p"), "est": ("ə", "s", "t"), "ings": ("ɪ",
             "ŋ", "z")}  # fmt: skip
_PREFIXES = {"un": ("ʌ", "n"), "re": ("ɹ", "i"), "non": ("n", "ɑ", "n"), "pre": ("p", "ɹ", "i"), "over":
             ("oʊ", "v", "ɚ"),
             "mis": ("m", "ɪ", "s"), "dis": ("d", "ɪ", "s"), "anti": ("æ", "n", "t", "i"), "micro": ("m",
             "aɪ", "k", "ɹ", "oʊ"),
             "multi": ("m", "ʌ", "l", "t", "i"), "nano": ("n", "æ", "n", "oʊ"), "sub": ("s", "ʌ",
             "b")}  # fmt: skip


def _derived(word: str) -> tuple[str, ...] | None:
    """An inflected form, a word with a usual suffix or prefix, or a compound of two dictionary words."""
    if word.endswith(("'s", "s'")) or (word.endswith("s") and not word.endswith("ss")):
        stem = word[:-2] if word.endswith(("'s", "s'")) else word[:-1]
        stems = (
            stem,
            stem[:-1] if stem.endswith("e") else "",
            stem[:-2] + "y" if stem.endswith("ie") else "",
        )
        for candidate in stems if not word.endswith("'s") else (stem,):
            sounds = _known(candidate)
            if sounds and not (candidate == stem[:-1] and sounds[-1] not in ("s", "z", "ʃ", "tʃ", "dʒ")):
                return sounds + _possessive(sounds)
        if word.endswith("'s"):
            sounds = stressed(from_arpabet(g2p.pronounce(stem.strip("'"))))
            return sounds + _possessive(sounds) if sounds else None
    if word.endswith("ed") and len(word) > 4:
        for stem in (
            word[:-2],
            word[:-1],
            word[:-3] if word[-3] == word[-4] else "",
            word[:-3] + "y" if word[-3] == "i" else "",
        ):
            sounds = _known(stem)
            if sounds:
                return sounds + _past(sounds)
    for suffix, ending in _SUFFIXES.items():
        if word.endswith(suffix) and len(word) > len(suffix) + 2:
            stem = word[: -len(suffix)]
            silent = stem + "e" if suffix[0] in "aei" else ""
            double = stem[:-1] if suffix[0] in "aei" and stem[-1] == stem[-2] else ""
            for candidate in (silent, stem, double, stem[:-1] + "y" if stem[-1] == "i" else ""):
                sounds = _known(candidate)
                if sounds:
                    return sounds + ending
    for prefix, beginning in _PREFIXES.items():
        if word.startswith(prefix) and len(word) > len(prefix) + 3:
            rest = word[len(prefix) :]
            sounds = _known(rest) or _derived(rest)
            if sounds:
                return _weakened(beginning) + sounds
    for cut in range(4, len(word) - 3):  # the longest first half that leaves a word
        first, second = lexicon.lookup(word[: len(word) - cut]), lexicon.lookup(word[len(word) - cut :])
        if first and second and len(word) - cut >= 4:
            return first + tuple(sound.replace("ˈ", "ˌ") for sound in second)
    return None


def _weakened(prefix: tuple[str, ...]) -> tuple[str, ...]:
    """A prefix with secondary stress on its first vowel."""
    place = next(place for place, sound in enumerate(prefix) if sound in VOWEL_SOUNDS or sound == "ʌ")
    return (*prefix[:place], "ˌ" + prefix[place], *prefix[place + 1 :])


def _known(word: str) -> tuple[str, ...] | None:
    return lexicon.lookup(word) if len(word) > 2 else None
