"""`mynah train average`: a codec, or a language model, with the mean of several ones' weights.

Models trained on from common weights can be averaged, and the mean is often better than each of them
(model soups, Wortsman et al. 2022). Of a decoder trained without a discriminator, which keeps more of the
waveform, and the same trained on against one, which sounds more natural, the mean has most of both; of a
language model's legs, each from the weights of the one before, the mean needs fewer bits than any, even
where the codec was trained on between two legs and its codes have moved.
"""

import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from ..codec import checkpoint
from ..data.errors import MynahError
from ..data.json_text import parse_json
from ..lm import checkpoint as lm_checkpoint


def average(models: Sequence[Path], out: Path) -> None:
    """Write the mean of the models to `out`, with the name of the first; one named twice counts twice.

    Args:
        models: names or folders, all of codecs or all of language models; of these the first one says which
            training of the codec the mean is for.
        out: a new folder.

    Raises:
        MynahError: fewer than two, no models, of several architectures; codecs with several encoders or
            quantizers (whose codes have no mean); `out` has a model already.
    """
    if len(models) < 2:
        raise MynahError(f"{len(models)} model: two at least are expected")
    if (out / "config.json").exists():
        raise MynahError(f"{out}: holds a model already, name another folder")
    (_average_lms if _is_lm(models[0]) else _average_codecs)(models, out)


def _is_lm(model: Path) -> bool:
    """Whether this names a language model, or the folder of one."""
    for folder in (model, lm_checkpoint.SHIPPED / model):
        with suppress(OSError, ValueError):
            return "max_frames" in parse_json((folder / "config.json").read_bytes())
    return False


def _average_lms(models: Sequence[Path], out: Path) -> None:
    networks = [lm_checkpoint.load(model) for model in models]
    loaded = [(network.config, network.state_dict()) for network in networks]
    config = loaded[0][0]
    for model, (other, _) in zip(models[1:], loaded[1:], strict=True):
        own = {name: getattr(config, name) for name in ("name", "dropout", "codec_hash")}
        if replace(other, **own) != config:
            raise MynahError(f"{model}: its architecture or its codec differs from that of {models[0]}")
    mean = {name: _mean(name, loaded) for name in loaded[0][1]}
    lm_checkpoint.save(out, config, mean, lm_checkpoint.load_subwords(models[0]))


def _average_codecs(models: Sequence[Path], out: Path) -> None:
    """The first one's entropy tables are kept, too."""
    loaded = [checkpoint.load(checkpoint.resolve(model)) for model in models]
    config, tensors = loaded[0]
    for model, (other, weights) in zip(models[1:], loaded[1:], strict=True):
        if replace(other, name=config.name) != config:
            raise MynahError(f"{model}: its architecture differs from that of {models[0]}")
        if checkpoint.codes_hash(other, weights) != checkpoint.codes_hash(config, tensors):
            raise MynahError(
                f"{model}: its codes are not those of {models[0]}; only decoders can be averaged"
            )
    mean = {
        name: _mean(name, loaded) if name.startswith("decoder.") else tensor
        for name, tensor in tensors.items()
    }
    checkpoint.save(out, config, mean)
    tables = checkpoint.resolve(models[0]) / checkpoint.TABLES
    if tables.exists():
        shutil.copyfile(tables, out / checkpoint.TABLES)


def _mean(name: str, loaded: Sequence[tuple[object, dict[str, Tensor]]]) -> Tensor:
    """The mean of a tensor; all architectures are the same."""
    return torch.stack([weights[name] for _, weights in loaded]).mean(0)
