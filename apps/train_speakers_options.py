"""Options of a speaker head's training run: a recipe file holds `head` (the
architecture) and `train` (these)."""

from dataclasses import dataclass, field
from pathlib import Path

from ..codec.heads.speaker_config import SpeakerHeadConfig
from ..data.errors import MynahError
from .recipe import check_types, known_options, read_sections, schedule


@dataclass(frozen=True)
class SpeakerOptions:
    """How a speaker head is trained; stored beside the checkpoints.

    Attributes:
        steps: in all.
        batch: crops per step over all processes.
        shortest, longest: seconds of the crops; those of a step have one length.
        least: seconds; speakers of whom there is less are left out.
        lr: peak learning rate after `warmup` steps; over the last `decay` share of the steps it falls to
            zero.
        weight_decay: of AdamW.
        clip: largest norm of the gradient.
        ema: decay of the averaged weights, which are what is evaluated and stored.
        margin, scale: of the loss, `codec.heads.speaker_objective`.
        corpus_weights: how often a speaker of each corpus is drawn (1 where not named).
        bf16: whether the network runs in bfloat16 (features, embeddings and losses never do).
        evaluate_every, save_every: in steps.
        workers: processes that prepare crops beside the training.
        seed: of everything random.
    """

    steps: int = 3000
    batch: int = 48
    shortest: float = 2.0
    longest: float = 4.0
    least: float = 3.0
    lr: float = 2e-3
    warmup: int = 100
    decay: float = 0.4
    weight_decay: float = 0.05
    clip: float = 1.0
    ema: float = 0.998
    margin: float = 0.2
    scale: float = 30.0
    corpus_weights: dict[str, float] = field(default_factory=dict)
    bf16: bool = True
    evaluate_every: int = 250
    save_every: int = 100
    workers: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        check_types(self)
        for name in ("steps", "batch", "evaluate_every", "save_every"):
            if getattr(self, name) < 1:
                raise MynahError(f"{name}={getattr(self, name)}: at least 1")
        if not 0.1 <= self.shortest <= self.longest:
            raise MynahError(
                f"shortest={self.shortest:g}, longest={self.longest:g}: at least 0.1 s, in this order"
            )
        for name in ("least", "clip", "scale"):
            if getattr(self, name) <= 0:
                raise MynahError(f"{name}={getattr(self, name):g}: above 0")
        for name in ("lr", "warmup", "weight_decay", "workers", "seed"):
            if getattr(self, name) < 0:
                raise MynahError(f"{name}={getattr(self, name)}: not below 0")
        for name in ("decay", "ema", "margin"):
            if not 0 <= getattr(self, name) <= 1:
                raise MynahError(f"{name}={getattr(self, name)}: between 0 and 1")
        if min(self.corpus_weights.values(), default=0) < 0:
            raise MynahError(f"corpus_weights={self.corpus_weights}: none below 0")

    def learning_rate(self, step: int) -> float:
        """Warm-up, constant, linear decay."""
        return self.lr * schedule(step, self.steps, self.warmup, self.decay)


def read_speaker_recipe(path: Path, overrides: list[str]) -> tuple[SpeakerHeadConfig, SpeakerOptions]:
    """Read a speaker head's recipe; each override is `train.name=value` or `head.name=value` with a JSON
    value.

    Raises:
        MynahError: not a recipe, an unknown option, or a value out of range; one line that names it.
    """
    recipe = read_sections(path, ("head", "train"), overrides)
    head = SpeakerHeadConfig(**known_options(SpeakerHeadConfig, recipe["head"], f"{path} (head)"))
    return head, SpeakerOptions(**known_options(SpeakerOptions, recipe["train"], f"{path} (train)"))
