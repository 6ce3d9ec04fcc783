"""Text to phonemes: normalisation, pronunciation, and splitting of long text; of English, and of other
languages with the extra `espeak`.

from mynah.data.text import phonemize
phonemize("Dr. Smith paid $1.50.").symbols
"""

from .espeak import ENGLISH, LanguageError, check_language
from .lexicon import read_lexicon
from .normalise import Normalised, NothingToSay, normalise
from .phonemize import Phonemes, Word, phonemize
from .split import Piece, phonemize_long, split
from .symbols import (
    BOUNDARY,
    PAD,
    PUNCTUATION,
    SILENCE,
    SYMBOLS,
    PhonemeError,
    parse_phonemes,
    to_ids,
    to_symbols,
)

__all__ = [
    "normalise",
    "Normalised",
    "phonemize",
    "Phonemes",
    "Word",
    "split",
    "phonemize_long",
    "Piece",
    "ENGLISH",
    "check_language",
    "LanguageError",
    "read_lexicon",
    "parse_phonemes",
    "SYMBOLS",
    "PAD",
    "SILENCE",
    "BOUNDARY",
    "PUNCTUATION",
    "to_ids",
    "to_symbols",
    "NothingToSay",
    "PhonemeError",
]
