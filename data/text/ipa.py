"""Sounds of other languages in the inventory: each IPA sound that eSpeak NG writes becomes the nearest
General American one or two.

A model that learned English says what English lacks as an English speaker does who meets the language for the
first time. The table was written by ear and by how English takes up foreign words, not fitted to data:

- What differs in length, place or voice quality only is the English sound: long vowels, taps and trills,
  dental, retroflex and palatalised consonants, approximants for voiced stops.
- Front rounded vowels are `u` and `ʊ` when close and `ɝ` when mid; central ones go to their neighbours.
- A nasal vowel is the vowel and a nasal consonant, made where the consonant after it is made.
- `ç` is `ʃ`; `x` is `h` before a vowel and `k` elsewhere. Palatal stops are affricates.
- Vowels in a row are the diphthongs that English has, and so are vowels with a `j` or `w` behind them, unless
  a vowel follows.
- What English does not have in some place is mended: lax vowels at the end of a word, tense ones before `ɹ`,
  doubled consonants, `ə` before `ɹ`.

`DIALECTS` has what a sign stands for in one language alone.
"""

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

from .symbols import CONSONANTS, STRESS, VOWEL_SOUNDS

_NASAL = "\u0303"
# IPA -> sounds of the inventory, without stress and in full: `ʌ` and `ɝ` are reduced where there is none.
_VOWELS = {
    "i": "i", "y": "u", "ɨ": "ɪ", "ʉ": "u", "ɯ": "ʊ", "u": "u", "ɪ": "ɪ", "ʏ": "ʊ", "ʊ": "ʊ", "ᵻ": "ɪ",
    "e": "ɛ", "ø": "ɝ", "ɘ": "ʌ", "ɵ": "ʊ", "ɤ": "ʌ", "o": "oʊ", "ə": "ʌ", "ɚ": "ɝ",
    "ɛ": "ɛ", "ε": "ɛ", "œ": "ɝ", "ɜ": "ɝ", "ɝ": "ɝ", "ɞ": "ɝ", "ʌ": "ʌ", "ɔ": "ɔ",
    "æ": "æ", "ɐ": "ʌ", "a": "ɑ", "ɶ": "ɑ", "ɑ": "ɑ", "ɒ": "ɑ",
}  # fmt: skip
_DIPHTHONGS = {
    first + second: sound
    for sound, firsts, seconds in (
        ("aɪ", "aɑæɐ", "ɪij"), ("aʊ", "aɑæʌɐ", "ʊuʉw"), ("eɪ", "eɛ", "ɪij"), ("oʊ", "oəɔ", "ʊuw"),
        ("ɔɪ", "oɔ", "ɪijyʏø"), ("ɔɪ", "œø", "yʏ"),
    )
    for first in firsts
    for second in seconds
}  # fmt: skip
_CONSONANTS = {
    **{sound: sound for sound in CONSONANTS.values()},
    "ʈ": "t", "ɖ": "d", "c": "tʃ", "ɟ": "dʒ", "ɟʝ": "j", "q": "k", "ɢ": "ɡ", "g": "ɡ",
    "ɱ": "m", "ɳ": "n", "ɲ": "n", "ɴ": "ŋ", "ʙ": "b",
    "r": "ɹ", "ʀ": "ɹ", "ʁ": "ɹ", "ɾ": "ɹ", "ɽ": "ɹ", "ɻ": "ɹ",
    "ɫ": "l", "ɭ": "l", "ʟ": "l", "ɬ": "l", "ʎ": "l", "ɺ": "l", "ɮ": "l",
    "ɸ": "f", "β": "b", "ʋ": "v", "ɕ": "ʃ", "ʂ": "ʃ", "ç": "ʃ", "ʑ": "ʒ", "ʐ": "ʒ", "ɧ": "ʃ",
    "tɕ": "tʃ", "tʂ": "tʃ", "dʑ": "dʒ", "dʐ": "dʒ",
    "x": "k", "χ": "k", "ɣ": "ɡ", "ħ": "h", "ɦ": "h", "ʝ": "j", "ɥ": "w", "ɰ": "w", "ʍ": "w", "ʷ": "w",
}  # fmt: skip
_BEFORE_VOWELS = {"x": "h", "χ": "h", "ɲ": "n j", "ʎ": "l j", "ʲ": "j"}
# Read before anything is dropped: long e, the Czech ř with voice and without, consonants that are syllables.
_FIRST = [
    (re.compile("eː"), "eɪ"),
    (re.compile("r\u031d\u030a"), "ɹʃ"),
    (re.compile("r\u031d"), "ɹʒ"),
    (re.compile("([lrmnɾ])\u0329"), r"ə\1"),
]
# Length, secondary articulation, tones and breaks; places of tongue and lips that English does not tell
# apart; and the ? " ^ - that eSpeak itself writes.
_DROPPED = re.compile(
    '[ːˑʰˠˤʔʕˀ.‿|?"^\u0361\u035c\u030a\u031d-\u0320\u0324\u0325\u0308\u0329\u032a\u032c\u032f\u0339'
    "\u031c\u0330\u033a\u033b˥-˩0-9-]"
)
DIALECTS: dict[str, tuple[tuple[str, str], ...]] = {
    "el": (("ç", "h"), ("c", "k"), ("ɟ", "ɡ")),
    "fr": (
        ("ɛ" + _NASAL, "æ" + _NASAL),
        ("œ" + _NASAL, "ʌ" + _NASAL),
        ("yi", "wi"),
        ("yˈi", "wˈi"),
        ("e", "eɪ"),
    ),
    "sv": (("sx", "ʃ"),),
    "tr": (("c", "k"), ("ɟ", "ɡ")),
    "uk": (("β", "v"),),
}

