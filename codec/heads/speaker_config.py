"""The architecture of a speaker head, as plain numbers stored beside its weights."""

from dataclasses import dataclass
from typing import ClassVar

from .head_config import HeadConfig


@dataclass(frozen=True)
class SpeakerHeadConfig(HeadConfig):
    """All sizes of one speaker head; `config.json` of a checkpoint holds exactly these fields and those of
    `HeadConfig`.

    Attributes:
        blocks, kernel: of its network: how many, and the frames that each convolution sees.
        embedding_dim: numbers that describe a voice.
    """

    kind: ClassVar[str] = "speaker head"

    name: str = "speakers-16k"
    expansion: int = 2
    blocks: int = 3
    kernel: int = 5
    embedding_dim: int = 128

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_odd("kernel")
