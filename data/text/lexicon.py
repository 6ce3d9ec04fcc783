"""The dictionary in the package, and the lexicon files of users.

`lexicon.gz` is the CMU Pronouncing Dictionary (copyright 1993-2015 Carnegie Mellon University, BSD licence,
in `LICENSE.cmudict`): the first pronunciation of each word of letters and apostrophes. A line is a word, a
tab and ARPAbet phones; the lines are sorted.
"""

import gzip
import os
import re
import unicodedata
from functools import lru_cache
from pathlib import Path

from ..errors import TextError
from .espeak import ENGLISH, code_of
from .symbols import PhonemeError, from_arpabet, parse_phonemes

FILE = Path(__file__).with_name("lexicon.gz")
LARGEST = 50_000_000  # bytes of a user's lexicon
Lexicon = dict[str, tuple[str, ...]]  # lower-case word -> symbols

_WORD = re.compile(r"[a-z]+(?:'[a-z]+)*'?|'[a-z]+")
_FOREIGN_WORD = re.compile(r"[^\W\d_]+(?:['-][^\W\d_]+)*")
_SPELLED = dict(
    pair.split(":")
    for pair in (
        "a:EY b:B,IY c:S,IY d:D,IY e:IY f:EH,F g:JH,IY h:EY,CH i:AY j:JH,EY k:K,EY l:EH,L m:EH,M n:EH,N o:OW "
        "p:P,IY "
        "q:K,Y,UW r:AA,R s:EH,S t:T,IY u:Y,UW v:V,IY w:D,AH,B,AH,L,Y,UW x:EH,K,S y:W,AY z:Z,IY"
    ).split()
)


# Words that the dictionary lacks and normalisation or our time needs; "invalid" is an adjective first.
_ADDED = dict(
    line.strip().split(":")
    for line in """
        mynah:M AY1 N AH0
        mynahs:M AY1 N AH0 Z
        miz:M IH1 Z
        emoji:IH0 M OW1 JH IY0
        covid:K OW1 V IH0 D
        gif:G IH1 F
        chatbot:CH AE1 T B AA2 T
        cryptocurrency:K R IH2 P T OW0 K ER1 AH0 N S IY0
        codec:K OW1 D EH2 K
        tokenizer:T OW1 K AH0 N AY2 Z ER0
        gigabit:G IH1 G AH0 B IH2 T
        gigahertz:G IH1 G AH0 HH ER2 T S
        microsecond:M AY1 K R OW0 S EH2 K AH0 N D
        kelvin:K EH1 L V IH0 N
        json:JH EY1 S AH0 N
        yaml:Y AE1 M AH0 L
        captcha:K AE1 P CH AH0
        hipaa:HH IH1 P AH0
        lidar:L AY1 D AA2 R
        brexit:B R EH1 K S IH0 T
        tik:T IH1 K
        tok:T AA1 K
        invalid:IH2 N V AE1 L IH0 D
    """.strip().splitlines()
)


@lru_cache(maxsize=1)
def _dictionary() -> dict[str, str]:
    with gzip.open(FILE, "rt", encoding="ascii") as lines:
        return dict(line.rstrip("\n").split("\t") for line in lines) | _ADDED


def lookup(word: str) -> tuple[str, ...] | None:
    """Return the symbols of a lower-case word, None when the dictionary does not have it."""
    phones = _dictionary().get(word)
    return None if phones is None else from_arpabet(phones)


def is_word(word: str) -> bool:
    """Return whether the dictionary has the lower-case word with another sound than its letters' names."""
    phones = _dictionary().get(word)
    return phones is not None and not is_spelled(word)


@lru_cache(maxsize=4096)
def is_spelled(word: str) -> bool:
    """Return whether the dictionary says a lower-case word letter by letter, as "fbi"."""
    phones = _dictionary().get(word)
    if phones is None or not word.isalpha():
        return False
    letters = ",".join(_SPELLED[letter] for letter in word)
    return len(word) > 1 and re.sub("[012]", "", phones).replace(" ", ",") == letters


def letter(name: str) -> tuple[str, ...]:
    """Return how the name of a letter a-z is said, in lower case."""
    phones = _SPELLED[name].split(",")
    vowels = [place for place, phone in enumerate(phones) if phone[0] in "AEIOU"]
    for place in vowels:
        phones[place] += "1" if place == vowels[0] else "0"
    return from_arpabet(" ".join(phones))


def read_lexicon(path: str | os.PathLike[str], language: str = ENGLISH) -> Lexicon:
    """Return a user's pronunciations, which go before the dictionary's.

    Args:
        path: a UTF-8 text file; a line is a word of letters a-z and apostrophes, a tab, and sounds
            separated by spaces, in IPA or ARPAbet (see `symbols.parse_phonemes`). Empty lines and lines that
            begin with # are skipped; case does not matter.
        language: in others than English, words have letters of any kind.

    Raises:
        TextError: the file cannot be read, is too large, or a line is wrong (named by its number), or a word
            stands in it twice with different sounds.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise TextError(f"{path}: {error.strerror or error}") from error
    if len(data) > LARGEST:
        raise TextError(f"{path}: larger than {LARGEST // 1_000_000} MB, which is no lexicon")
    entries: Lexicon = {}
    english = code_of(language) == ENGLISH
    for number, line in enumerate(data.splitlines(), start=1):
        try:
            entry = _entry(line, english)
        except (TextError, UnicodeDecodeError) as error:
            reason = "not UTF-8" if isinstance(error, UnicodeDecodeError) else error
            raise TextError(f"{path}, line {number}: {reason}") from error
        if entry is None:
            continue
        word, symbols = entry
        if entries.setdefault(word, symbols) != symbols:
            raise TextError(f"{path}, line {number}: {word!r} stands in it twice, with different sounds")
    return entries


def _entry(line: bytes, english: bool) -> tuple[str, tuple[str, ...]] | None:
    text = line.decode("utf-8-sig").strip(" \r\n")
    if not text.strip() or text.startswith("#"):
        return None
    word, tab, phonemes = text.partition("\t")
    if not tab:
        raise TextError(f"{text[:40]!r} has no tab; expected a word, a tab and its phonemes")
    word = unicodedata.normalize("NFC", word.strip().replace("’", "'")).lower()
    if not (_WORD if english else _FOREIGN_WORD).fullmatch(word):
        letters = "letters a-z" if english else "letters"
        raise TextError(f"{word[:40]!r} is not one word of {letters} and apostrophes")
    try:
        return word, parse_phonemes(phonemes)
    except PhonemeError as error:
        raise TextError(f"{word!r}: {error}") from error
