"""Options of a codec training run: a recipe file holds `codec` (the architecture) and `train` (these)."""

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path

from ..codec.config import CodecConfig
from ..data.errors import MynahError


@dataclass(frozen=True)
class TrainOptions:
    """How a codec is trained; stored beside the checkpoints.

    Attributes:
        stage: "reconstruction" trains everything without a discriminator; "adversarial" freezes encoder and
            quantizer (the tokens stay what they are) and trains the decoder against a discriminator.
        steps: in all; `latent_steps` of them come first, with noise on the latents instead of a quantizer.
        batch: crops per step over all processes; `crop` seconds each.
        lr: peak learning rate after `warmup` steps; over the last `decay` share of the steps it falls to
            zero.
        ema: decay of the averaged weights, which are what is evaluated and shipped.
        rate_weights: how often each operating point is drawn, lowest first.
        latent_noise: largest standard deviation of the noise of the latent steps.
        commitment: weight of the commitment loss.
        weights: shares of the losses in the gradient at the output.
        corpus_weights: weight of a second of each corpus (1 where not named).
        bf16: whether networks run in bfloat16 (losses and quantizer never do).
        evaluate_every, save_every: in steps.
        workers: processes that prepare crops beside the training.
        seed: of everything random.
    """

    stage: str = "reconstruction"
    steps: int = 10000
    latent_steps: int = 1500
    batch: int = 16
    crop: float = 1.0
    lr: float = 1e-3
    warmup: int = 300
    decay: float = 0.3
    ema: float = 0.999
    rate_weights: tuple[float, ...] = (0.4, 0.35, 0.25)
    latent_noise: float = 0.7
    commitment: float = 0.25
    weights: dict[str, float] = field(
        default_factory=lambda: {"mel": 0.55, "perceptual": 0.35, "complex": 0.1}
    )
    corpus_weights: dict[str, float] = field(default_factory=dict)
    bf16: bool = True
    evaluate_every: int = 1000
    save_every: int = 250
    workers: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.stage not in ("reconstruction", "adversarial"):
            raise MynahError(f"stage={self.stage!r}: reconstruction or adversarial")
        for name in ("steps", "batch", "evaluate_every", "save_every"):
            if getattr(self, name) < 1:
                raise MynahError(f"{name}={getattr(self, name)}: at least 1")
        if not 0 <= self.latent_steps <= self.steps:
            raise MynahError(f"latent_steps={self.latent_steps}: between 0 and steps={self.steps}")

    def learning_rate(self, step: int) -> float:
        """Warm-up, constant, linear decay."""
        left = (self.steps - step) / max(self.decay * self.steps, 1)
        return self.lr * min(1.0, (step + 1) / max(self.warmup, 1), max(left, 0.0))


def _checked(cls: type, values: dict, where: str) -> dict:
    unknown = set(values) - {f.name for f in dataclasses.fields(cls)}
    if unknown:
        known = ", ".join(f.name for f in dataclasses.fields(cls))
        raise MynahError(f"{where}: unknown options {sorted(unknown)}; known are {known}")
    return values


def read_recipe(path: Path, overrides: list[str]) -> tuple[CodecConfig, TrainOptions]:
    """Read a recipe; each override is `train.name=value` or `codec.name=value` with a JSON value."""
    try:
        recipe = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise MynahError(f"{path}: not a readable recipe ({error})") from None
    unknown = set(recipe) - {"codec", "train"}
    if unknown:
        raise MynahError(f"{path}: unknown sections {sorted(unknown)}; a recipe has codec and train")
    for override in overrides:
        key, _, value = override.partition("=")
        section, _, name = key.partition(".")
        if section not in ("codec", "train") or not name or not value:
            raise MynahError(f"--set {override}: expected train.NAME=VALUE or codec.NAME=VALUE")
        try:
            parsed = json.loads(value)
        except ValueError:
            parsed = value
        recipe.setdefault(section, {})[name] = parsed
    codec = CodecConfig(**_checked(CodecConfig, recipe.get("codec", {}), f"{path} (codec)"))
    train = TrainOptions(**_checked(TrainOptions, recipe.get("train", {}), f"{path} (train)"))
    if len(train.rate_weights) != len(codec.bitrates):
        raise MynahError(
            f"rate_weights={train.rate_weights}: one weight for each of {codec.bitrates} is needed"
        )
    return codec, train
