"""Pieces of a language model's training run: batches as tensors, a start from another model, what decays."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.utils.rnn import pad_sequence

from ..codec import checkpoint
from ..data.errors import CheckpointError, MynahError
from ..data.shards import Label, TokenCorpus
from ..data.token_batches import TokenBatches
from ..data.token_crops import Example, example
from ..lm.condition import UNKNOWN, Condition, speaker_vectors
from ..lm.config import LMConfig
from ..lm.objective import Batch
from .run_folder import write_recipe
from .train_lm_options import LMTrainOptions, read_lm_recipe


class Collator:
    """Makes batches of examples.

    Args:
        config: what the model can be told: what else is known of an example is left out.
    """

    def __init__(self, config: LMConfig):
        self.config = config
        self.ids = {symbol: i for i, symbol in enumerate(config.symbols, 1)}
        self.speakers = frozenset(config.speakers)

    def __call__(self, examples: Sequence[Example]) -> Batch:
        """One batch; phonemes and speakers are unknown ones where they are not known, never absent."""
        heard = [0 if e.prompt is None else e.prompt.codes.shape[1] for e in examples]
        codes = [torch.from_numpy(_whole(example)).T for example in examples]
        phonemes, durations, speaker, prompt = None, None, None, None
        if self.config.symbols:
            ids, frames, before = zip(*map(self._spoken, examples), strict=True)
            phonemes = pad_sequence(list(ids), batch_first=True, padding_value=UNKNOWN)
            durations = pad_sequence(list(frames), batch_first=True)
            prompt = torch.tensor(before)
        if self.config.speaker_dim:
            names = [e.speaker if e.speaker in self.speakers else None for e in examples]
            speaker = speaker_vectors(self.config, names)
        return Batch(
            pad_sequence(codes, batch_first=True).transpose(1, 2),
            [len(item) for item in codes],
            torch.tensor([example.ended for example in examples]),
            Condition(phonemes, durations, speaker, prompt),
            torch.tensor(heard),
            torch.tensor([example.foreign for example in examples]),
        )

    def _spoken(self, example: Example) -> tuple[torch.Tensor, torch.Tensor, int]:
        """Phonemes and durations of the prompt and of what comes after it; how many are the prompt's."""
        if example.alignment is None:
            ids, frames = torch.tensor([UNKNOWN]), torch.tensor([example.codes.shape[1]])
        else:
            ids = torch.tensor([self.ids[symbol] for symbol in example.alignment.phonemes])
            frames = torch.from_numpy(example.alignment.durations)
        if example.prompt is None:
            return ids, frames, 0
        first, first_frames, _ = self._spoken(example.prompt)
        return torch.cat([first, ids]), torch.cat([first_frames, frames]), len(first)


class StepBatches:
    """A map-style dataset: item `step` is this process's share of that step's batch.

    Args:
        corpus: where the crops lie.
        batches: draws them.
        collate: makes a batch of them.
        rank, processes: every `processes`-th crop from the `rank`-th one on is this process's.
    """

    def __init__(
        self, corpus: TokenCorpus, batches: TokenBatches, collate: Collator, rank: int, processes: int
    ):
        self.corpus, self.batches, self.collate = corpus, batches, collate
        self.rank, self.processes = rank, processes

    def __getitem__(self, step: int) -> "Share":
        crops = self.batches.at(step)
        frames, ends = sum(c.stop - c.start for c in crops), sum(c.ended for c in crops)
        own = crops[self.rank :: self.processes]
        batch = self.collate([example(self.corpus, crop) for crop in own])
        return Share(batch, [crop.seed for crop in own], frames, ends)


class Share(NamedTuple):
    """A process's part of a step: its `batch` and a seed for each item; of all processes, the `frames` that
    are learned and how many `ends` of speech."""

    batch: Batch
    seeds: list[int]
    frames: int
    ends: int


def as_it_is(item: Any) -> Any:
    """What a loader makes of an item that is a batch already."""
    return item


def _whole(example: Example) -> NDArray[np.int64]:
    """The prompt's codes and the example's, [K, n]."""
    if example.prompt is None:
        return example.codes
    return np.concatenate([example.prompt.codes, example.codes], axis=1)


def check_told(corpus: TokenCorpus, config: LMConfig, labels: Sequence[Label]) -> None:
    """MynahError for an aligned symbol that the model lacks, and for a voice that the recordings lack."""
    known = frozenset(config.symbols)
    if known:
        for id_, alignment in corpus.alignments.items():
            unknown = sorted(set(alignment.phonemes) - known)
            if unknown:
                raise MynahError(f"{corpus.folder}: {id_} is aligned with {unknown[0]!r}, not in lm.symbols")
    absent = sorted(set(config.speakers) - {label.speaker for label in labels})
    if absent:
        raise MynahError(f"lm.speakers: no recordings of {', '.join(absent)} to train on")


def start_from(network: nn.Module, config: LMConfig, folder: Path) -> list[str]:
    """Load the weights of another model, which may be told less or more; returns the tensors that it lacks.

    Its codes may be those of an earlier training of the codec: a start that is better than none.

    Raises:
        MynahError: it is of another architecture, or speaks codes of another codec, other symbols or voices.
    """
    loaded, tensors = checkpoint.load_as(LMConfig, folder)
    own = {name: getattr(config, name) for name in ("name", "codec_hash", "dropout", "max_frames")}
    told = ("symbols", "speakers", "phoneme_dim", "phoneme_layers", "speaker_dim")
    if dataclasses.replace(loaded, **own, **{name: getattr(config, name) for name in told}) != config:
        raise MynahError(f"{folder}: its architecture or its codec differs from the recipe's and the tokens'")
    for name in ("symbols", "speakers"):
        if getattr(loaded, name) not in ((), getattr(config, name)):
            raise MynahError(f"{folder}: its {name} differ from the recipe's")
    wanted = network.state_dict()
    fits = {k: v for k, v in tensors.items() if k in wanted and wanted[k].shape == v.shape}
    missing = sorted(set(wanted) - set(fits))
    lost = [name for name in missing if not name.startswith("conditioner.")]
    if lost:
        raise CheckpointError(f"{folder}: no tensor {lost[0]} of shape {tuple(wanted[lost[0]].shape)}")
    network.load_state_dict(fits, strict=False)
    return missing


def parameter_groups(network: nn.Module, weight_decay: float) -> list[dict]:
    """AdamW's groups: weights of linear layers decay; tables, gains and biases do not."""
    decayed = {m.weight for m in network.modules() if isinstance(m, nn.Linear)}
    rest = [p for p in network.parameters() if p not in decayed]
    ordered = [p for p in network.parameters() if p in decayed]
    return [{"params": ordered, "weight_decay": weight_decay}, {"params": rest, "weight_decay": 0.0}]


def take_up_or_start(out: Path, config: LMConfig, options: LMTrainOptions, main: bool) -> bool:
    """Whether `out` holds a run to take up; MynahError where that is of another architecture or codec."""
    taken_up = (out / "state.pt").exists()
    if taken_up and read_lm_recipe(out / "recipe.json", [])[0] != config:
        raise MynahError(f"{out}: holds a run of another architecture or codec; give another --out")
    if main:
        out.mkdir(parents=True, exist_ok=True)
        write_recipe(out, lm=config, train=options)
    return taken_up
