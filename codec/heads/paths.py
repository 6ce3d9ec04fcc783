"""Ways through a recording whose transcript is known: the best one, and the sum over all.

A chain lists the states that a recording passes from left to right, a symbol each. A state lasts a frame or
more; those that are optional may be left out. Two chains are built here:

- `ctc_chain`: a blank may stand before, between and after the labels (Graves et al. 2006);
- `word_chain`: the phones of a word follow each other without gap, silence may stand around words.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

GAP = 0  # the symbol of optional states: blank or silence


class Chain(NamedTuple):
    """`symbols` of the states, which begin and end with an optional `GAP`; `skips`: whether the state may
    follow the one before the last, which then is left out."""

    symbols: list[int]
    skips: list[bool]

    @property
    def least(self) -> int:
        """Frames that the shortest way takes."""
        return len(self.skips) - sum(self.skips) - 1


class Chains(NamedTuple):
    """Chains of a batch, padded: `symbols` int64 [B, S], `skips` bool [B, S], `sizes` int64 [B]."""

    symbols: Tensor
    skips: Tensor
    sizes: Tensor


def ctc_chain(labels: Sequence[int]) -> Chain:
    """The states of CTC for labels above 0."""
    symbols, skips = [GAP], [False]
    for place, label in enumerate(labels):
        symbols += [label, GAP]
        skips += [place == 0 or labels[place - 1] != label, False]
    return Chain(symbols, skips)


def word_chain(words: Sequence[Sequence[int]]) -> Chain:
    """Words of phones above 0, with silence around them where there is any."""
    symbols, skips = [GAP], [False]
    for word in words:
        symbols += [*word, GAP]
        skips += [True, *[False] * len(word)]
    return Chain(symbols, skips)


def stack(chains: Sequence[Chain], device: torch.device | str = "cpu") -> Chains:
    """Chains of several recordings as one batch; each has a label at least."""
    assert all(len(chain.symbols) >= 3 for chain in chains)
    size = max(len(chain.symbols) for chain in chains)
    symbols = [chain.symbols + [GAP] * (size - len(chain.symbols)) for chain in chains]
    skips = [chain.skips + [False] * (size - len(chain.skips)) for chain in chains]
    sizes = [len(chain.symbols) for chain in chains]
    return Chains(
        torch.tensor(symbols, device=device),
        torch.tensor(skips, device=device),
        torch.tensor(sizes, device=device),
    )


class Best(NamedTuple):
    """`states` int64 [B, N] on the CPU, the place in the chain for every frame (the last one repeated where
    an item has ended); `score` float [B]: sum of the log-scores on the way, -inf where there is no way."""

    states: Tensor
    score: Tensor


def best_path(scores: Tensor, lengths: Tensor, chains: Chains) -> Best:
    """The way of the highest score through every item of a batch, exactly (Viterbi 1967).

    Args:
        scores: log-scores of the symbols, float [B, N, V].
        lengths: frames of each item, [B], 1 to N.
        chains: of each item.
    """
    _, frames, _ = scores.shape
    forbidden = ~chains.skips
    total = _start(scores, chains)
    moves = torch.zeros(frames, *chains.symbols.shape, dtype=torch.uint8, device=scores.device)
    for t in range(1, frames):
        before, skipped = _from_left(total, forbidden)
        reached, moves[t] = torch.stack([total, before, skipped]).max(0)
        reached = reached + scores[:, t].gather(1, chains.symbols)
        total = torch.where((t < lengths)[:, None], reached, total)
    ends = torch.stack([chains.sizes - 1, chains.sizes - 2], 1)
    score, last = total.gather(1, ends).max(1)
    place = (chains.sizes - 1 - last).cpu()
    moves, until, items = moves.cpu(), lengths.cpu(), torch.arange(len(place))
    states = torch.empty(len(place), frames, dtype=torch.int64)
    for t in range(frames - 1, -1, -1):
        states[:, t] = place
        place = torch.where(t < until, place - moves[t, items, place].long(), place)
    return Best(states, score)


class Sum(NamedTuple):
    """`occupancy` float [B, N, V]: probability that a frame is spent in a symbol, given the chain; zeros
    after the end of an item, and for items without a way. `score` float [B]: log of the sum over all ways."""

    occupancy: Tensor
    score: Tensor


def all_paths(scores: Tensor, lengths: Tensor, chains: Chains) -> Sum:
    """The sum over all ways (forward-backward), without gradient.

    The gradient of `score` with respect to `scores` is `occupancy` (Fisher's identity), so
    `-(occupancy * scores).sum()` has the gradient of the negative log-likelihood.

    Args:
        scores, lengths, chains: as `best_path`.
    """
    with torch.no_grad():
        batch, frames, _ = scores.shape
        exact = scores.double()
        forbidden = ~chains.skips
        forward = [_start(exact, chains)]
        for t in range(1, frames):
            reached = torch.stack([forward[-1], *_from_left(forward[-1], forbidden)]).logsumexp(0)
            forward.append(reached + exact[:, t].gather(1, chains.symbols))
        place = torch.arange(chains.symbols.shape[1], device=scores.device)
        from_end = chains.sizes[:, None] - 1 - place
        final = torch.where((from_end == 0) | (from_end == 1), 0.0, -torch.inf).double()
        total = torch.stack(forward, 1)
        score = total[torch.arange(batch), lengths - 1].add(final).logsumexp(1)
        backward, left = [final], F.pad(forbidden, (0, 2), value=True)[:, 2:]
        for t in range(frames - 1, 0, -1):
            ahead = backward[-1] + exact[:, t].gather(1, chains.symbols)
            stepped = F.pad(ahead, (0, 1), value=-torch.inf)[:, 1:]
            skipped = F.pad(ahead, (0, 2), value=-torch.inf)[:, 2:].masked_fill(left, -torch.inf)
            reached = torch.stack([ahead, stepped, skipped]).logsumexp(0)
            backward.append(torch.where((t < lengths)[:, None], reached, final))
        shares = (total + torch.stack(backward[::-1], 1) - score[:, None, None]).exp()
        inside = torch.arange(frames, device=scores.device) < lengths[:, None]
        shares = shares.masked_fill(~(inside & score.isfinite()[:, None])[:, :, None], 0.0)
        symbols = chains.symbols[:, None].expand(-1, frames, -1)
        occupancy = torch.zeros_like(exact).scatter_add_(2, symbols, shares)
    return Sum(occupancy.to(scores.dtype), score.to(scores.dtype))


def _start(scores: Tensor, chains: Chains) -> Tensor:
    """Scores [B, S] after the first frame: in the first state, or in the second, the first left out."""
    place = torch.arange(chains.symbols.shape[1], device=scores.device)
    return scores[:, 0].gather(1, chains.symbols).masked_fill(place > 1, -torch.inf)


def _from_left(total: Tensor, forbidden: Tensor) -> tuple[Tensor, Tensor]:
    """Scores of coming from the state before, and from the one before that."""
    before = F.pad(total, (1, 0), value=-torch.inf)[:, :-1]
    return before, F.pad(total, (2, 0), value=-torch.inf)[:, :-2].masked_fill(forbidden, -torch.inf)
