"""What every training run has: averaged weights, a recipe, a log with its picture, an answer to Ctrl-C."""

import dataclasses
import json
import os
import signal
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ..data import spectrogram
from ..data.replacing import replace_text

if TYPE_CHECKING:
    from accelerate import Accelerator


class Interrupt:
    """Between enter and exit, the first Ctrl-C only sets `seen`; the next one interrupts as usual."""

    seen = False

    def __enter__(self) -> "Interrupt":
        self.previous = signal.signal(signal.SIGINT, self.note)
        return self

    def note(self, _signal: int, _frame: FrameType | None) -> None:
        self.seen = True
        signal.signal(signal.SIGINT, self.previous)

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self.previous)


class Average:
    """Exponential moving average of parameters; buffers are copied."""

    def __init__(self, network: nn.Module, decay: float):
        self.decay = decay
        self.tensors = {k: v.detach().clone() for k, v in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Follow the network; early steps are followed more closely."""
        decay = min(self.decay, (step + 1) / (step + 10))
        parameters = dict(network.named_parameters())
        torch._foreach_lerp_([self.tensors[k] for k in parameters], list(parameters.values()), 1 - decay)
        for key, value in network.named_buffers():
            if key in self.tensors:
                self.tensors[key].copy_(value)


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write what a run needs to be taken up, to a temporary name first."""
    temporary = path.with_name(f"{path.name}.part")
    torch.save(state, temporary)
    os.replace(temporary, path)


def load_state(path: Path, device: torch.device) -> dict[str, Any]:
    """What a run has saved, on `device`; one of several processes on CPUs calls its device "cpu:0", which
    `torch.load` does not know."""
    return torch.load(
        path, map_location=torch.device("cpu") if device.type == "cpu" else device, weights_only=True
    )


def write_recipe(out: Path, **sections: Any) -> None:
    """`recipe.json`: what this run was started with, a dataclass for each section."""
    recipe = {name: dataclasses.asdict(section) for name, section in sections.items()}
    replace_text(out / "recipe.json", json.dumps(recipe, indent=2) + "\n")


def cut_log(progress: Path, step: int) -> None:
    """Take back the lines after `step`, which a resumed run writes again, and one that a kill cut short."""
    lines = progress.read_text().splitlines(keepends=True) if progress.exists() else []
    kept = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= step]
    if kept != lines:
        replace_text(progress, "".join(kept))


def plot_progress(out: Path) -> None:
    """Draw `progress.png` from `progress.jsonl`: a panel for each loss, and for each score over the
    bitrates."""
    keys: dict[str, None] = {}
    for text in (out / "progress.jsonl").read_text().splitlines():
        keys |= dict.fromkeys(k for k, v in json.loads(text).items() if isinstance(v, float))
    panels: dict[str, list[str]] = {}
    for key in keys:
        name, _, bitrate = key.rpartition("_")
        panels.setdefault(name if bitrate[:1].isdigit() else key, []).append(key)
    spectrogram.plot_curves(out / "progress.jsonl", out / "progress.png", *panels.values())


def leave(accelerator: "Accelerator") -> None:
    """Every process's last call: all wait for the last one.

    Without it, one takes the group down while a thread of gloo still holds a tensor, and hangs for good.
    """
    accelerator.wait_for_everyone()
    accelerator.end_training()
