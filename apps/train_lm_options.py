"""Options of a language model's training run: a recipe holds `lm` (the architecture) and `train` (these)."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from ..data.errors import MynahError
from ..data.shards import TokenInfo
from ..data.text import PAD, SYMBOLS
from ..data.token_prompts import SHORTEST
from ..lm.config import LMConfig
from .recipe import check_types, known_options, read_sections, schedule

INVENTORY = tuple(symbol for symbol in SYMBOLS if symbol != PAD)


@dataclass(frozen=True)
class LMTrainOptions:
    """How a language model is trained; stored beside the checkpoints.

    Attributes:
        steps: in all.
        batch_frames: frames of a step's items over all processes, padding included, at the most.
        crop: seconds of an item at the most; longer recordings are cropped to it.
        lr: peak learning rate after `warmup` steps; over the last `decay` share of the steps it falls to
            zero.
        weight_decay: of the matrices, as AdamW's.
        clip: largest norm of the gradient.
        ema: decay of the averaged weights, which are what is evaluated and kept.
        stream_weights: weight of each stream's cross-entropy, one for each codebook of the tokens.
        z, token_noise, phoneme_dropout, speaker_dropout: as in `lm.objective.Objective`.
        prompted: share of the items that begin with a part of another recording, as in `data.token_prompts`;
            some find none.
        ends_after: seconds that a recording lasts at least for its end to be learned, as in
            `data.token_batches`.
        phonemes: whether the model is told what is spoken, where the tokens' alignments tell: `lm.symbols` is
            then the inventory of `mynah.data.text`.
        subwords: a SentencePiece model's file, as `mynah train subwords` makes: what is spoken is then told
            as it is spelled (`data.text.subwords`), and `lm.symbols` are its pieces.
        corpus_weights: weight of a frame of each corpus (1 where not named, 0 to leave it out).
        validation_corpora: which corpora are validated on; all if empty.
        bf16: whether the network runs in bfloat16 (the loss never does).
        evaluate_every, save_every: in steps.
        workers: processes that prepare batches beside the training.
        seed: of everything random.
    """

    steps: int = 20000
    batch_frames: int = 4000
    crop: float = 10.0
    lr: float = 1e-3
    warmup: int = 300
    decay: float = 0.3
    weight_decay: float = 0.1
    clip: float = 1.0
    ema: float = 0.999
    stream_weights: tuple[float, ...] = (3.0, 2.0, 1.0)
    z: float = 1e-4
    token_noise: float = 0.05
    phoneme_dropout: float = 0.15
    speaker_dropout: float = 0.15
    prompted: float = 0.0
    ends_after: float = 0.0
    phonemes: bool = False
    subwords: str = ""
    corpus_weights: dict[str, float] = field(default_factory=dict)
    validation_corpora: tuple[str, ...] = ()
    bf16: bool = True
    evaluate_every: int = 1000
    save_every: int = 250
    workers: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        check_types(self)
        for name in ("stream_weights", "validation_corpora"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for name in ("steps", "batch_frames", "evaluate_every", "save_every"):
            if getattr(self, name) < 1:
                raise MynahError(f"{name}={getattr(self, name)}: at least 1")
        for name in ("crop", "clip"):
            if getattr(self, name) <= 0:
                raise MynahError(f"{name}={getattr(self, name):g}: above 0")
        for name in ("lr", "warmup", "weight_decay", "z", "ends_after", "workers", "seed"):
            if getattr(self, name) < 0:
                raise MynahError(f"{name}={getattr(self, name)}: not below 0")
        for name in ("decay", "ema", "token_noise", "phoneme_dropout", "speaker_dropout", "prompted"):
            if not 0 <= getattr(self, name) <= 1:
                raise MynahError(f"{name}={getattr(self, name)}: between 0 and 1")
        if min(self.stream_weights, default=0) < 0 or not sum(self.stream_weights):
            raise MynahError(f"stream_weights={self.stream_weights}: none below 0, one above")
        if self.subwords and not self.phonemes:
            raise MynahError(f"subwords={self.subwords!r} tells what is spoken: it takes phonemes=true")
        if min(self.corpus_weights.values(), default=0) < 0:
            raise MynahError(f"corpus_weights={self.corpus_weights}: none below 0")

    def learning_rate(self, step: int) -> float:
        """Warm-up, constant, linear decay."""
        return self.lr * schedule(step, self.steps, self.warmup, self.decay)


def read_lm_recipe(path: Path, overrides: list[str]) -> tuple[LMConfig, LMTrainOptions]:
    """Read a recipe; each override is `train.name=value` or `lm.name=value` with a JSON value.

    Raises:
        MynahError: not a recipe, an unknown option, or a value out of range; one line that names it.
    """
    recipe = read_sections(path, ("lm", "train"), overrides)
    config = LMConfig(**known_options(LMConfig, recipe["lm"], f"{path} (lm)"))
    return config, LMTrainOptions(**known_options(LMTrainOptions, recipe["train"], f"{path} (train)"))


def fitted(
    config: LMConfig, options: LMTrainOptions, info: TokenInfo, symbols: tuple[str, ...] = INVENTORY
) -> LMConfig:
    """The architecture for these tokens: codec, streams and codebooks are theirs; what is spoken, if it is
    told, is told in `symbols`.

    Raises:
        MynahError: options that do not fit the tokens or the architecture.
    """
    if options.phonemes:
        if config.symbols not in ((), symbols):
            whose = "the pieces of train.subwords" if options.subwords else "the inventory"
            raise MynahError(f"phonemes=true takes {whose} for lm.symbols: leave lm.symbols out")
        config = replace(config, symbols=symbols)
    config = replace(
        config,
        codec=info.codec,
        codec_hash=info.codec_hash,
        frame_rate=info.frame_rate,
        n_codebooks=info.n_codebooks,
        codebook_size=info.codebook_size,
    )
    if len(options.stream_weights) != info.n_codebooks:
        weights = f"stream_weights={options.stream_weights}"
        raise MynahError(f"{weights}: one for each of the tokens' {info.n_codebooks} streams is needed")
    bound = frames_of(options.crop, config)
    if not 1 <= bound <= config.max_frames:
        most = config.max_frames / config.frame_rate
        raise MynahError(f"crop={options.crop:g}: a frame to {most:g} seconds (lm.max_frames)")
    if options.prompted and bound < 2 * SHORTEST:
        least = 2 * SHORTEST / config.frame_rate
        raise MynahError(f"prompted={options.prompted:g} needs a crop of {least:g} seconds at least")
    if options.batch_frames < bound:
        raise MynahError(f"batch_frames={options.batch_frames}: at least a crop's {bound} frames")
    return config


def frames_of(seconds: float, config: LMConfig) -> int:
    """Frames of a time."""
    return round(seconds * config.frame_rate)
