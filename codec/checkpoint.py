"""A model folder: `config.json`, `model.safetensors`, `card.md`; written then renamed, never pickled."""

import dataclasses
import hashlib
import json
import os
from pathlib import Path
from typing import TypeVar

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ..data.config import StoredConfig
from ..data.errors import CheckpointError
from .config import CodecConfig

TABLES = "tables.safetensors"
SHIPPED = Path(__file__).parent / "weights"
DECODER_FIELDS = ("name", "decoder_dim", "decoder_layers", "fine_dim", "fine_layers")  # and what names it
C = TypeVar("C", bound=StoredConfig)


def save(folder: Path, config: StoredConfig, tensors: dict[str, Tensor]) -> None:
    """Write config and weights; floating-point tensors are stored as fp16 (shipped size, and what is
    measured)."""
    folder.mkdir(parents=True, exist_ok=True)
    half = {k: v.detach().cpu() for k, v in tensors.items()}
    half = {k: v.half() if v.is_floating_point() else v for k, v in half.items()}
    temporary = folder / "model.safetensors.part"
    save_file({k: v.contiguous() for k, v in half.items()}, temporary)
    os.replace(temporary, folder / "model.safetensors")
    config.save(folder)


def load(folder: Path) -> tuple[CodecConfig, dict[str, Tensor]]:
    """Config and fp32 weights of a codec's folder; CheckpointError says what is missing or damaged."""
    return load_as(CodecConfig, folder)


def load_as(kind: type[C], folder: Path) -> tuple[C, dict[str, Tensor]]:
    """Config of the given class and fp32 weights; CheckpointError says what is missing or damaged."""
    config = kind.load(folder)
    path = folder / "model.safetensors"
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path}: not readable weights ({error})") from None
    return config, {k: v.float() if v.is_floating_point() else v for k, v in tensors.items()}


def weights_hash(folder: Path) -> str:
    """SHA-256 over configuration and weights, hexadecimal."""
    digest = hashlib.sha256()
    for name in ("config.json", "model.safetensors"):
        digest.update((folder / name).read_bytes())
    return digest.hexdigest()


def codes_hash(config: CodecConfig, tensors: dict[str, Tensor]) -> str:
    """SHA-256 over all that decides a codec's codes and features, hexadecimal: not its name, nor its decoder.

    Codecs that differ in their decoders only have the same: with one name and the same entropy tables, each
    reads the other's files.
    """
    stated = {k: v for k, v in dataclasses.asdict(config).items() if k not in DECODER_FIELDS}
    digest = hashlib.sha256(json.dumps(stated, sort_keys=True).encode())
    for name in sorted(tensors):
        if not name.startswith("decoder.") and name != "quantizer.counts":  # which only training reads
            tensor = tensors[name].detach().cpu()
            digest.update(f" {name} {tuple(tensor.shape)} ".encode())
            digest.update((tensor.numpy().astype("<f4") + 0.0).tobytes())  # -0.0 counts as 0.0
    return digest.hexdigest()


def shipped(name: str) -> Path:
    """A shipped codec by its name alone, as a file names it, who must not choose a folder."""
    if name not in {path.parent.name for path in SHIPPED.glob("*/config.json")}:
        raise CheckpointError(f"{name!r} is no shipped codec")
    return SHIPPED / name


def resolve(name_or_folder: str | Path) -> Path:
    """A folder given as such, or a shipped codec's name; anything else lists what there is."""
    return resolve_in(SHIPPED, "codec", name_or_folder)


def resolve_in(shipped: Path, kind: str, name_or_folder: str | Path, names: str = "*") -> Path:
    """The same for models of another kind, shipped in another folder under `names` of one pattern."""
    folder = Path(name_or_folder)
    if (folder / "config.json").is_file():
        return folder
    if (shipped / str(name_or_folder) / "config.json").is_file():
        return shipped / str(name_or_folder)
    found = ", ".join(sorted(p.parent.name for p in shipped.glob(f"{names}/config.json"))) or "none"
    raise CheckpointError(
        f"{str(name_or_folder)!r} is neither a shipped {kind} ({found}) nor a folder with config.json"
    )


def fill(network: nn.Module, tensors: dict[str, Tensor], folder: Path) -> None:
    """Load tensors into a network; CheckpointError names the first that is missing, extra or misshapen."""
    own = network.state_dict()
    for name in sorted(set(own) | set(tensors)):
        if name not in tensors or name not in own or own[name].shape != tensors[name].shape:
            found = tuple(tensors[name].shape) if name in tensors else "nothing"
            wanted = tuple(own[name].shape) if name in own else "nothing"
            raise CheckpointError(f"{folder}: tensor {name} is {found}, config.json asks for {wanted}")
    network.load_state_dict(tensors)
