"""Ways through a transcript: the best and the sum of all, against every way written out."""

import importlib
import itertools

import pytest
import torch

from mynah.codec.heads.paths import Chain, all_paths, best_path, ctc_chain, stack, word_chain

CHAINS = {
    "ctc": ctc_chain([1, 2, 2, 3]),
    "ctc of one label": ctc_chain([3]),
    "words": word_chain([[1, 2], [2], [3]]),
    "a word": word_chain([[2, 1]]),
}


def every_way(chain: Chain, frames: int) -> list[tuple[int, ...]]:
    """All sequences of states that pass the chain in so many frames."""
    last = len(chain.symbols) - 1

    def allowed(way: tuple[int, ...]) -> bool:
        steps = all(b - a in (0, 1) or (b - a == 2 and chain.skips[b]) for a, b in itertools.pairwise(way))
        return steps and way[0] in (0, 1) and way[-1] in (last, last - 1)

    return [way for way in itertools.product(range(last + 1), repeat=frames) if allowed(way)]


def scores(batch: int, frames: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, frames, 4, generator=generator).log_softmax(-1)


@pytest.mark.parametrize("name", CHAINS)
@pytest.mark.parametrize("frames", [5, 6])
def test_equal_every_way_written_out(name, frames):
    chain, x = CHAINS[name], scores(1, frames)
    lengths, chains = torch.tensor([frames]), stack([chain])
    ways = every_way(chain, frames)
    totals = torch.tensor(
        [sum(float(x[0, t, chain.symbols[s]]) for t, s in enumerate(way)) for way in ways]
    ).double()
    best = best_path(x, lengths, chains)
    assert tuple(best.states[0].tolist()) == ways[int(totals.argmax())]
    torch.testing.assert_close(best.score[0].double(), totals.max(), rtol=0, atol=1e-5)
    summed = all_paths(x, lengths, chains)
    torch.testing.assert_close(summed.score[0].double(), totals.logsumexp(0), rtol=0, atol=1e-5)
    shares = torch.zeros(frames, 4).double()
    for way, share in zip(ways, (totals - totals.logsumexp(0)).exp(), strict=True):
        for t, s in enumerate(way):
            shares[t, chain.symbols[s]] += share
    torch.testing.assert_close(summed.occupancy[0].double(), shares, rtol=0, atol=1e-5)


def test_the_sum_over_ctc_chains_is_torchs_ctc_loss_with_its_gradient():
    labels, lengths = [[1, 2, 2, 3], [3], [1, 3]], torch.tensor([9, 12, 4])
    x = scores(3, 12).requires_grad_()
    loss = torch.nn.functional.ctc_loss(
        x.transpose(0, 1),
        torch.tensor([label for own in labels for label in own]),
        lengths,
        torch.tensor([len(own) for own in labels]),
        reduction="sum",
    )
    summed = all_paths(x.detach(), lengths, stack([ctc_chain(own) for own in labels]))
    torch.testing.assert_close(-summed.score.sum(), loss)
    # The gradient through log_softmax, which torch's is defined after.
    raw = x.detach().clone().requires_grad_()
    own = -(summed.occupancy * raw.log_softmax(-1)).sum()
    (ours,) = torch.autograd.grad(own, raw)
    again = x.detach().clone().requires_grad_()
    theirs = torch.nn.functional.ctc_loss(
        again.log_softmax(-1).transpose(0, 1),
        torch.tensor([label for own in labels for label in own]),
        lengths,
        torch.tensor([len(item) for item in labels]),
        reduction="sum",
    )
    (expected,) = torch.autograd.grad(theirs, again)
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5)


def test_a_batch_equals_its_items():
    chains = list(CHAINS.values())
    x, lengths = scores(len(chains), 30, seed=1), torch.tensor([30, 7, 18, 2])
    best = best_path(x, lengths, stack(chains))
    summed = all_paths(x, lengths, stack(chains))
    for i, (chain, n) in enumerate(zip(chains, lengths.tolist(), strict=True)):
        single = x[i : i + 1, :n], torch.tensor([n]), stack([chain])
        assert torch.equal(best_path(*single).states[0], best.states[i, :n])
        torch.testing.assert_close(best_path(*single).score[0], best.score[i])
        torch.testing.assert_close(all_paths(*single).occupancy[0], summed.occupancy[i, :n])
        assert not summed.occupancy[i, n:].any()


def test_occupancies_add_up_to_a_symbol_a_frame():
    occupancy = all_paths(scores(2, 40), torch.tensor([40, 40]), stack([CHAINS["ctc"], CHAINS["words"]]))[0]
    torch.testing.assert_close(occupancy.sum(-1), torch.ones(2, 40))


@pytest.mark.parametrize(("chain", "least"), [(ctc_chain([1, 2, 2, 3]), 5), (word_chain([[1, 2], [2]]), 3)])
def test_too_few_frames_have_no_way(chain, least):
    assert chain.least == least
    for frames in (least - 1, least):
        x, lengths = scores(1, frames), torch.tensor([frames])
        assert bool(best_path(x, lengths, stack([chain])).score.isfinite()) == (frames == least)
        summed = all_paths(x, lengths, stack([chain]))
        assert bool(summed.score.isfinite()) == bool(summed.occupancy.any()) == (frames == least)
        assert bool(summed.occupancy.isfinite().all())


def test_silence_only_between_words():
    """Scores that favour silence everywhere find none inside a word."""
    x = torch.full((1, 20, 4), -5.0)
    x[..., 0] = 0.0
    chain = word_chain([[1, 2, 3], [3, 2]])
    states = best_path(x, torch.tensor([20]), stack([chain])).states[0]
    phones = [i for i, symbol in enumerate(chain.symbols) if symbol]
    assert [int((states == i).sum()) for i in phones] == [1] * 5
    assert bool((states[1:] >= states[:-1]).all())


def test_the_best_ctc_path_is_torchaudios():
    try:
        functional = importlib.import_module("torchaudio.functional")
    except (ImportError, OSError) as error:
        pytest.skip(f"torchaudio: {error}")
    labels = [1, 2, 2, 3, 1]
    x = scores(1, 25, seed=2)
    chain = ctc_chain(labels)
    states = best_path(x, torch.tensor([25]), stack([chain])).states[0]
    theirs, _ = functional.forced_align(x, torch.tensor([labels]), blank=0)
    assert torch.tensor(chain.symbols)[states].tolist() == theirs[0].tolist()
