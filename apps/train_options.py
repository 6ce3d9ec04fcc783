"""Options of a codec training run: a recipe file holds `codec` (the architecture) and `train` (these)."""

from dataclasses import dataclass, field
from pathlib import Path

from ..codec.config import CodecConfig
from ..data.errors import MynahError
from .recipe import check_types, known_options, read_sections, schedule

_SPECTRAL = ("mel", "perceptual", "complex", "intelligibility")
LOSSES = {
    "reconstruction": _SPECTRAL,
    "decoder": _SPECTRAL,
    "adversarial": (*_SPECTRAL, "adversarial", "features"),
}
MIN_CROP = 0.2  # seconds: the longest window of the losses and the decoder's delay fit in
MIN_CROP_OF = {"intelligibility": 0.5}  # what this loss looks at, and the delay


@dataclass(frozen=True)
class TrainOptions:
    """How a codec is trained; stored beside the checkpoints.

    Attributes:
        stage: "reconstruction" trains everything without a discriminator; the others freeze encoder and
            quantizer (the tokens stay what they are) and train the decoder on the codes that files have:
            "decoder" without a discriminator, "adversarial" against one.
        steps: in all; `latent_steps` of them come first, with noise on the latents instead of a quantizer,
            whose codebooks start after them (so 0 to go on with those of `--init`, as the frozen stages do).
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
        check_types(self)
        for name in ("rate_weights", "complex_weights", "latent_noise"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if self.stage not in LOSSES:
            raise MynahError(f"stage={self.stage!r}: {', '.join(LOSSES)} are known")
        for name in ("steps", "batch", "evaluate_every", "save_every"):
            if getattr(self, name) < 1:
                raise MynahError(f"{name}={getattr(self, name)}: at least 1")
        if self.frozen and self.latent_steps:
            raise MynahError(f"latent_steps={self.latent_steps}: 0 in stage={self.stage}, whose codes stay")
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
        for name in self.weights:
            if self.crop < MIN_CROP_OF.get(name, 0):
                raise MynahError(f"crop={self.crop:g}: at least {MIN_CROP_OF[name]} seconds for {name}")
        if min(self.corpus_weights.values(), default=0) < 0:
            raise MynahError(f"corpus_weights={self.corpus_weights}: none below 0")

    @property
    def frozen(self) -> bool:
        """Whether encoder and quantizer stay what they are."""
        return self.stage != "reconstruction"

    def learning_rate(self, step: int) -> float:
        """Warm-up, constant, linear decay."""
        return self.lr * schedule(step, self.steps, self.warmup, self.decay)


def read_recipe(path: Path, overrides: list[str]) -> tuple[CodecConfig, TrainOptions]:
    """Read a recipe; each override is `train.name=value` or `codec.name=value` with a JSON value.

    Raises:
        MynahError: not a recipe, an unknown option, or a value out of range; one line that names it.
    """
    recipe = read_sections(path, ("codec", "train"), overrides)
    codec = CodecConfig(**known_options(CodecConfig, recipe["codec"], f"{path} (codec)"))
    train = TrainOptions(**known_options(TrainOptions, recipe["train"], f"{path} (train)"))
    allowed = [len(codec.bitrates) + i for i in range(1 if train.frozen else 2)]
    if len(train.rate_weights) not in allowed:
        raise MynahError(
            f"rate_weights={train.rate_weights}: one weight for each of {codec.bitrates} is needed"
        )
    for name, needed in (("complex_weights", train.complex_weights), ("latent_noise", train.latent_steps)):
        values = getattr(train, name)
        if needed and len(values) != len(train.rate_weights):
            raise MynahError(f"{name}={values}: one for each of rate_weights={train.rate_weights} is needed")
    return codec, train
