"""The network that says how long each phoneme lasts, its configuration, and the arithmetic of its training.

Convolutions over the phonemes of a sentence, as in FastSpeech 2 (Ren et al. 2021), with one addition: a pause
is either made or not, so the network says for every symbol whether it lasts at all, and how long if it does.
The mean of the two, which a single number would learn, is a short pause after every comma.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..data.config import StoredConfig
from ..data.errors import CheckpointError
from ..data.text import PAD, SYMBOLS

UNKNOWN_SPEAKER = 0
PADDING = -1  # duration of what fills a batch
PERCENTILES = (1, 99)
LEAST_EXAMPLES = 20  # a symbol that was heard less often is taken for one like it
_LIKE = {"?": ".", "!": ".", "…": ".", ";": ",", ":": ",", "—": ",", "ʌ": "ə", "ɝ": "ɚ"}
LENGTH_WEIGHT = 1.0


@dataclass(frozen=True)
class DurationConfig(StoredConfig):
    """All sizes of one duration model; `config.json` of a checkpoint holds exactly these fields.

    Attributes:
        name: the model's name.
        frame_rate: frames per second, of which durations are numbers.
        symbols: what it knows how long it lasts.
        speakers: voices that it knows by name; any other voice is spoken in the manner of all of them.
        dim, layers, kernel, expansion: width, depth, symbols seen by a convolution, and inner width of its
            network.
        dropout: probability in every residual branch, while training.
    """

    kind: ClassVar[str] = "duration model"

    name: str = "mynah-durations"
    frame_rate: float = 50.0
    symbols: tuple[str, ...] = tuple(symbol for symbol in SYMBOLS if symbol != PAD)
    speakers: tuple[str, ...] = ()
    dim: int = 192
    layers: int = 6
    kernel: int = 5
    expansion: int = 2
    dropout: float = 0.1

    def __post_init__(self) -> None:
        for field in ("symbols", "speakers"):
            values = getattr(self, field)
            if not isinstance(values, list | tuple) or not all(isinstance(s, str) and s for s in values):
                raise CheckpointError(f"{field}={values!r}: a list of texts is expected")
            if len(set(values)) != len(values):
                raise CheckpointError(f"{field}: some more than once")
            object.__setattr__(self, field, tuple(values))
        if not isinstance(self.name, str) or not self.name:
            raise CheckpointError(f"name={self.name!r}: a text is expected")
        self.check_whole_numbers()
        if not self.kernel % 2:
            raise CheckpointError(f"kernel={self.kernel}: an odd number is expected")
        if not _is_number(self.frame_rate) or not 0 < self.frame_rate < math.inf:
            raise CheckpointError(f"frame_rate={self.frame_rate!r}: a positive number is expected")
        if not _is_number(self.dropout) or not 0 <= self.dropout < 1:
            raise CheckpointError(f"dropout={self.dropout!r}: a number from 0, below 1, is expected")

    def ids(self, symbols: Sequence[str]) -> list[int]:
        """Ids of symbols, 1 and up; ValueError names one that the model does not know."""
        table = {symbol: i for i, symbol in enumerate(self.symbols, 1)}
        unknown = [symbol for symbol in symbols if symbol not in table]
        if unknown:
            raise ValueError(f"{unknown[0]!r} is no symbol of {self.name}: it knows {' '.join(self.symbols)}")
        return [table[symbol] for symbol in symbols]

    def speaker_id(self, speaker: str) -> int:
        """Id of a speaker, `UNKNOWN_SPEAKER` for ""; ValueError for another that the model does not know."""
        if not speaker:
            return UNKNOWN_SPEAKER
        if speaker not in self.speakers:
            known = ", ".join(self.speakers[:20]) or "nobody"
            raise ValueError(f"{speaker!r} is no speaker of {self.name}: it knows {known}")
        return self.speakers.index(speaker) + 1


class Prediction(NamedTuple):
    """Of every symbol, [B, P]: `log_frames`, how long it lasts where it does; `lasts`, the logit of that."""

    log_frames: Tensor
    lasts: Tensor


class Block(nn.Module):
    """ConvNeXt block (as the codec's) that sees both sides."""

    def __init__(self, c: DurationConfig):
        super().__init__()
        self.depthwise = nn.Conv1d(c.dim, c.dim, c.kernel, padding=c.kernel // 2, groups=c.dim)
        self.norm = nn.LayerNorm(c.dim)
        self.expand = nn.Linear(c.dim, c.expansion * c.dim)
        self.project = nn.Linear(c.expansion * c.dim, c.dim)
        self.dropout = nn.Dropout(c.dropout)

    def forward(self, x: Tensor, inside: Tensor) -> Tensor:
        """[B, P, dim] and whether a symbol is `inside` its item, [B, P, 1]."""
        y = self.depthwise((x * inside).transpose(1, 2)).transpose(1, 2)
        return x + self.dropout(self.project(F.gelu(self.expand(self.norm(y)))))


class DurationNetwork(nn.Module):
    """Phonemes and a speaker to durations.

    Attributes:
        limits: float [symbols + 1, 2], the least and the most frames of every symbol that lasts.
        stand_ins: int64 [symbols + 1], the id that each id is taken for: another one for symbols that were
            hardly ever heard in training, as `stand_ins_of` finds them.
    """

    limits: Tensor
    stand_ins: Tensor

    def __init__(self, config: DurationConfig):
        super().__init__()
        c = self.config = config
        self.symbols = nn.Embedding(len(c.symbols) + 1, c.dim, padding_idx=0)
        self.speakers = nn.Embedding(len(c.speakers) + 1, c.dim)
        self.blocks = nn.ModuleList(Block(c) for _ in range(c.layers))
        self.norm = nn.LayerNorm(c.dim)
        self.output = nn.Linear(c.dim, 2)
        self.register_buffer("limits", torch.tensor([1.0, 100.0]).repeat(len(c.symbols) + 1, 1))
        self.register_buffer("stand_ins", torch.arange(len(c.symbols) + 1))

    def forward(self, ids: Tensor, speaker: Tensor) -> Prediction:
        """Ids [B, P], 0 for padding, and of the speakers [B]."""
        inside = (ids > 0).unsqueeze(2)
        x = self.symbols(self.stand_ins[ids]) + self.speakers(speaker).unsqueeze(1)
        for block in self.blocks:
            x = block(x, inside)
        log_frames, lasts = self.output(self.norm(x)).unbind(-1)
        return Prediction(log_frames, lasts)


class DurationLoss(NamedTuple):
    """`total`: call backward on it. Its parts: `frames`, squared error of the logarithm of durations;
    `pauses`, cross-entropy of whether a symbol lasts; `length`, squared error of the logarithm of the sum."""

    total: Tensor
    frames: Tensor
    pauses: Tensor
    length: Tensor


def duration_loss(prediction: Prediction, durations: Tensor) -> DurationLoss:
    """Of a batch.

    The mean of logarithms is that of the geometric mean, which falls short of the sum: hence `length`.

    Args:
        prediction: of the network.
        durations: int64 [B, P] frames; 0 for what is not spoken, `PADDING` for padding. Every item has a
            symbol that lasts.
    """
    log_frames, lasts = prediction
    inside, real = durations != PADDING, durations > 0
    squared = (log_frames - durations.clamp_min(1).log()).square()
    frames = (squared * real).sum() / real.sum()
    entropy = F.binary_cross_entropy_with_logits(lasts, real.float(), reduction="none")
    pauses = (entropy * inside).sum() / inside.sum()
    # Padding is masked before exp, whose gradient at its overflow would be NaN.
    own = (log_frames.masked_fill(~real, 0).clamp_max(10).exp() * real).sum(1)
    length = (own / (durations * real).sum(1)).log().square().mean()
    return DurationLoss(frames + pauses + LENGTH_WEIGHT * length, frames, pauses, length)


def stand_ins_of(ids: Sequence[np.ndarray], symbols: Sequence[str]) -> Tensor:
    """`DurationNetwork.stand_ins` of examples: for a symbol with fewer than `LEAST_EXAMPLES`, the most
    frequent one that is like it: a mark that ends, or divides, a sentence too, or the vowel with another
    stress."""
    count = np.bincount(np.concatenate(ids), minlength=len(symbols) + 1)
    stand_ins = np.arange(len(symbols) + 1)
    kinds = [_kind(symbol) for symbol in symbols]
    for i, kind in enumerate(kinds, 1):
        if count[i] < LEAST_EXAMPLES:
            stand_ins[i] = max(
                (j for j, k in enumerate(kinds, 1) if k == kind), key=lambda j: (count[j], j == i)
            )
    return torch.from_numpy(stand_ins)


def _kind(symbol: str) -> str:
    sound = symbol.lstrip("ˈˌ")
    return _LIKE.get(sound, sound)


def limits_of(ids: Sequence[np.ndarray], durations: Sequence[np.ndarray], n_symbols: int) -> Tensor:
    """`DurationNetwork.limits` of examples: the 1st and the 99th percentile of the frames of each symbol."""
    symbol, frames = np.concatenate(ids), np.concatenate(durations)
    symbol, frames = symbol[frames > 0], frames[frames > 0]
    limits = np.tile(np.percentile(frames, PERCENTILES), (n_symbols + 1, 1))
    for i in range(1, n_symbols + 1):
        own = frames[symbol == i]
        if len(own) >= LEAST_EXAMPLES:
            limits[i] = np.percentile(own, PERCENTILES)
    return torch.from_numpy(limits).float().clamp_min(1)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
