"""The residual quantizer: its start, how it learns, what it gives back, and its gradients."""

import copy
from itertools import pairwise

import pytest
import torch

from mynah.codec.quantizer import ResidualQuantizer

BOOKS, SIZE, DIM = 4, 32, 6


def latents(count: int, seed: int = 0) -> torch.Tensor:
    """Vectors around a few hundred random centres: what codebooks can learn."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(200, DIM, generator=torch.Generator().manual_seed(99))
    chosen = torch.randint(200, (count,), generator=generator)
    return centres[chosen] + 0.1 * torch.randn(count, DIM, generator=generator)


def errors(quantizer: ResidualQuantizer, x: torch.Tensor) -> list[float]:
    """Mean squared error of x [M, D] after 1, 2 ... codebooks."""
    codes = quantizer.encode(x[None], BOOKS)
    return [float(((quantizer.decode(codes[:, : k + 1])[0] - x) ** 2).mean()) for k in range(BOOKS)]


@pytest.fixture(scope="module")
def kmeans_start() -> ResidualQuantizer:
    quantizer = ResidualQuantizer(BOOKS, SIZE, DIM)
    quantizer.kmeans(latents(4000), torch.Generator().manual_seed(0))
    return quantizer


@pytest.fixture
def started(kmeans_start) -> ResidualQuantizer:
    return copy.deepcopy(kmeans_start)


def test_kmeans_beats_a_random_start(started):
    random = ResidualQuantizer(BOOKS, SIZE, DIM)
    residual = latents(4000)
    for codebook in random.codebooks:  # entries drawn from the residuals, as k-means' own beginning
        chosen = torch.randperm(len(residual), generator=torch.Generator().manual_seed(1))[:SIZE]
        codebook.copy_(residual[chosen])
        residual = residual - codebook[random.nearest(residual, codebook)]
    fresh = latents(2000, seed=5)
    for mine, drawn in zip(errors(started, fresh), errors(random, fresh), strict=True):
        assert mine < 0.9 * drawn


def test_kmeans_finds_the_clusters_and_counts_them():
    centres = 10 * torch.randn(8, DIM, generator=torch.Generator().manual_seed(0))
    members = torch.arange(800) % 8
    x = centres[members] + 0.01 * torch.randn(800, DIM, generator=torch.Generator().manual_seed(1))
    quantizer = ResidualQuantizer(1, 16, DIM)  # twice as many entries: none of the clusters is left out
    quantizer.kmeans(x, torch.Generator().manual_seed(0), 20)
    assert torch.cdist(centres, quantizer.codebooks[0]).amin(1).max() < 0.05
    assert quantizer.counts.sum() == 800


def test_kmeans_refills_empty_clusters_with_latents():
    """With fewer distinct latents than entries, entries are left over; none may stay behind at zero."""
    distinct = 5 + torch.arange(4.0).view(4, 1).expand(4, DIM)
    quantizer = ResidualQuantizer(1, 16, DIM)
    quantizer.kmeans(distinct.repeat(20, 1), torch.Generator().manual_seed(0))
    assert torch.cdist(quantizer.codebooks[0], distinct).amin(1).max() < 1e-3


def test_kmeans_refuses_too_few_latents():
    with pytest.raises(ValueError, match="31 latents cannot start a codebook of 32"):
        ResidualQuantizer(BOOKS, SIZE, DIM).kmeans(latents(31), torch.Generator())


def test_each_further_codebook_lowers_the_error(started):
    values = errors(started, latents(2000, seed=5))
    for before, after in pairwise(values):
        assert after < 0.8 * before


def test_nearest_is_nearest(started):
    x = latents(300, seed=3)
    brute = torch.cdist(x.double(), started.codebooks[0].double()).argmin(1)
    assert torch.equal(started.nearest(x, started.codebooks[0]), brute)


def test_moving_averages_converge_to_the_means_of_the_members():
    """With two fixed clusters, each entry ends at its cluster's mean and its count at the cluster's size."""
    quantizer = ResidualQuantizer(1, 2, DIM, decay=0.9)
    means = torch.stack([torch.full((DIM,), -1.0), torch.full((DIM,), 2.0)])
    x = torch.cat([means[:1].expand(30, -1), means[1:].expand(10, -1)])
    x = x + torch.tensor([-0.1, 0.1]).repeat(20).unsqueeze(1)
    quantizer.codebooks[0].copy_(means + 0.5)
    for _ in range(200):
        quantizer(x[None], torch.tensor([1]))
    assert torch.allclose(quantizer.codebooks[0], means, atol=1e-4)
    assert torch.allclose(quantizer.counts[0], torch.tensor([30.0, 10.0]), atol=1e-2)


def test_one_step_of_the_moving_averages():
    """entry <- (decay * count * entry + (1 - decay) * sum of members) / new count."""
    quantizer = ResidualQuantizer(1, 2, 1, decay=0.75)
    quantizer.codebooks[0].copy_(torch.tensor([[0.0], [10.0]]))
    quantizer.counts[0].copy_(torch.tensor([4.0, 2.0]))
    quantizer(torch.tensor([[[1.0], [2.0], [9.0]]]), torch.tensor([1]))
    assert torch.allclose(quantizer.counts[0], torch.tensor([3.5, 1.75]))
    expected = torch.tensor([[0.25 * 3.0 / 3.5], [(0.75 * 2 * 10 + 0.25 * 9) / 1.75]])
    assert torch.allclose(quantizer.codebooks[0], expected)


def test_dead_codes_are_revived(started):
    started.codebooks[0, :5] = 1e3  # nobody's nearest
    started.counts[0, :5] = 0.0
    x = latents(512, seed=4)[None]
    started(x, torch.tensor([BOOKS]), torch.Generator().manual_seed(0))
    assert started.codebooks[0, :5].abs().max() < 1e2
    same = (started.codebooks[0, :5].unsqueeze(1) == x).all(-1)
    assert same.any(1).all()  # each is a vector of the batch
    assert torch.equal(started.counts[0, :5], torch.full((5,), 512 / SIZE))


def test_a_living_code_is_left_alone(started):
    before = started.codebooks.clone()
    for i in range(5):
        started(latents(1024, seed=i)[None], torch.tensor([BOOKS]))
    assert (started.codebooks - before).norm() < 0.1 * before.norm()


def test_evaluation_learns_nothing(started):
    before = {k: v.clone() for k, v in started.state_dict().items()}
    started.eval()(latents(512, seed=4)[None], torch.tensor([BOOKS]))
    assert all(torch.equal(v, before[k]) for k, v in started.state_dict().items())


def test_encode_and_decode_agree_with_forward(started):
    x = latents(60, seed=2).view(3, 20, DIM)
    active = torch.tensor([1, 2, BOOKS])
    quantized = started.eval()(x, active)
    codes = started.encode(x, BOOKS)
    assert torch.equal(quantized.codes, codes)
    assert codes.shape == (3, BOOKS, 20)
    for item, count in enumerate(active.tolist()):
        decoded = started.decode(codes[item : item + 1, :count])
        assert torch.allclose(quantized.latent[item], decoded[0], atol=1e-6)
        assert torch.equal(started.encode(x[item : item + 1], count), codes[item : item + 1, :count])


def test_a_number_beyond_the_codebooks_leaves_an_item_as_it_is(started):
    x = latents(40, seed=2).view(2, 20, DIM)
    before = started.codebooks.clone()
    quantized = started.train()(x, torch.tensor([1, BOOKS + 1]))
    assert torch.equal(quantized.latent[1], x[1])
    assert not torch.allclose(quantized.latent[0], x[0], atol=1e-2)
    assert not torch.equal(started.codebooks, before)  # the codebooks learn from it nonetheless


def test_more_paths_find_nearer_codes(started):
    x = latents(400, seed=3)[None]
    found = [started.decode(started.encode(x, BOOKS, paths)) for paths in (1, 2, 8)]
    one, two, eight = (float((y - x).square().mean()) for y in found)
    assert eight < two < one
    x = x[:, :40]
    pairs = started.codebooks[0].unsqueeze(1) + started.codebooks[1]
    nearest = torch.cdist(x[0], pairs.flatten(0, 1)).argmin(1)
    codes = started.encode(x, 2, SIZE)[0]
    assert torch.equal(codes[0] * SIZE + codes[1], nearest)  # with all paths nothing is overlooked


def test_a_search_that_stops_gives_the_codes_of_fewer_codebooks(started):
    x = latents(200, seed=3).view(2, 100, DIM)
    whole = started.encode(x, BOOKS, 4, stops=(1, 3))
    assert torch.equal(whole[:, :1], started.encode(x, 1))
    assert torch.equal(whole[:, :3], started.encode(x, 3, 4, stops=(1,)))
    assert not torch.equal(whole, started.encode(x, BOOKS, 4))
    assert torch.equal(whole[1:], started.encode(x[1:], BOOKS, 4, stops=(1, 3)))


def test_straight_through_gradient_is_the_identity(started):
    x = latents(40, seed=2).view(2, 20, DIM).requires_grad_()
    weight = torch.randn(2, 20, DIM)
    (started.eval()(x, torch.tensor([2, 4])).latent * weight).sum().backward()
    assert torch.allclose(x.grad, weight)


def test_commitment_is_zero_at_equality_and_pulls_towards_the_codebook(started):
    on_codes = started.codebooks[0][torch.arange(10)][None]
    quantized = started.eval()(on_codes, torch.tensor([1]))
    assert float(quantized.commitment) == pytest.approx(0, abs=1e-12)
    x = (on_codes + 0.01).requires_grad_()
    commitment = started(x, torch.tensor([1])).commitment
    assert commitment.item() == pytest.approx(1e-4, rel=1e-2)
    commitment.backward()
    assert torch.allclose(x.grad, torch.full_like(x, 2 * 0.01 / x.numel()), rtol=1e-2)


def test_commitment_counts_only_the_codebooks_in_use(started):
    x = latents(40, seed=2)[None]
    started.eval()
    one, all_ = (float(started(x, torch.tensor([k])).commitment) for k in (1, BOOKS))
    assert one == pytest.approx(errors(started, x[0])[0], rel=1e-4)
    assert all_ == pytest.approx(sum(errors(started, x[0])), rel=1e-4)