_VOWEL = f"[{''.join(_VOWELS)}]"
_TABLE = _VOWELS | _DIPHTHONGS | _CONSONANTS
_NASAL_DIPHTHONG = re.compile(f"({_VOWEL}){_NASAL}([ɪiʊujw]){_NASAL}?")
_SOUND = re.compile(
    f"(?P<before>ʲ(?![ˈˌ]?[iɪ])|[{''.join(_BEFORE_VOWELS).replace('ʲ', '')}])(?=[ˈˌ]?{_VOWEL})|(?P<sound>"
    + "|".join(
        key + (f"(?![ˈˌ]?{_VOWEL})" if key in _DIPHTHONGS and key[-1] in "jw" else "")
        for key in sorted(_TABLE, key=len, reverse=True)
    )
    + ")|(?P<other>.)",
    re.DOTALL,
)
_VOWEL_NEXT = re.compile(f"[ˈˌ]?{_VOWEL}")
_NASALS = {"p": "m", "b": "m", "k": "ŋ", "ɡ": "ŋ", "m": "", "n": "", "ŋ": ""}
_BEFORE_R = {"eɪ": "ɛ", "oʊ": "ɔ", "u": "ʊ", "i": "ɪ", "æ": "ɛ"}
_AT_END = {"ɪ": "i", "ɨ": "i", "ʊ": "u", "e": "eɪ"}
_REDUCED = {"ʌ": "ə", "ɝ": "ɚ"}


class Heard(NamedTuple):
    """A word in sounds of the inventory.

    Attributes:
        phonemes: symbols, the vowels with their stress.
        unknown: signs of IPA that no rule knows; they are left out.
    """

    phonemes: tuple[str, ...]
    unknown: tuple[str, ...]


@lru_cache(maxsize=8192)
def to_inventory(word: str, language: str = "") -> Heard:
    """Return the nearest sounds of the inventory.

    Args:
        word: IPA as eSpeak NG writes it, with ˈ and ˌ before vowels or syllables.
        language: code, for `DIALECTS`; a region behind a hyphen does not count.
    """
    text = unicodedata.normalize("NFD", word).replace("c\u0327", "ç")
    for sign, meant in DIALECTS.get(language.partition("-")[0], ()):
        text = text.replace(sign, meant)
    for pattern, plain in _FIRST:
        text = pattern.sub(plain, text)
    text = _NASAL_DIPHTHONG.sub(rf"\1\2{_NASAL}", _DROPPED.sub("", text))
    sounds: list[str] = []  # without stress
    stresses: list[str] = []
    unknown: list[str] = []
    stress = ""
    for match in _SOUND.finditer(text):
        found = _BEFORE_VOWELS[match["before"]] if match["before"] else _TABLE.get(match[0], "")
        if match[0] in STRESS:
            stress = match[0]
        elif match[0] == _NASAL:
            found = _NASAL
        elif not found and match[0] != "ʲ":
            unknown.append(match[0])
        if match[0] in _AT_END and match.end() == len(text):
            found = _AT_END[match[0]]
        if match[0] in ("j", "w") and not _VOWEL_NEXT.match(text, match.end()):
            found = _glide_behind(sounds, match[0])
        for sound in found.split():
            sounds.append(sound)
            stresses.append("")
            if "ˈ" + sound in VOWEL_SOUNDS:
                stresses[-1], stress = stress, ""
    return Heard(_mended(sounds, stresses), tuple(unknown))


def _glide_behind(sounds: list[str], glide: str) -> str:
    """A glide at the end of a syllable as a vowel; nothing where the vowel before ends like that."""
    vowel = "i" if glide == "j" else "u"
    lax = "ɪ" if glide == "j" else "ʊ"
    return "" if sounds and sounds[-1][-1] in (vowel, lax) else vowel


def _mended(sounds: list[str], stresses: list[str]) -> tuple[str, ...]:
    """Symbols, with what English does not have in some place replaced by what it has."""
    out: list[str] = []
    last = ""  # the sound before, without stress
    for place, (sound, stress) in enumerate(zip(sounds, stresses, strict=True)):
        following = sounds[place + 1] if place + 1 < len(sounds) else ""
        if sound == _NASAL:
            sound = _NASALS.get(following[:1], "n")
        is_vowel = "ˈ" + sound in VOWEL_SOUNDS
        if is_vowel and following == "ɹ":
            sound = _BEFORE_R.get(sound, sound)
            after = sounds[place + 2] if place + 2 < len(sounds) else ""
            if sound == "ʌ" and "ˈ" + after not in VOWEL_SOUNDS:
                sound = "ɝ"
        if not sound or (not is_vowel and sound == last) or (sound == "ɹ" and last == "ɝ"):
            continue
        last = sound
        out.append(stress + sound if stress else _REDUCED.get(sound, sound))
    return tuple(out)
