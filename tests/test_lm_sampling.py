"""Sampling: the exact distributions of temperature, top-k and top-p, by quantiles instead of by chance."""

import pytest
import torch

from mynah.lm import Sampling
from mynah.lm.sampling import sample, sample_again, uniforms

LOGITS = torch.tensor([0.3, 2.0, -1.0, 1.1, 0.0, 1.9, -torch.inf])
GRID = 20000  # uniform numbers in even steps: shares are exact to one step


def shares(logits: torch.Tensor, options: Sampling) -> torch.Tensor:
    """How often each token is drawn over all uniform numbers."""
    uniform = (torch.arange(GRID) + 0.5) / GRID
    tokens = sample(logits.expand(GRID, -1), uniform, options)
    return torch.bincount(tokens, minlength=len(logits)) / GRID


def reference(logits: torch.Tensor, options: Sampling) -> torch.Tensor:
    """The distribution, token by token, as the papers describe it."""
    p = {i: float(x) for i, x in enumerate((logits / options.temperature).softmax(0))}
    best = sorted(p, key=lambda i: -p[i])[: options.top_k or None]
    total = sum(p[i] for i in best)
    kept, mass = [], 0.0
    for i in best:
        if mass >= options.top_p:
            break
        kept.append(i)
        mass += p[i] / total
    total = sum(p[i] for i in kept)
    return torch.tensor([p[i] / total if i in kept else 0.0 for i in range(len(logits))])


@pytest.mark.parametrize("temperature", [0.5, 1.0, 1.7])
@pytest.mark.parametrize("top_k", [0, 1, 2, 4, 100])
@pytest.mark.parametrize("top_p", [1.0, 0.9, 0.5, 0.3, 1e-6])
def test_distributions(temperature, top_k, top_p):
    options = Sampling(temperature, top_k, top_p)
    assert torch.allclose(shares(LOGITS, options), reference(LOGITS, options), atol=2 / GRID)


def test_a_nucleus_that_is_full_takes_no_more():
    """Four equal codes of which two are exactly half."""
    assert (shares(torch.zeros(4), Sampling(top_k=0, top_p=0.5)) > 0).sum() == 2


def test_zero_temperature_takes_the_likeliest():
    assert sample(LOGITS, torch.tensor(0.999), Sampling(temperature=0)) == 1


def test_the_largest_uniform_number_stays_inside():
    uniform = torch.full((1000,), 1 - 2**-24)
    logits = torch.randn(1000, 50, generator=torch.Generator().manual_seed(0))
    for options in (Sampling(top_k=7), Sampling(top_k=0, top_p=1.0), Sampling(top_k=0, top_p=0.6)):
        tokens = sample(logits, uniform, options)
        kept = torch.stack([reference(row, options) > 0 for row in logits[:50]])
        assert kept.gather(1, tokens[:50, None]).all()


def test_shapes_are_free():
    logits, uniform = torch.randn(2, 4, 3, 9), torch.rand(2, 4, 3)
    tokens = sample(logits, uniform, Sampling())
    assert tokens.shape == (2, 4, 3)
    assert tokens[1, 2, 0] == sample(logits[1, 2, 0], uniform[1, 2, 0], Sampling())


def test_repetition_aware_sampling_draws_again_from_all():
    options = Sampling(top_k=1, repetition_window=10, repetition_threshold=0.2)
    logits = LOGITS.expand(GRID, -1)
    uniform = (torch.arange(GRID) + 0.5) / GRID
    drawn = sample(logits, uniform, options)
    assert (drawn == 1).all()
    twice, thrice = torch.full((2, GRID, 10), 4)
    twice[:, :2], thrice[:, 3:6] = 1, 1
    assert (sample_again(drawn, twice, logits, uniform, options) == 1).all()
    again = sample_again(drawn, thrice, logits, uniform, options)
    everything = reference(LOGITS, Sampling(top_k=0, top_p=1.0))
    assert torch.allclose(torch.bincount(again, minlength=7) / GRID, everything, atol=2 / GRID)
    greedy = Sampling(temperature=0, repetition_window=10)
    assert (sample_again(drawn, thrice, logits, uniform, greedy) == 1).all()


def test_uniform_numbers_are_an_items_own():
    def generators() -> list[torch.Generator]:
        return [torch.Generator().manual_seed(seed) for seed in (5, 6)]

    both = uniforms(generators(), [30, 7], 4)
    assert both.shape == (2, 30, 4, 2)
    assert torch.equal(both[1:, :7], uniforms(generators()[1:], [7], 4))
    first, second = generators(), generators()[1:]
    uniforms(first, [30, 7], 4)
    uniforms(second, [7], 4)  # and what it draws next is the same too
    assert torch.equal(first[1].get_state(), second[0].get_state())
    assert 0 <= float(both.min()) <= float(both.max()) < 1


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"temperature": -0.1}, "temperature=-0.1"),
        ({"temperature": float("nan")}, "temperature=nan"),
        ({"temperature": float("inf")}, "temperature=inf"),
        ({"fine_temperature": 0}, "fine_temperature=0"),
        ({"top_p": 0}, "top_p=0"),
        ({"top_p": 1.1}, "top_p=1.1"),
        ({"top_k": -1}, "top_k=-1"),
        ({"top_k": 2.5}, "top_k=2.5"),
        ({"repetition_window": -1}, "repetition_window=-1"),
        ({"repetition_threshold": 2}, "repetition_threshold=2"),
    ],
)
def test_wrong_options(changes, named):
    with pytest.raises(ValueError, match=named):
        Sampling(**changes)
