"""Options of a codec training run: a recipe file holds `codec` (the architecture) and `train` (these)."""

import dataclasses
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..codec.config import CodecConfig
from ..data.errors import MynahError

_SPECTRAL = ("mel", "perceptual", "complex")
LOSSES = {"reconstruction": _SPECTRAL, "adversarial": (*_SPECTRAL, "adversarial", "features")}
MIN_CROP = 0.2  # seconds: the longest window of the losses and the decoder's delay fit in


@dataclass(frozen=True)
class TrainOptions:
    """How a codec is trained; stored beside the checkpoints.

    Attributes:
        stage: "reconstruction" trains everything without a discriminator; "adversarial" freezes encoder and
            quantizer (the tokens stay what they are) and trains the decoder against a discriminator.
        steps: in all; `latent_steps` of them come first, with noise on the latents instead of a quantizer,
            whose codebooks start after them (so 0 to go on with those of `--init`).
        batch: crops per step over all processes; `crop` seconds each.
        lr: peak learning rate after `warmup` steps; over the last `decay` share of the steps it falls to
            zero.
        ema: decay of the averaged weights, which are what is evaluated and shipped.
        rate_weights: how often each operating point is drawn, lowest first; in the first stage one number
            more may follow, for crops that pass unquantized (as in Mimi, Défossez et al. 2024).
        complex_weights: factor of the complex loss for each entry of `rate_weights`, or none for 1: few bits
            cannot describe a waveform, only what is heard of it.
        latent_noise: standard deviation of the noise of the latent steps, for each entry of `rate_weights`:
            about what its codebooks will leave over, so that what matters most takes the most room.
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
    complex_weights: tuple[float, ...] = ()
    latent_noise: tuple[float, ...] = (0.9, 0.5, 0.25)
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
        for f in dataclasses.fields(self):
            check_type(f.name, getattr(self, f.name), f.type)
        for name in ("rate_weights", "complex_weights", "latent_noise"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if self.stage not in LOSSES:
            raise MynahError(f"stage={self.stage!r}: {' or '.join(LOSSES)}")
        for name in ("steps", "batch", "evaluate_every", "save_every"):
            if getattr(self, name) < 1:
                raise MynahError(f"{name}={getattr(self, name)}: at least 1")
        if not 0 <= self.latent_steps <= self.steps:
            raise MynahError(f"latent_steps={self.latent_steps}: between 0 and steps={self.steps}")
        if self.crop < MIN_CROP:
            raise MynahError(f"crop={self.crop:g}: at least {MIN_CROP} seconds")
        for name in ("lr", "commitment", "workers", "warmup", "seed"):
            if getattr(self, name) < 0:
                raise MynahError(f"{name}={getattr(self, name)}: not below 0")
        for name in ("decay", "ema"):
            if not 0 <= getattr(self, name) <= 1:
                raise MynahError(f"{name}={getattr(self, name)}: between 0 and 1")
        if min(self.rate_weights, default=0) < 0 or not sum(self.rate_weights):
            raise MynahError(f"rate_weights={self.rate_weights}: none below 0, one above")
        for name in ("complex_weights", "latent_noise"):
            if min(getattr(self, name), default=0) < 0:
                raise MynahError(f"{name}={getattr(self, name)}: none below 0")
        losses = LOSSES[self.stage]
        if not self.weights or set(self.weights) - set(losses) or min(self.weights.values()) <= 0:
            raise MynahError(f"weights={self.weights}: numbers above 0 for some of {', '.join(losses)}")
        if min(self.corpus_weights.values(), default=0) < 0:
            raise MynahError(f"corpus_weights={self.corpus_weights}: none below 0")

    def learning_rate(self, step: int) -> float:
        """Warm-up, constant, linear decay."""
        left = (self.steps - step) / max(self.decay * self.steps, 1)
        return self.lr * min(1.0, (step + 1) / max(self.warmup, 1), max(left, 0.0))


def check_type(name: str, value: Any, expected: Any) -> None:
    """MynahError unless a value read from JSON is of an option's type; whole numbers pass as floats."""
    if expected == tuple[float, ...]:
        good = isinstance(value, list | tuple) and all(_is_number(v) for v in value)
        wanted = "a list of numbers"
    elif expected == dict[str, float]:
        good = isinstance(value, dict) and all(_is_number(v) for v in value.values())
        wanted = "an object of numbers"
    elif expected is float:
        good, wanted = _is_number(value), "a number"
    else:
        good = type(value) is expected
        wanted = {int: "a whole number", bool: "true or false", str: "a text"}[expected]
    if not good:
        raise MynahError(f"{name}={value!r}: {wanted} is expected")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _checked(cls: type, values: Any, where: str) -> dict:
    if not isinstance(values, dict):
        raise MynahError(f"{where}: a JSON object is expected")
    known = [f.name for f in dataclasses.fields(cls)]
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise MynahError(f"{where}: unknown options {', '.join(unknown)}; known are {', '.join(known)}")
    return values


def read_recipe(path: Path, overrides: list[str]) -> tuple[CodecConfig, TrainOptions]:
    """Read a codec's recipe; each override is `train.name=value` or `codec.name=value` with a JSON value.

    Raises:
        MynahError: not a recipe, an unknown option, or a value out of range; one line that names it.
    """
    codec, train = read_sections(path, overrides, codec=CodecConfig, train=TrainOptions)
    allowed = [len(codec.bitrates) + i for i in range(2 if train.stage == "reconstruction" else 1)]
    if len(train.rate_weights) not in allowed:
        raise MynahError(
            f"rate_weights={train.rate_weights}: one weight for each of {codec.bitrates} is needed"
        )
    for name, needed in (("complex_weights", train.complex_weights), ("latent_noise", train.latent_steps)):
        values = getattr(train, name)
        if needed and len(values) != len(train.rate_weights):
            raise MynahError(f"{name}={values}: one for each of rate_weights={train.rate_weights} is needed")
    return codec, train


def read_sections(path: Path, overrides: list[str], **kinds: type) -> list[Any]:
    """Read a recipe of the given sections, each an object of the fields of its dataclass.

    Args:
        path: the JSON file.
        overrides: `section.name=value` with a JSON value, or a text.
        kinds: the sections' dataclasses.

    Raises:
        MynahError: not a recipe, an unknown option, or a value out of range; one line that names it.
    """
    names = " and ".join(kinds)
    try:
        recipe = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise MynahError(f"{path}: not a readable recipe ({error})") from None
    if not isinstance(recipe, dict):
        raise MynahError(f"{path}: not a readable recipe (a JSON object is expected)")
    unknown = set(recipe) - set(kinds)
    if unknown:
        raise MynahError(f"{path}: unknown sections {sorted(unknown)}; a recipe has {names}")
    for override in overrides:
        key, _, value = override.partition("=")
        section, _, name = key.partition(".")
        if section not in kinds or not name or not value:
            expected = " or ".join(f"{section}.NAME=VALUE" for section in reversed(kinds))
            raise MynahError(f"--set {override}: expected {expected}")
        try:
            parsed = json.loads(value)
        except ValueError:
            parsed = value
        if isinstance(recipe.setdefault(section, {}), dict):
            recipe[section][name] = parsed
    return [
        kind(**_checked(kind, recipe.get(section, {}), f"{path} ({section})"))
        for section, kind in kinds.items()
    ]
