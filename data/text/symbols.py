"""The phoneme inventory: General American sounds with their stress, and the marks that prosody needs.

The symbols are IPA. A vowel carries its stress in the same symbol (`ɑ`, `ˈɑ` primary, `ˌɑ` secondary), so
that every symbol is something that lasts, which an aligner can put a time on. Between two words stands
exactly one separator: `BOUNDARY`, or the punctuation mark heard there.

The order of `SYMBOLS` is part of the format of every model trained on it: a symbol's id is its place, new
ones go to the end, none is ever moved.

Source of the sounds: the CMU Pronouncing Dictionary's 39 phones (ARPAbet), whose AH and ER are split into the
full vowels `ʌ`, `ɝ` and the unstressed `ə`, `ɚ`.
"""

from collections.abc import Iterable, Sequence

from ..errors import TextError

PAD = "_"  # fills batches; never spoken
SILENCE = "~"  # before, after and within speech; comes from an alignment, never from text
BOUNDARY = " "  # between two words without punctuation
PUNCTUATION = (",", ";", ":", "—", "…", ".", "?", "!")
PAUSES = (SILENCE, BOUNDARY, *PUNCTUATION)  # what is no sound

# ARPAbet -> IPA. The vowels have three symbols each: unstressed, primary, secondary.
CONSONANTS = dict(
    pair.split(":")
    for pair in (
        "P:p B:b T:t D:d K:k G:ɡ F:f V:v TH:θ DH:ð S:s Z:z SH:ʃ ZH:ʒ HH:h "
        "CH:tʃ JH:dʒ M:m N:n NG:ŋ L:l R:ɹ W:w Y:j"
    ).split()
)
VOWELS = dict(
    pair.split(":")
    for pair in "AA:ɑ AE:æ AH:ʌ AO:ɔ AW:aʊ AY:aɪ EH:ɛ ER:ɝ EY:eɪ IH:ɪ IY:i OW:oʊ OY:ɔɪ UH:ʊ UW:u".split()
)
_UNSTRESSED = {"ʌ": "ə", "ɝ": "ɚ"}
STRESS = ("", "ˈ", "ˌ")  # indexed by ARPAbet's 0, 1, 2

SYMBOLS: tuple[str, ...] = (
    PAD,
    SILENCE,
    BOUNDARY,
    *PUNCTUATION,
    *CONSONANTS.values(),
    *(
        mark + vowel if mark else _UNSTRESSED.get(vowel, vowel)
        for vowel in VOWELS.values()
        for mark in STRESS
    ),
)
IDS: dict[str, int] = {symbol: place for place, symbol in enumerate(SYMBOLS)}
SOUNDS = frozenset(SYMBOLS[3 + len(PUNCTUATION) :])
VOWEL_SOUNDS = SOUNDS - set(CONSONANTS.values())

# Other spellings of the same sounds that people write.
_ALIASES = {
    "g": "ɡ", "r": "ɹ", "ɻ": "ɹ", "ʧ": "tʃ", "ʤ": "dʒ", "t͡ʃ": "tʃ", "d͡ʒ": "dʒ", "ɫ": "l", "ɾ": "t",
    "ɐ": "ə", "ɒ": "ɑ", "a": "ɑ", "e": "ɛ", "ɜ": "ɝ", "ɜɹ": "ɝ", "ɜr": "ɝ", "əɹ": "ɚ", "ər": "ɚ",
    "əʊ": "oʊ", "o": "oʊ", "ai": "aɪ", "au": "aʊ", "ei": "eɪ", "oi": "ɔɪ", "ɔi": "ɔɪ",
}  # fmt: skip
_ARPABET = {
    **CONSONANTS,
    **{
        name + digit: mark + vowel if mark else _UNSTRESSED.get(vowel, vowel)
        for name, vowel in VOWELS.items()
        for digit, mark in zip("012", STRESS)
    },
    **{name: _UNSTRESSED.get(vowel, vowel) for name, vowel in VOWELS.items()},
}


