"""What the configurations of all heads have in common."""

from dataclasses import dataclass

from ...data.config import StoredConfig
from ...data.errors import CheckpointError


@dataclass(frozen=True)
class HeadConfig(StoredConfig):
    """The part of a head's configuration that says what it reads, and its width.

    Attributes:
        name: the head's name.
        codec, codec_hash: name and `codes_hash` of the codec whose features it reads; those of another one
            mean nothing to it.
        layers, feature_dim: depths of the encoder and their width (its blocks + 2, and its channels).
        dim, expansion: width and inner width of its networks.
        dropout: probability in every residual branch, while training.
    """

    name: str = "head"
    codec: str = "mynah-16k"
    codec_hash: str = ""
    layers: int = 8
    feature_dim: int = 256
    dim: int = 256
    expansion: int = 3
    dropout: float = 0.1

    def __post_init__(self) -> None:
        for field in ("name", "codec", "codec_hash"):
            value = getattr(self, field)
            if not isinstance(value, str) or not (value or field == "codec_hash"):
                raise CheckpointError(f"{field}={value!r}: a text is expected")
        self.check_whole_numbers()
        rate = self.dropout
        if not isinstance(rate, int | float) or isinstance(rate, bool) or not 0 <= rate < 1:
            raise CheckpointError(f"dropout={rate!r}: a number from 0 and below 1 is expected")

    def check_odd(self, *fields: str) -> None:
        """CheckpointError for a field that is not odd, as a convolution's kernel has to be."""
        for field in fields:
            if not getattr(self, field) % 2:
                raise CheckpointError(f"{field}={getattr(self, field)}: an odd number is expected")
