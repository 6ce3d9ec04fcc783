"""The architecture of a phone head, as plain numbers stored beside its weights."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from ...data.errors import CheckpointError
from ...data.text.symbols import CONSONANTS, SILENCE, STRESS, VOWEL_SOUNDS
from .head_config import HeadConfig


def without_stress(symbol: str) -> str:
    """The phone of a phoneme: its stress mark taken off."""
    return symbol.lstrip("".join(STRESS))


# Stress is a matter of pitch, length and loudness over a whole word, and the text tells it anyway: what a
# frame of sound shows is the phone, and a third of the classes learns from three times the examples. `ə` and
# `ɚ` stay apart from `ʌ` and `ɝ`: they are other sounds.
PHONES = tuple(sorted({*CONSONANTS.values(), *(without_stress(vowel) for vowel in VOWEL_SOUNDS)}))


@dataclass(frozen=True)
class PhoneHeadConfig(HeadConfig):
    """All sizes of one phone head; `config.json` of a checkpoint holds exactly these fields and those of
    `HeadConfig`.

    Attributes:
        symbols: what it tells apart: `SILENCE`, which in CTC is the blank, and the phones.
        blocks, kernel: of the network for recognition: how many, and the frames that each convolution sees.
        frame_depths, frame_blocks, frame_kernel: of the network for alignment, which reads only so many of
            the first depths: deeper ones, and wider convolutions, remember what is over.
    """

    kind: ClassVar[str] = "phone head"

    name: str = "phones-16k"
    symbols: tuple[str, ...] = (SILENCE, *PHONES)
    blocks: int = 6
    kernel: int = 9
    frame_depths: int = 2
    frame_blocks: int = 1
    frame_kernel: int = 3

    def __post_init__(self) -> None:
        if not isinstance(self.symbols, list | tuple) or not all(isinstance(s, str) for s in self.symbols):
            raise CheckpointError(f"symbols={self.symbols!r}: a list of texts is expected")
        object.__setattr__(self, "symbols", tuple(self.symbols))
        if self.symbols[:1] != (SILENCE,) or len(set(self.symbols)) != len(self.symbols):
            raise CheckpointError(f"symbols: {SILENCE} first, and none of them twice")
        super().__post_init__()
        self.check_odd("kernel", "frame_kernel")
        if self.frame_depths > self.layers:
            raise CheckpointError(f"frame_depths={self.frame_depths}: there are {self.layers} layers")

    def ids(self, phonemes: Iterable[str]) -> list[int]:
        """Ids of phonemes, stressed or not, 1 and up; ValueError names one that the head does not know."""
        table = {symbol: i for i, symbol in enumerate(self.symbols) if i}
        ids = []
        for phoneme in phonemes:
            if without_stress(phoneme) not in table:
                raise ValueError(f"{phoneme!r} is no phone of {self.name}: {' '.join(self.symbols[1:])}")
            ids.append(table[without_stress(phoneme)])
        return ids
