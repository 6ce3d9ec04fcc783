"""A language model's folder: `config.json`, `model.safetensors`, `card.md`, as the codec's are; and
`subwords.model` where it is told words as they are spelled."""

from pathlib import Path

from torch import Tensor

from ..codec import checkpoint
from ..data.errors import CheckpointError, TextError
from ..data.replacing import replacing
from ..data.text.subwords import Subwords
from .config import LMConfig
from .network import LMNetwork

SHIPPED = Path(__file__).parent / "weights"
SUBWORDS = "subwords.model"


def save(
    folder: Path, config: LMConfig, tensors: dict[str, Tensor], subwords: Subwords | None = None
) -> None:
    """Write config and weights, floating-point tensors as fp16, each to a temporary name first; and how words
    are spelled, if they are."""
    checkpoint.save(folder, config, tensors)
    if subwords is None:
        (folder / SUBWORDS).unlink(missing_ok=True)  # of a model that was there before
    else:
        with replacing(folder / SUBWORDS) as temporary:
            temporary.write_bytes(subwords.model)


def load(name_or_folder: str | Path) -> LMNetwork:
    """A shipped model by name, or the model in a folder, in fp32; CheckpointError says what is wrong."""
    folder = checkpoint.resolve_in(SHIPPED, "language model", name_or_folder)
    config, tensors = checkpoint.load_as(LMConfig, folder)
    network = LMNetwork(config)
    checkpoint.fill(network, tensors, folder)
    return network


def load_subwords(name_or_folder: str | Path) -> Subwords | None:
    """How words are spelled for a model that is told them so; CheckpointError where the file is another's."""
    folder = checkpoint.resolve_in(SHIPPED, "language model", name_or_folder)
    path = folder / SUBWORDS
    if not path.exists():
        return None
    try:
        subwords = Subwords.load(path)
    except TextError as error:
        raise CheckpointError(str(error)) from None
    if subwords.symbols != LMConfig.load(folder).symbols:
        raise CheckpointError(f"{path}: its pieces are not the symbols of {folder / 'config.json'}")
    return subwords
