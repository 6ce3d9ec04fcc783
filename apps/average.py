"""`mynah train average`: a codec with the mean of several codecs' weights.

Codecs trained on from common weights can be averaged, and the mean is often better than each of them
(model soups, Wortsman et al. 2022). Of a decoder trained without a discriminator, which keeps more of the
waveform, and the same trained on against one, which sounds more natural, the mean has most of both.
"""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from ..codec import checkpoint
from ..data.errors import MynahError


def average(folders: Sequence[Path], out: Path) -> None:
    """Write the mean of the codecs in `folders` to `out`, with name and entropy tables of the first.

    Raises:
        MynahError: fewer than two, not codecs, of several architectures, with several encoders or quantizers
            (whose codes have no mean), or `out` has a codec already.
    """
    if len(folders) < 2:
        raise MynahError(f"{len(folders)} codec: two at least are expected")
    if (out / "config.json").exists():
        raise MynahError(f"{out}: holds a codec already, name another folder")
    loaded = [checkpoint.load(checkpoint.resolve(folder)) for folder in folders]
    config, tensors = loaded[0]
    for folder, (other, weights) in zip(folders[1:], loaded[1:], strict=True):
        if replace(other, name=config.name) != config:
            raise MynahError(f"{folder}: its architecture differs from that of {folders[0]}")
        if checkpoint.codes_hash(other, weights) != checkpoint.codes_hash(config, tensors):
            raise MynahError(
                f"{folder}: its codes are not those of {folders[0]}; only decoders can be averaged"
            )
    mean = {
        name: torch.stack([weights[name] for _, weights in loaded]).mean(0)
        if name.startswith("decoder.")
        else tensor
        for name, tensor in tensors.items()
    }
    checkpoint.save(out, config, mean)
    tables = checkpoint.resolve(folders[0]) / checkpoint.TABLES
    if tables.exists():
        shutil.copyfile(tables, out / checkpoint.TABLES)
