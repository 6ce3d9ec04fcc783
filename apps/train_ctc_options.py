"""Options of a phone head's training run: a recipe file holds `head` (the
architecture) and `train` (these)."""

from dataclasses import dataclass, field
from pathlib import Path

from ..codec.heads.phone_config import PhoneHeadConfig
from ..data.errors import MynahError
from .recipe import check_types, known_options, read_sections, schedule


@dataclass(frozen=True)
class CtcOptions:
    """How a phone head is trained; stored beside the checkpoints.

    Attributes:
        steps: in all.
        batch: utterances per step over all processes.
        longest: seconds; longer utterances are left out.
        lr: peak learning rate after `warmup` steps; over the last `decay` share of the steps it falls to
            zero.
        weight_decay: of AdamW.
        clip: largest norm of the gradient.
        ema: decay of the averaged weights, which are what is evaluated and stored.
        realign: every so many steps the network as it is becomes the aligner that the next ones learn from.
        corpus_weights: how often an utterance of each corpus is drawn (1 where not named).
        bf16: whether the network runs in bfloat16 (features, probabilities and losses never do).
        evaluate_every, save_every: in steps.
        workers: processes that prepare utterances beside the training.
        seed: of everything random.
    """

    steps: int = 4000
    batch: int = 16
    longest: float = 16.0
    lr: float = 2e-3
    warmup: int = 100
    decay: float = 0.4
    weight_decay: float = 0.02
    clip: float = 1.0
    ema: float = 0.998
    realign: int = 100
    corpus_weights: dict[str, float] = field(default_factory=dict)
    bf16: bool = True
    evaluate_every: int = 500
    save_every: int = 250
    workers: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        check_types(self)
        for name in ("steps", "batch", "realign", "evaluate_every", "save_every"):
            if getattr(self, name) < 1:
                raise MynahError(f"{name}={getattr(self, name)}: at least 1")
        for name in ("longest", "clip"):
            if getattr(self, name) <= 0:
                raise MynahError(f"{name}={getattr(self, name):g}: above 0")
        for name in ("lr", "warmup", "weight_decay", "workers", "seed"):
            if getattr(self, name) < 0:
                raise MynahError(f"{name}={getattr(self, name)}: not below 0")
        for name in ("decay", "ema"):
            if not 0 <= getattr(self, name) <= 1:
                raise MynahError(f"{name}={getattr(self, name)}: between 0 and 1")
        if min(self.corpus_weights.values(), default=0) < 0:
            raise MynahError(f"corpus_weights={self.corpus_weights}: none below 0")

    def learning_rate(self, step: int) -> float:
        """Warm-up, constant, linear decay."""
        return self.lr * schedule(step, self.steps, self.warmup, self.decay)


def read_ctc_recipe(path: Path, overrides: list[str]) -> tuple[PhoneHeadConfig, CtcOptions]:
    """Read a phone head's recipe; each override is `train.name=value` or `head.name=value` with a JSON value.

    Raises:
        MynahError: not a recipe, an unknown option, or a value out of range; one line that names it.
    """
    recipe = read_sections(path, ("head", "train"), overrides)
    head = PhoneHeadConfig(**known_options(PhoneHeadConfig, recipe["head"], f"{path} (head)"))
    return head, CtcOptions(**known_options(CtcOptions, recipe["train"], f"{path} (train)"))
