"""Token patterns: in which step of a sequence which stream's code of which frame is predicted.

A pattern turns codes [B, K, N] into a grid of S model steps [B, K, S] and back (MusicGen, Copet et al. 2023,
section 2.2). Every step belongs to a frame, `time`, which is its position for the network and says which
phoneme is spoken. A slot without a code holds the token "none", and one of these, in the first stream right
after its last frame, is learned as the end of speech.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class Layout(NamedTuple):
    """How the codes of a batch are laid out in steps.

    Attributes:
        target: int64 [B, K, S], the frame whose code stream k predicts in step s; -1 for none.
        source: int64 [B, K, S], the frame whose code of stream k enters step s; -1 for none.
        time: int64 [B, S], the frame that a step belongs to, up to N + K.
        end: int64 [B], the step in which the first stream predicts that the speech is over.
    """

    target: Tensor
    source: Tensor
    time: Tensor
    end: Tensor


Parts = tuple[Tensor, Tensor, Tensor, int]  # target [K, S], source [K, S], time [S], end: of one item


def delay(n_codebooks: int, n_frames: int) -> Parts:
    """Stream k lags by k frames: a code sees all earlier streams of its frame (MusicGen)."""
    return _lagged(torch.arange(n_codebooks), n_frames)


def parallel(n_codebooks: int, n_frames: int) -> Parts:
    """All streams of a frame at once, independent of each other given the past."""
    return _lagged(torch.zeros(n_codebooks, dtype=torch.int64), n_frames)


def flattened(n_codebooks: int, n_frames: int) -> Parts:
    """One code a step, K steps a frame: exact, and K times as long (AudioLM, Borsos et al. 2022)."""
    step = torch.arange(n_frames * n_codebooks + 1)
    time = step // n_codebooks
    own = step % n_codebooks == torch.arange(n_codebooks).unsqueeze(1)
    target = torch.where(own & (time < n_frames), time, -1)
    return target, _earlier(target), time, n_frames * n_codebooks


def coarse_first(n_codebooks: int, n_frames: int) -> Parts:
    """The whole first stream, then the others frame by frame and in parallel, given all of the first."""
    time = torch.arange(n_frames)
    first, rest = torch.full((2, n_codebooks, n_frames + 1), -1), torch.full((2, n_codebooks, n_frames), -1)
    first[0, 0, :-1] = time
    first[1] = _earlier(first[0])
    rest[0, 1:] = time
    rest[1, 0] = time
    rest[1, 1:] = _earlier(rest[0, 1:])
    target, source = torch.cat([first, rest] if n_codebooks > 1 else [first], 2)
    return target, source, torch.cat([torch.arange(n_frames + 1), time])[: target.shape[1]], n_frames


def levels(n_codebooks: int, n_frames: int) -> Parts:
    """The first stream autoregressively, each other one in a single pass (VALL-E, Wang et al. 2023).

    The steps of level k follow those of level k - 1; the codes that enter a frame's step are those of the
    levels below, never of its own, so that all steps of a level can be computed at once. Attention to earlier
    steps sees the levels below at all frames, past and future, as VALL-E's non-autoregressive network does.
    """
    time = torch.arange(n_frames)
    first = torch.full((2, n_codebooks, n_frames + 1), -1)
    first[0, 0, :-1] = time
    first[1] = _earlier(first[0])
    parts = [first]
    for k in range(1, n_codebooks):
        level = torch.full((2, n_codebooks, n_frames), -1)
        level[0, k] = time
        level[1, :k] = time
        parts.append(level)
    target, source = torch.cat(parts, 2)
    return target, source, torch.cat([torch.arange(n_frames + 1), time.repeat(n_codebooks - 1)]), n_frames


PATTERNS: dict[str, Callable[[int, int], Parts]] = {
    "delay": delay,
    "parallel": parallel,
    "flattened": flattened,
    "coarse_first": coarse_first,
    "levels": levels,
}
STREAMABLE = ("delay", "parallel", "flattened")  # early steps do not depend on the number of frames


def layout(pattern: str, n_codebooks: int, n_frames: Sequence[int]) -> Layout:
    """The layout of items of `n_frames` frames each, padded on the right to the longest.

    Args:
        pattern: one of `PATTERNS`.
        n_codebooks: K.
        n_frames: of every item, 1 or more.
    """
    parts = {n: PATTERNS[pattern](n_codebooks, n) for n in set(n_frames)}
    target, source, time, end = zip(*(parts[n] for n in n_frames), strict=True)
    return Layout(_stacked(target, -1), _stacked(source, -1), _stacked(time, 0), torch.tensor(end))


def to_steps(codes: Tensor, frames: Tensor, none: int) -> Tensor:
    """Codes [B, K, N] at the `target` or `source` [B, K, S] of their layout; `none` where there is none."""
    return codes.gather(2, frames.clamp_min(0)).where(frames >= 0, none)


def to_codes(steps: Tensor, target: Tensor, n_frames: int, none: int) -> Tensor:
    """The inverse of `to_steps` of targets: [B, K, S] -> [B, K, n_frames]; `none` beyond an item's end."""
    codes = steps.new_full((*steps.shape[:2], n_frames + 1), none)
    return codes.scatter_(2, target.where(target >= 0, n_frames), steps)[..., :n_frames]


def made_at(target: Tensor, n_frames: int) -> Tensor:
    """The step that predicts each code: [B, K, S] -> [B, K, n_frames]; -1 for frames beyond an item's end."""
    steps = torch.arange(target.shape[2], device=target.device).expand(target.shape)
    return to_codes(steps, target, n_frames, -1)


def _lagged(lags: Tensor, n_frames: int) -> Parts:
    """Stream k `lags[k]` steps behind."""
    time = torch.arange(max(n_frames + int(lags.max()), n_frames + 1))
    frame = time - lags.unsqueeze(1)
    target = torch.where((frame >= 0) & (frame < n_frames), frame, -1)
    return target, _earlier(target), time, n_frames


def _earlier(target: Tensor) -> Tensor:
    """What enters when each step sees what the step before it predicted."""
    return F.pad(target, (1, -1), value=-1)


def _stacked(items: Sequence[Tensor], value: int) -> Tensor:
    """One batch, padded with `value` after the last step."""
    steps = max(item.shape[-1] for item in items)
    return torch.stack([F.pad(item, (0, steps - item.shape[-1]), value=value) for item in items])
