"""Pieces of a codec's training run: who trains on which examples, the quantizer's start."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor

from ..codec.config import CodecConfig
from ..codec.distributed import broadcast
from ..codec.network import CodecNetwork
from ..data.crops import Crop, Crops
from ..data.errors import MynahError
from .train_options import TrainOptions, read_recipe

KMEANS_LATENTS = 32768


class Steps(Protocol):
    """Options of a run that has `steps` of `batch` examples each, over all processes."""

    @property
    def steps(self) -> int: ...

    @property
    def batch(self) -> int: ...


class Rank:
    """This process's share of every step's examples, from a given step on, as a batch sampler."""

    def __init__(self, options: Steps, accelerator: Accelerator, step: int):
        self.per_process = options.batch // accelerator.num_processes
        if self.per_process * accelerator.num_processes != options.batch:
            raise MynahError(
                f"batch={options.batch} is not a multiple of {accelerator.num_processes} processes"
            )
        self.options, self.rank, self.step = options, accelerator.process_index, step

    def __iter__(self) -> Iterator[list[int]]:
        for step in range(self.step, self.options.steps):
            first = step * self.options.batch + self.rank * self.per_process
            yield list(range(first, first + self.per_process))

    def __len__(self) -> int:
        return self.options.steps - self.step


def collate(crops: list[Crop]) -> tuple[Tensor, Tensor, Tensor | None]:
    """wav [B, T], rate [B], noise [B, N, D] or None."""
    noise = torch.from_numpy(np.stack([c.noise for c in crops])) if crops[0].noise.size else None
    return torch.from_numpy(np.stack([c.wav for c in crops])), torch.tensor([c.rate for c in crops]), noise


def start_codebooks(network: CodecNetwork, crops: Crops, first: int, device: torch.device, seed: int) -> None:
    """K-means of the quantizer on the latents of fresh crops, the first process's on all of them."""
    latents, index, count = [], first, 0
    while count < KMEANS_LATENTS:
        wav = torch.from_numpy(np.stack([crops[i].wav for i in range(index, index + 32)])).to(device)
        with torch.no_grad():
            latents.append(network.encoder(wav).flatten(0, 1).cpu())
        index, count = index + 32, count + len(latents[-1])
    generator = torch.Generator().manual_seed(seed)
    network.quantizer.cpu().kmeans(torch.cat(latents)[:KMEANS_LATENTS], generator)
    network.quantizer.to(device)
    for learned in network.quantizer.buffers():  # rounding may differ between two devices
        broadcast(learned)


def check_continues(out: Path, config: CodecConfig, options: TrainOptions) -> None:
    """MynahError unless the run in `out` has this architecture and stage."""
    earlier, earlier_options = read_recipe(out / "recipe.json", [])
    if earlier != config or earlier_options.stage != options.stage:
        raise MynahError(f"{out}: holds a run of another architecture or stage; give another --out")


def leave_interrupt(_worker: int) -> None:
    """A loader's process lives on through Ctrl-C, which the training answers by saving first."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
