"""Words as they are spelled, in pieces of a SentencePiece model, in place of phonemes.

How a word is said is then learned from speech, not looked up: with a thousand hours and more, a language
model that is told letters knows names and rare words that no dictionary has; with little, it mispronounces
what phonemes say plainly. When a word is said still comes from its phonemes; its letters share that time.

SentencePiece (Kudo and Richardson 2018) is the extra "subwords"; it is imported when a model is read or made.
"""

import io
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import MynahError, TextError
from .symbols import PAUSES

LARGEST = 16_000_000  # bytes of a model's file; one of 100,000 pieces has 2 MB
SIZES = (50, 100_000)  # pieces of a model


class Spelled(NamedTuple):
    """Symbols of `Subwords.symbols`, and frames of each."""

    symbols: tuple[str, ...]
    durations: tuple[int, ...]


class Subwords:
    """A SentencePiece model of words.

    Args:
        model: the content of its file.

    Attributes:
        model: as given.
        symbols: what texts are told in: pauses and marks as among phonemes, then the model's pieces.

    Raises:
        TextError: not a SentencePiece model.
        MynahError: SentencePiece is not installed.
    """

    def __init__(self, model: bytes):
        self.model = model
        library = _sentencepiece()
        if not model:  # which the library takes for one without pieces
            raise TextError("not a SentencePiece model")
        try:
            self._processor = library.SentencePieceProcessor(model_proto=model)
        except RuntimeError:
            raise TextError("not a SentencePiece model") from None
        pieces = [self._processor.id_to_piece(i) for i in range(self._processor.get_piece_size())]
        self.symbols = (*PAUSES, *(piece for piece in pieces if piece not in PAUSES))
        self._known = frozenset(pieces)
        self._unknown = self._processor.id_to_piece(self._processor.unk_id())

    @classmethod
    def load(cls, path: Path) -> "Subwords":
        """Read a file; TextError names it where it is none."""
        try:
            with open(path, "rb") as file:
                model = file.read(LARGEST + 1)
        except OSError as error:
            raise TextError(f"{path}: {error.strerror or error}") from None
        if len(model) > LARGEST:
            raise TextError(f"{path}: larger than {LARGEST // 1_000_000} MB: not a SentencePiece model")
        try:
            return cls(model)
        except TextError as error:
            raise TextError(f"{path}: {error}") from None

    def spell(self, word: str) -> tuple[str, ...]:
        """The pieces of a word, whose case does not matter; unknown letters are the model's <unk>."""
        pieces = self._processor.encode(word.lower(), out_type=str)
        known = tuple(piece if piece in self._known else self._unknown for piece in pieces)
        return known or (self._unknown,)  # of what SentencePiece's normalisation leaves nothing

    def spelled(self, phonemes: Sequence[str], durations: Iterable[int], words: Sequence[str]) -> Spelled:
        """The same speech, told in pieces: each word's frames are shared among them by their letters.

        Args:
            phonemes, durations: symbols and frames of each; between two words is one of `PAUSES` at least.
            words: as they are spelled.

        Raises:
            ValueError: other than as many words as `phonemes` has.
        """
        symbols: list[str] = []
        frames: list[int] = []
        left = iter(words)
        pairs = zip(phonemes, durations, strict=True)
        for pause, group in groupby(pairs, lambda pair: pair[0] in PAUSES):
            timed = list(group)
            if not pause:
                word = next(left, None)
                if word is None:
                    raise ValueError(f"more words than the {len(words)} given")
                pieces = self.spell(word)
                timed = list(zip(pieces, self._shared(sum(n for _, n in timed), pieces), strict=True))
            symbols += (symbol for symbol, _ in timed)
            frames += (n for _, n in timed)
        if next(left, None) is not None:
            raise ValueError(f"fewer words than the {len(words)} given")
        return Spelled(tuple(symbols), tuple(frames))

    def _shared(self, frames: int, pieces: Sequence[str]) -> list[int]:
        """`frames` shared among pieces by their letters; what is unknown counts as one."""
        letters = [1 if piece == self._unknown else len(piece.strip("▁")) for piece in pieces]
        total, before, shares = max(sum(letters), 1), 0, []
        for i in range(len(pieces)):
            end = frames if i + 1 == len(pieces) else round(frames * sum(letters[: i + 1]) / total)
            shares.append(end - before)
            before = end
        return shares


def train_subwords(texts: Iterable[str], size: int) -> Subwords:
    """Byte-pair pieces (Sennrich et al. 2016) of normalised texts, `size` of them or as many as they give.

    Raises:
        MynahError: a size out of `SIZES` or below the number of letters, no words, no SentencePiece.
    """
    if not SIZES[0] <= size <= SIZES[1]:
        raise MynahError(f"size={size}: {SIZES[0]} to {SIZES[1]} pieces are expected")
    library, model = _sentencepiece(), io.BytesIO()
    try:
        library.SentencePieceTrainer.train(
            sentence_iterator=(word.lower() for text in texts for word in text.split()),
            model_writer=model,
            vocab_size=size,
            model_type="bpe",
            character_coverage=1.0,
            hard_vocab_limit=False,
            unk_id=0,
            bos_id=-1,
            eos_id=-1,
            pad_id=-1,
            num_threads=1,
            minloglevel=2,
        )
    except RuntimeError as error:
        few = "smaller than required_chars" in str(error)
        reason = "the texts have more letters than that" if few else "there are no words in the texts"
        raise MynahError(f"size={size}: {reason}") from None
    return Subwords(model.getvalue())


def _sentencepiece() -> Any:
    try:
        import sentencepiece
    except ModuleNotFoundError:
        raise MynahError("spelling needs the package sentencepiece: pip install 'mynah[subwords]'") from None
    return sentencepiece
