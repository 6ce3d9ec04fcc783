"""Bits a frame on held-out readers over model size and over data, at equal steps and equal batches.

    python benchmarks/lm_scaling.py --data TOKENS --out FOLDER [--dims 128,256,384] [--shares 1,0.125,0.03]
        [--steps 250] [--recipe runs/lm-16k.json]

Every width of `--dims` learns from all recordings, and the middle one from each of `--shares` of them
besides; smaller shares are parts of larger ones. One seed. FOLDER keeps a run for each, so the command goes
on where it was stopped; the last lines are a table in Markdown."""

import argparse
import dataclasses
import random
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from mynah.apps.train_lm import train
from mynah.apps.train_lm_evaluate import LMValidation
from mynah.apps.train_lm_options import LMTrainOptions, fitted, read_lm_recipe
from mynah.codec import Codec
from mynah.data.shards import Label, TokenCorpus
from mynah.data.views import recording_of
from mynah.lm import checkpoint
from mynah.lm.config import LMConfig
from mynah.lm.network import LMNetwork

SEEN = 40  # recordings of readers that were learned from


class Arm(NamedTuple):
    """One model: its width, and which part of the recordings it learns from."""

    dim: int
    share: float


def arms(dims: Sequence[int], shares: Sequence[float]) -> list[Arm]:
    """Each width with everything, then the middle one with less, the cheapest first."""
    middle = sorted(dims)[len(dims) // 2]
    return [Arm(dim, 1.0) for dim in sorted(dims)] + [Arm(middle, s) for s in sorted(shares) if s < 1]


def part_of(labels: Sequence[Label], share: float) -> list[Label]:
    """All views of a share of the recordings to train on, by frames; everything of the other splits."""
    kept, frames, total = set(), 0, 0
    lengths: dict[str, int] = {}
    for label in labels:
        if label.split == "train":
            lengths.setdefault(recording_of(label.id), label.frames)
    total = sum(lengths.values())
    order = sorted(lengths)
    random.Random(0).shuffle(order)
    for id_ in order:
        if frames < share * total:
            kept.add(id_)
            frames += lengths[id_]
    return [label for label in labels if label.split != "train" or recording_of(label.id) in kept]


def run(arm: Arm, config: LMConfig, options: LMTrainOptions, data: Path, out: Path, codec: Codec) -> str:
    """Train one arm; its line of the table."""
    config = dataclasses.replace(config, dim=arm.dim)
    corpus = TokenCorpus(data)
    corpus.labels = part_of(corpus.labels, arm.share)
    learned = [label for label in corpus.labels if label.split == "train"]
    learned = [label for label in learned if options.corpus_weights.get(label.corpus, 1.0) > 0]
    frames = {recording_of(label.id): label.frames for label in learned}
    hours = sum(frames.values()) / config.frame_rate / 3600
    train(config, options, corpus, None, out)
    validation = LMValidation(corpus, config, options, codec)
    network = checkpoint.load(out).eval()
    assert isinstance(network, LMNetwork)
    with torch.inference_mode():
        bits = validation.bits(network, told=False)
        validation.labels = [label for label in learned if label.corpus == "librispeech"][:SEEN]
        seen = validation.bits(network, told=False)
    parameters = sum(p.numel() for p in network.parameters()) / 1e6
    each = ", ".join(f"{value:.2f}" for value in bits.tolist())
    told = f"{float(bits.sum()):.2f} ({each}) | {float(seen.sum()):.2f}"
    return f"| {arm.dim} | {parameters:.1f} M | {hours:.2f} | {told} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--recipe", type=Path, default=Path("runs/lm-16k.json"))
    parser.add_argument("--dims", default="128,256,384")
    parser.add_argument("--shares", default="1,0.125,0.03")
    parser.add_argument("--steps", type=int, default=250)
    given = parser.parse_args()
    steps = {"steps": given.steps, "warmup": given.steps // 5, "evaluate_every": given.steps}
    overrides = [f"train.{name}={value}" for name, value in steps.items()]
    config, options = read_lm_recipe(given.recipe, overrides)
    corpus = TokenCorpus(given.data)
    known = {label.corpus for label in corpus.labels}
    weights = {name: weight for name, weight in options.corpus_weights.items() if name in known}
    options = dataclasses.replace(options, corpus_weights=weights)
    config = fitted(config, options, corpus.info)
    codec = Codec.from_pretrained(corpus.info.codec)
    table = []
    for arm in arms([int(d) for d in given.dims.split(",")], [float(s) for s in given.shares.split(",")]):
        out = given.out / f"dim{arm.dim}-share{arm.share:g}"
        table.append(run(arm, config, options, given.data, out, codec))
        print(table[-1], flush=True)
    print(
        "\n| width | parameters | hours | bits a frame, held-out readers (by stream) | readers learned from |"
    )
    print("|---|---|---|---|---|")
    print("\n".join(table))


if __name__ == "__main__":
    main()
