"""Making codes step by step with a cache of keys and values.

All items of a batch start at step 0, and where an item's prompt gives a code, that code is kept: unequal
prompts need neither padding nor shifted positions, and an item is computed as if it were alone. Steps whose
inputs are known at the same time are computed at once: the prompt, and the levels of `patterns.levels`.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from . import patterns
from .condition import UNKNOWN, Condition
from .int8 import Int8Network
from .layers import rotation
from .network import Cache, LMNetwork
from .sampling import Sampling, sample, sample_again, uniforms

MOST_GUIDANCE = 100.0  # logits that are multiplied by more leave what float32 holds
BOTH = 2.0  # a scale of guidance that needs speech with and without its condition


class Frames(NamedTuple):
    """Frames that are complete: `codes` int64 [B, K, n]; `valid` bool [B, n], false where an item was still
    in its prompt or is over (its codes are 0 there)."""

    codes: Tensor
    valid: Tensor


class Plan(NamedTuple):
    """All that is known of a batch before its first code is made, on the network's device.

    Attributes:
        codes: [B, K, N + 1] prompts, then room; the last frame is "none" for good.
        source, target: [B, K, S] frames of codes that enter and are predicted; N for none.
        free: bool [B, K, S], codes to be made.
        end_forbidden: bool [B, S, K], where "none" must not be drawn.
        blocks: first step, one past the last, and how many at its end hold codes to be made.
        done: per frame, one past the step in which it is complete in all items.
        n_steps: that each item takes when it is alone.
    """

    codes: Tensor
    source: Tensor
    target: Tensor
    free: Tensor
    end_forbidden: Tensor
    blocks: list[tuple[int, int, int]]
    done: list[int]
    n_steps: list[int]


def plan(
    layout: patterns.Layout,
    none: int,
    prompts: Sequence[Tensor],
    n_frames: Sequence[int],
    at_least: Sequence[int] | None,
) -> Plan:
    """Prompts and lengths as in `generate`; `layout` is that of the lengths."""
    longest = max(n_frames)
    codes = torch.full((len(prompts), len(prompts[0]), longest + 1), none)
    for row, prompt in zip(codes, prompts, strict=True):
        row[:, : prompt.shape[1]] = prompt
    given = torch.tensor([prompt.shape[1] for prompt in prompts]).view(-1, 1, 1)
    free = layout.target >= given
    end_forbidden = torch.ones_like(free)
    if at_least is not None:
        end_forbidden[:, 0] = layout.target[:, 0] < torch.tensor(at_least).unsqueeze(1)

    made = patterns.made_at(layout.target, longest)
    n_steps = (made.amax((1, 2)) + 1).tolist()
    made = made.masked_fill(torch.arange(longest) < given, -1)
    done = (made.amax((0, 1)) + 1).cummax(0).values.tolist()
    needed = (patterns.to_steps(made, layout.source, -1).amax((0, 1)) + 1).tolist()
    making = free.any(0).any(0).tolist()
    end = max((step + 1 for step, makes in enumerate(making) if makes), default=0)
    blocks, first = [], 0
    while first < end:
        last = first + 1
        while last < end and needed[last] <= first:  # it waits for no code of this block
            last += 1
        made_here = [step for step in range(first, last) if making[step]]
        blocks.append((first, last, last - made_here[0] if made_here else 0))
        first = last

    def real(frames: Tensor) -> Tensor:
        return frames.where(frames >= 0, longest)

    source, target = real(layout.source), real(layout.target)
    return Plan(codes, source, target, free, end_forbidden.transpose(1, 2), blocks, done, n_steps)


@torch.inference_mode()
def generate(
    network: LMNetwork | Int8Network,
    prompts: Sequence[Tensor],
    n_frames: Sequence[int],
    condition: Condition,
    sampling: Sampling,
    generators: Sequence[torch.Generator],
    guidance: float = 1.0,
    at_least: Sequence[int] | None = None,
    memory: Tensor | None = None,
) -> Iterator[Frames]:
    """Frames as soon as all their codes are made.

    Args:
        network: in evaluation mode.
        prompts: [K, P] int64 codes per item that the speech begins with, P from 0; they are not given back.
        n_frames: of every item, prompt included: exactly so many, or at most with `at_least`.
        condition: of the items, prompts included.
        sampling: how codes are drawn.
        generators: one for each item.
        guidance: scale of classifier-free guidance (Ho and Salimans 2022) towards the condition: 1 for none,
            0 for speech without text, 1.5 to 3 for more distinct speech.
        at_least: frames of every item, prompt included, before which it must not end by itself.
        memory: of the prompt that all items have in common, from `read`: it is not computed again.

    Yields:
        The frames after the shortest prompt, in order, as inference tensors.
    """
    config, device = network.config, network.tables.device
    layout = patterns.layout(config.pattern, config.n_codebooks, n_frames)
    steps = plan(layout, config.none, prompts, n_frames, at_least)
    codes, source, target, free, end_forbidden = (x.to(device) for x in steps[:5])
    given = torch.tensor([prompt.shape[1] for prompt in prompts], device=device)
    length = torch.tensor(n_frames, device=device)
    longest, complete = max(n_frames), int(given.min())
    batch, width = len(prompts), layout.time.shape[1]
    random = uniforms(generators, steps.n_steps, config.n_codebooks).to(device)
    past = torch.arange(sampling.repetition_window, 0, -1, device=device)

    conditions = _conditions(network, layout.time.to(device), condition, guidance)
    rows = len(conditions) // batch  # 2 with guidance: conditioned, then not
    turn = rotation(layout.time.to(device), config.head_dim).repeat(1, rows, 1, 1, 1)
    cache = Cache(config, len(conditions), width, network.tables)
    if memory is not None:
        cache.recall(memory[:, :, _wanted(guidance)].repeat_interleave(batch, 2))
    for first, last, making in steps.blocks:
        first = max(first, cache.length)
        if first >= last:
            continue
        tokens = codes.gather(2, source[:, :, first:last]).repeat(rows, 1, 1)
        now = slice(first, last)
        logits = network.step(tokens, conditions[:, now], turn[..., now, :], cache, making)
        if making:
            now = slice(last - making, last)
            if rows == 2:
                conditioned, free_speech = logits.chunk(2)
                logits = torch.lerp(free_speech, conditioned, guidance)
            logits[:, :, 1:] /= sampling.fine_temperature
            logits[..., config.none].masked_fill_(end_forbidden[:, now], -torch.inf)
            drawn = sample(logits, random[:, now, :, 0], sampling).transpose(1, 2)
            slots, mine = target[:, :, now], free[:, :, now]
            if len(past):
                before = slots[:, 0, -1:] - past
                history = codes[:, 0].gather(1, before.where(before >= 0, longest))
                drawn[:, 0, -1] = sample_again(
                    drawn[:, 0, -1], history, logits[:, -1, 0], random[:, last - 1, 0, 1], sampling
                )
            codes.scatter_(2, slots, drawn.where(mine, codes.gather(2, slots)))
            if at_least is not None:
                over = mine[:, 0, -1] & (drawn[:, 0, -1] == config.none)
                if over.any():
                    length = torch.where(over, slots[:, 0, -1], length)
                    longest = int(length.max())
                    free &= target < length.view(-1, 1, 1)
        start = complete
        while complete < longest and steps.done[complete] <= last:
            complete += 1
        if complete > start:
            frame = torch.arange(start, complete, device=device)
            valid = (frame >= given.unsqueeze(1)) & (frame < length.unsqueeze(1))
            yield Frames(codes[:, :, start:complete].where(valid.unsqueeze(1), 0), valid)
        if complete >= longest:
            return


@torch.inference_mode()
def read(network: LMNetwork | Int8Network, prompt: Tensor, condition: Condition) -> Tensor:
    """Keys and values of a prompt [K, P], [2, layers, 2, heads, steps, head_dim]: with its condition, and
    without, as guidance needs them. No steps where the pattern orders them by the length of what follows.

    Args:
        network: in evaluation mode.
        prompt: its codes.
        condition: of the prompt alone, one item.
    """
    config, device = network.config, network.tables.device
    n_frames = prompt.shape[1]
    if not n_frames or config.pattern not in patterns.STREAMABLE:
        return Cache(config, 2, 0, network.tables).whole
    layout = patterns.layout(config.pattern, config.n_codebooks, [n_frames])
    time = layout.time[:, layout.time[0] < n_frames].to(device)
    steps = time.shape[1]
    tokens = patterns.to_steps(prompt[None], layout.source[:, :, :steps], config.none).to(device)
    conditions = _conditions(network, time, condition, BOTH)
    cache = Cache(config, 2, steps, network.tables)
    turn = rotation(time, config.head_dim).repeat(1, 2, 1, 1, 1)
    network.step(tokens.repeat(2, 1, 1), conditions, turn, cache)
    return cache.whole


def collect(generated: Iterator[Frames], batch: int, n_codebooks: int) -> list[Tensor]:
    """All frames that were made of each item, [K, n]."""
    parts = [Frames(torch.zeros(batch, n_codebooks, 0, dtype=torch.int64), torch.zeros(batch, 0).bool())]
    parts += [Frames(frames.codes.cpu(), frames.valid.cpu()) for frames in generated]
    codes, valid = (torch.cat(part, -1) for part in zip(*parts, strict=True))
    return [item[:, made] for item, made in zip(codes, valid, strict=True)]


def _conditions(
    network: LMNetwork | Int8Network, time: Tensor, condition: Condition, guidance: float
) -> Tensor:
    """[B, S, dim], or [2 B, S, dim] with guidance: items with their condition, then the same without.

    Each item is encoded without the padding that others need, which would move the last bits of the sums: a
    network in 8 bits rounds them to other numbers, and another code is drawn.
    """
    parts: list[Tensor] = []
    for kind in _wanted(guidance):
        if kind:
            parts.append(network.conditioner(time, Condition()))
        else:
            parts += [network.conditioner(one[None], _alone(condition, i)) for i, one in enumerate(time)]
    return torch.cat(parts)


def _alone(condition: Condition, item: int) -> Condition:
    """The condition of one item, without padding."""
    own = Condition(*(None if x is None else x[item : item + 1] for x in condition))
    if own.phonemes is None or own.durations is None:
        return own
    told = ((own.phonemes[0] != UNKNOWN) | (own.durations[0] > 0)).nonzero()
    n = int(told[-1]) + 1 if len(told) else 1
    return own._replace(phonemes=own.phonemes[:, :n], durations=own.durations[:, :n])


def _wanted(guidance: float) -> list[int]:
    """Which distributions a scale of guidance mixes: 0 for that with the condition, 1 for that without."""
    return {1.0: [0], 0.0: [1]}.get(guidance, [0, 1])
