"""A language model's folder: `config.json`, `model.safetensors`, `card.md`, as the codec's are."""

from pathlib import Path

from torch import Tensor

from ..codec import checkpoint
from .config import LMConfig
from .network import LMNetwork

SHIPPED = Path(__file__).parent / "weights"


def save(folder: Path, config: LMConfig, tensors: dict[str, Tensor]) -> None:
    """Write config and weights, floating-point tensors as fp16, each to a temporary name first."""
    checkpoint.save(folder, config, tensors)


def load(name_or_folder: str | Path) -> LMNetwork:
    """A shipped model by name, or the model in a folder, in fp32; CheckpointError says what is wrong."""
    folder = checkpoint.resolve_in(SHIPPED, "language model", name_or_folder)
    config, tensors = checkpoint.load_as(LMConfig, folder)
    network = LMNetwork(config)
    checkpoint.fill(network, tensors, folder)
    return network
