"""English text to phonemes: normalisation, pronunciation, and splitting of long text.

from mynah.data.text import phonemize
phonemize("Dr. Smith paid $1.50.").symbols
"""

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