class PhonemeError(TextError):
    """A pronunciation with a symbol that is not in the inventory."""


def to_ids(symbols: Iterable[str]) -> list[int]:
    """Return the ids of `symbols`, each in [0, len(SYMBOLS)).

    Raises:
        PhonemeError: a symbol is not in the inventory.
    """
    try:
        return [IDS[symbol] for symbol in symbols]
    except KeyError as error:
        raise PhonemeError(f"{_shown(str(error.args[0]))} is not a phoneme; allowed: {_allowed()}") from None


def to_symbols(ids: Iterable[int]) -> list[str]:
    """Return the symbols of `ids`.

    Raises:
        PhonemeError: an id is not in [0, len(SYMBOLS)).
    """
    symbols = []
    for number in ids:
        if not 0 <= number < len(SYMBOLS):
            raise PhonemeError(f"phoneme id {number} is not in 0...{len(SYMBOLS) - 1}")
        symbols.append(SYMBOLS[number])
    return symbols


def from_arpabet(phones: str) -> tuple[str, ...]:
    """Return the symbols of ARPAbet phones from the dictionary, such as "K AE1 T"."""
    return tuple(_ARPABET[phone] for phone in phones.split())


def parse_phonemes(text: str) -> tuple[str, ...]:
    """Return the symbols of a pronunciation that a person wrote.

    Args:
        text: sounds separated by spaces, in IPA (`t ə m ˈɑː t oʊ`) or ARPAbet (`T AH0 M AA1 T OW0`).
        Length marks,
            tie bars and syllable dots are ignored, usual variants (`g`, `r`, `əʊ`) understood.

    Raises:
        PhonemeError: nothing in it, or a sound is not in the inventory (named, with the allowed ones).
    """
    symbols = []
    for token in text.split():
        if token in _ARPABET:
            symbols.append(_ARPABET[token])
            continue
        stress = token[0] if token[0] in STRESS[1:] else "ˈ" if token[0] == "'" else ""
        sound = token[1:] if stress else token
        sound = sound.replace("ː", "").replace(":", "").replace(".", "").replace("͡", "")
        sound = _ALIASES.get(sound, sound)
        if stress:
            sound = {"ə": "ʌ", "ɚ": "ɝ"}.get(sound, sound)
        else:
            sound = _UNSTRESSED.get(sound, sound)
        if not sound and not stress:
            continue  # a lone syllable dot
        if stress + sound not in SOUNDS:
            raise PhonemeError(
                f"{_shown(token)} is not a phoneme; allowed, separated by spaces: {_allowed()}"
            )
        symbols.append(stress + sound)
    if not symbols:
        raise PhonemeError(f"no phonemes; allowed, separated by spaces: {_allowed()}")
    return tuple(symbols)


def stressed(sounds: Sequence[str]) -> tuple[str, ...]:
    """Return `sounds` with a primary stress: where there is none, the first stressable vowel gets it."""
    if any(sound[0] == "ˈ" for sound in sounds):
        return tuple(sounds)
    places = [place for place, sound in enumerate(sounds) if sound in VOWEL_SOUNDS]
    if not places:
        return tuple(sounds)
    best = min(places, key=lambda place: (sounds[place][0] != "ˌ", sounds[place] in ("ə", "ɚ"), place))
    sound = sounds[best].removeprefix("ˌ")
    sound = "ˈ" + {"ə": "ʌ", "ɚ": "ɝ"}.get(sound, sound)
    return (*sounds[:best], sound, *sounds[best + 1 :])


def _allowed() -> str:
    vowels = " ".join(sorted({sound.lstrip("ˈˌ") for sound in VOWEL_SOUNDS}))
    return f"{' '.join(CONSONANTS.values())}, {vowels}, the vowels also with ˈ or ˌ before them"


def _shown(value: str) -> str:
    return repr(value if len(value) <= 40 else value[:40] + "…")
