"""From a list of aligned recordings to a duration model's training run: options, examples, and who is known.

The list has a JSON object a line: `id`, `corpus`, `speaker` (or null), `split` ("train", "val", "test"),
`phonemes` (symbols of `mynah.data.text`) and `durations` (frames of each).
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..data.errors import MynahError
from ..data.json_text import parse_json
from ..data.manifest import SPLITS
from ..data.text import SILENCE
from ..tts.duration_network import DurationConfig
from .recipe import check_types, known_options, read_sections, schedule
from .run_folder import Interrupt


@dataclass(frozen=True)
class DurationTrainOptions:
    """How a duration model is trained; stored beside the checkpoints.

    Attributes:
        steps: in all.
        batch: recordings of a step.
        lr: peak learning rate after `warmup` steps; over the last `decay` share of the steps it falls to
            zero.
        weight_decay: as AdamW's.
        clip: largest norm of the gradient.
        ema: decay of the averaged weights, which are what is evaluated and kept.
        speaker_dropout: how often a known speaker is trained as an unknown one.
        speaker_minutes: speakers with so much to train on are known by name.
        evaluate_every, save_every: in steps.
        seed: of everything random.
    """

    steps: int = 3000
    batch: int = 32
    lr: float = 1e-3
    warmup: int = 100
    decay: float = 0.5
    weight_decay: float = 0.05
    clip: float = 1.0
    ema: float = 0.99
    speaker_dropout: float = 0.3
    speaker_minutes: float = 5.0
    evaluate_every: int = 250
    save_every: int = 250
    seed: int = 0

    def __post_init__(self) -> None:
        check_types(self)
        for name in ("steps", "batch", "evaluate_every", "save_every"):
            if getattr(self, name) < 1:
                raise MynahError(f"{name}={getattr(self, name)}: at least 1")
        for name in ("lr", "warmup", "weight_decay", "speaker_minutes", "seed"):
            if getattr(self, name) < 0:
                raise MynahError(f"{name}={getattr(self, name)}: not below 0")
        if self.clip <= 0:
            raise MynahError(f"clip={self.clip:g}: above 0")
        for name in ("decay", "ema", "speaker_dropout"):
            if not 0 <= getattr(self, name) <= 1:
                raise MynahError(f"{name}={getattr(self, name)}: between 0 and 1")

    def learning_rate(self, step: int) -> float:
        """Warm-up, constant, linear decay."""
        return self.lr * schedule(step, self.steps, self.warmup, self.decay)


class Example(NamedTuple):
    """An aligned recording: int64 [P] `ids` of symbols and `durations` in frames; its `speaker` or ""."""

    ids: np.ndarray
    durations: np.ndarray
    speaker: str


def train_durations(
    recipe: Path, data: Path, out: Path, overrides: Sequence[str] = (), log: Callable[[str], None] = print
) -> bool:
    """Train a duration model after a recipe on alignments; returns False where Ctrl-C stopped it, resumably.

    Args:
        recipe: a JSON file as `runs/durations-16k.json`.
        data: a list of aligned recordings.
        out: the run's folder; a run that it holds is taken up.
        overrides: `train.name=value` or `durations.name=value`.
        log: where lines for the user go.

    Raises:
        MynahError: a bad recipe, a bad list, or nothing in it to train or validate on.
    """
    from .train_durations import train

    config, options = read_duration_recipe(recipe, list(overrides))
    examples = read_alignments(data, config)
    for split, purpose in (("train", "train"), ("val", "validate")):
        if not examples[split]:
            raise MynahError(f"{data}: no recordings of the split {split!r} to {purpose} on")
        minutes = sum(int(e.durations.sum()) for e in examples[split]) / config.frame_rate / 60
        log(f"{split}: {len(examples[split])} recordings, {minutes:.1f} minutes of phonemes and pauses")
    config = with_speakers(config, options, examples["train"])
    log(f"{len(config.speakers)} speakers are known by name")
    with Interrupt() as ctrl_c:
        step = train(
            config,
            options,
            examples["train"],
            examples["val"],
            out,
            log=log,
            interrupted=lambda: ctrl_c.seen,
        )
    if step < options.steps:
        log(f"stopped at step {step} of {options.steps}, saved in {out}: the same command goes on from there")
    return step >= options.steps


def read_duration_recipe(path: Path, overrides: list[str]) -> tuple[DurationConfig, DurationTrainOptions]:
    """Read a recipe; each override is `train.name=value` or `durations.name=value` with a JSON value.

    Raises:
        MynahError: not a recipe, an unknown option, or a value out of range; one line that names it.
    """
    recipe = read_sections(path, ("durations", "train"), overrides)
    config = DurationConfig(
        **known_options(DurationConfig, recipe["durations"], f"{path} (durations)"),
    )
    options = known_options(DurationTrainOptions, recipe["train"], f"{path} (train)")
    return config, DurationTrainOptions(**options)


def read_alignments(path: Path, config: DurationConfig) -> dict[str, list[Example]]:
    """Examples of each split, without the silence around them, which is of the cut and not of the speech.

    Raises:
        MynahError: not a list of alignments; the message names the line.
    """
    examples: dict[str, list[Example]] = {split: [] for split in SPLITS}
    try:
        with open(path, encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                try:
                    split, example = _example(line, config)
                except (ValueError, RecursionError) as error:
                    raise MynahError(f"{path}:{number}: {error}") from None
                if example.durations.any():
                    examples[split].append(example)
    except UnicodeDecodeError as error:
        raise MynahError(f"{path}: not UTF-8 text ({error.reason})") from None
    except OSError as error:
        raise MynahError(f"{path}: cannot be read ({error.strerror or error})") from None
    return examples


def with_speakers(
    config: DurationConfig, options: DurationTrainOptions, examples: Sequence[Example]
) -> DurationConfig:
    """The configuration with those speakers whose recordings are long enough, unless the recipe names them.

    Raises:
        MynahError: a speaker that the recipe names and the recordings lack.
    """
    frames = Counter[str]()
    for example in examples:
        frames[example.speaker] += int(example.durations.sum())
    absent = sorted(set(config.speakers) - set(frames))
    if absent:
        raise MynahError(f"durations.speakers: no recordings of {', '.join(absent)} to train on")
    least = options.speaker_minutes * 60 * config.frame_rate
    named = tuple(sorted(name for name, n in frames.items() if name and n >= least))
    return config if config.speakers else replace(config, speakers=named)


def _example(line: str, config: DurationConfig) -> tuple[str, Example]:
    """The split and the example of a line; ValueError says what is wrong with it."""
    item = parse_json(line)
    if not isinstance(item, dict):
        raise ValueError("a JSON object is expected")
    for name in ("split", "phonemes", "durations"):
        if name not in item:
            raise ValueError(f"no {name!r} in it")
    split, phonemes, durations, speaker = (
        item["split"],
        item["phonemes"],
        item["durations"],
        item.get("speaker"),
    )
    if split not in SPLITS:
        raise ValueError(f"split={split!r}: one of {', '.join(SPLITS)} is expected")
    if speaker is not None and not isinstance(speaker, str):
        raise ValueError(f"speaker={speaker!r}: a text or null is expected")
    if not isinstance(phonemes, list) or not all(isinstance(p, str) for p in phonemes):
        raise ValueError("phonemes: a list of texts is expected")
    whole = isinstance(durations, list) and all(type(d) is int and 0 <= d < 1 << 20 for d in durations)
    if not whole or len(durations) != len(phonemes):
        raise ValueError(f"durations: {len(phonemes)} whole numbers from 0 are expected, one a phoneme")
    start, stop = 0, len(phonemes)
    while start < stop and phonemes[start] == SILENCE:
        start += 1
    while stop > start and phonemes[stop - 1] == SILENCE:
        stop -= 1
    ids = np.array(config.ids(phonemes[start:stop]), np.int64)
    return split, Example(ids, np.array(durations[start:stop], np.int64), speaker or "")
