"""The architecture of a language model, as plain numbers stored beside its weights."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from ..data.config import StoredConfig
from ..data.errors import CheckpointError
from .patterns import PATTERNS

MOST_SHOWN = 100  # symbols that an error names


@dataclass(frozen=True)
class LMConfig(StoredConfig):
    """All sizes of one language model; `config.json` of a checkpoint holds exactly these fields.

    Attributes:
        name: the model's name.
        codec, codec_hash: name and `codes_hash` of the codec whose codes it speaks; codes of another one are
            noise to it. An empty hash fits any codec.
        frame_rate: code frames per second.
        n_codebooks: streams K that it models: the codec's first K codebooks.
        codebook_size: entries per codebook.
        pattern: order in which the codes of a frame are predicted, one of `patterns.PATTERNS`.
        max_frames: longest sequence, prompt included, that it is trained for and that it will generate.
        dim, layers: width and depth of the decoder.
        head_dim: width of one attention head, in decoder and phoneme encoder.
        embedding_dim: width of the tables of codes, which are projected to `dim` and back.
        tied_embeddings: whether input and output share these tables.
        dropout: probability in every residual branch, while training.
        symbols: what can be spoken, without the unknown symbol, whose id is 0: phonemes, or the pieces of a
            byte-pair encoding aligned in the same way. Empty for a model of speech without text.
        phoneme_dim, phoneme_layers: width and depth of the phoneme encoder.
        speaker_dim: size of the speaker vector; 0 for none.
        speakers: voices that it knows by name, at most `speaker_dim`: the vector of number i is the i-th unit
            vector, so the network's projection of speakers is a learned table. Empty where the vectors come
            from elsewhere.
    """

    kind: ClassVar[str] = "language model"
    may_be_zero: ClassVar[frozenset[str]] = frozenset({"speaker_dim"})

    name: str = "mynah-lm"
    codec: str = "mynah-16k"
    codec_hash: str = ""
    frame_rate: float = 50.0
    n_codebooks: int = 3
    codebook_size: int = 1024
    pattern: str = "delay"
    max_frames: int = 1500
    dim: int = 384
    layers: int = 8
    head_dim: int = 64
    embedding_dim: int = 128
    tied_embeddings: bool = True
    dropout: float = 0.0
    symbols: tuple[str, ...] = ()
    phoneme_dim: int = 256
    phoneme_layers: int = 4
    speaker_dim: int = 0
    speakers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for field in ("symbols", "speakers"):
            values = getattr(self, field)
            if not isinstance(values, list | tuple) or not all(isinstance(s, str) for s in values):
                raise CheckpointError(f"{field}={values!r}: a list of texts is expected")
            object.__setattr__(self, field, tuple(values))
            twice = sorted(s for s, count in Counter(values).items() if count > 1)
            if twice:
                raise CheckpointError(f"{field}: {', '.join(twice)} more than once")
        for field in ("name", "codec", "codec_hash"):
            value = getattr(self, field)
            if not isinstance(value, str) or not (value or field == "codec_hash"):
                raise CheckpointError(f"{field}={value!r}: a text is expected")
        self.check_whole_numbers()
        if len(self.speakers) > self.speaker_dim:
            few = f"speaker_dim={self.speaker_dim} is too small for them"
            raise CheckpointError(f"speakers: {len(self.speakers)} voices, {few}")
        if not isinstance(self.tied_embeddings, bool):
            raise CheckpointError(f"tied_embeddings={self.tied_embeddings!r}: true or false is expected")
        if not _is_number(self.frame_rate) or not 0 < self.frame_rate < math.inf:
            raise CheckpointError(f"frame_rate={self.frame_rate!r}: a positive number is expected")
        if not _is_number(self.dropout) or not 0 <= self.dropout < 1:
            raise CheckpointError(f"dropout={self.dropout!r}: a number from 0 and below 1 is expected")
        if self.pattern not in PATTERNS:
            raise CheckpointError(f"pattern={self.pattern!r}: one of {', '.join(PATTERNS)} is expected")
        if self.head_dim % 2:
            raise CheckpointError(f"head_dim={self.head_dim}: an even number is expected")
        for field in ("dim", "phoneme_dim"):
            if getattr(self, field) % self.head_dim:
                value = getattr(self, field)
                raise CheckpointError(f"{field}={value}: a multiple of head_dim={self.head_dim} is expected")

    @property
    def none(self) -> int:
        """Token beside the codes: no code here, before the start and after the end."""
        return self.codebook_size

    def ids(self, symbols: Sequence[str]) -> list[int]:
        """Ids of symbols, 1 and up; ValueError names one that the model cannot speak."""
        table = {symbol: i for i, symbol in enumerate(self.symbols, 1)}
        unknown = [symbol for symbol in symbols if symbol not in table]
        if unknown:
            known = " ".join(self.symbols[:MOST_SHOWN]) or "none at all"
            more = f" and {len(self.symbols) - MOST_SHOWN} more" if len(self.symbols) > MOST_SHOWN else ""
            raise ValueError(f"{unknown[0]!r} is no symbol of {self.name}: it knows {known}{more}")
        return [table[symbol] for symbol in symbols]


def large(symbols: Sequence[str] = ()) -> LMConfig:
    """About 330 million parameters, for a thousand hours of speech and a GPU."""
    return LMConfig(
        dim=1024, layers=24, embedding_dim=256, symbols=tuple(symbols), phoneme_dim=512, phoneme_layers=6
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
