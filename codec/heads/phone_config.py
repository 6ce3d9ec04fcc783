"""The architecture of a phone head, as plain numbers stored beside its weights."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from ...data.config import StoredConfig
from ...data.errors import CheckpointError
from ...data.text.symbols import CONSONANTS, SILENCE, STRESS, VOWEL_SOUNDS


def without_stress(symbol: str) -> str:
    """The phone of a phoneme: its stress mark taken off."""
    return symbol.lstrip("".join(STRESS))


# Stress is a matter of pitch, length and loudness over a whole word, and the text tells it anyway: what a
# frame of sound shows is the phone, and a third of the classes learns from three times the examples. `ə` and
# `ɚ` stay apart from `ʌ` and `ɝ`: they are other sounds.
PHONES = tuple(sorted({*CONSONANTS.values(), *(without_stress(vowel) for vowel in VOWEL_SOUNDS)}))


@dataclass(frozen=True)
class PhoneHeadConfig(StoredConfig):
    """All sizes of one phone head; `config.json` of a checkpoint holds exactly these fields.

    Attributes:
        name: the head's name.
        codec, codec_hash: name and `codes_hash` of the codec whose features it reads; those of another one
            mean nothing to it.
        layers, feature_dim: depths of the encoder and their width (its blocks + 2, and its channels).
        symbols: what it tells apart: `SILENCE`, which in CTC is the blank, and the phones.
        dim, expansion: width and inner width of its networks.
        blocks, kernel: of the network for recognition: how many, and the frames that each convolution sees.
        frame_depths, frame_blocks, frame_kernel: of the network for alignment, which reads only so many of
            the first depths: deeper ones, and wider convolutions, remember what is over.
        dropout: probability in every residual branch, while training.
    """

    kind: ClassVar[str] = "phone head"

    name: str = "phones-16k"
    codec: str = "mynah-16k"
    codec_hash: str = ""
    layers: int = 8
    feature_dim: int = 256
    symbols: tuple[str, ...] = (SILENCE, *PHONES)
    dim: int = 256
    blocks: int = 6
    kernel: int = 9
    frame_depths: int = 2
    frame_blocks: int = 1
    frame_kernel: int = 3
    expansion: int = 3
    dropout: float = 0.1

    def __post_init__(self) -> None:
        if not isinstance(self.symbols, list | tuple) or not all(isinstance(s, str) for s in self.symbols):
            raise CheckpointError(f"symbols={self.symbols!r}: a list of texts is expected")
        object.__setattr__(self, "symbols", tuple(self.symbols))
        if self.symbols[:1] != (SILENCE,) or len(set(self.symbols)) != len(self.symbols):
            raise CheckpointError(f"symbols: {SILENCE} first, and none of them twice")
        for field in ("name", "codec", "codec_hash"):
            value = getattr(self, field)
            if not isinstance(value, str) or not (value or field == "codec_hash"):
                raise CheckpointError(f"{field}={value!r}: a text is expected")
        self.check_whole_numbers()
        for field in ("kernel", "frame_kernel"):
            if not getattr(self, field) % 2:
                raise CheckpointError(f"{field}={getattr(self, field)}: an odd number is expected")
        if self.frame_depths > self.layers:
            raise CheckpointError(f"frame_depths={self.frame_depths}: there are {self.layers} layers")
        value = self.dropout
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < 1:
            raise CheckpointError(f"dropout={value!r}: a number from 0 and below 1 is expected")

    def ids(self, phonemes: Iterable[str]) -> list[int]:
        """Ids of phonemes, stressed or not, 1 and up; ValueError names one that the head does not know."""
        table = {symbol: i for i, symbol in enumerate(self.symbols) if i}
        ids = []
        for phoneme in phonemes:
            if without_stress(phoneme) not in table:
                raise ValueError(f"{phoneme!r} is no phone of {self.name}: {' '.join(self.symbols[1:])}")
            ids.append(table[without_stress(phoneme)])
        return ids
