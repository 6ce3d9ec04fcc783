"""The objective: cross-entropy against torch's own, masks, weights, noise and dropout; it can be learned."""

import dataclasses
import math

import pytest
import torch
import torch.nn.functional as F

from mynah.lm import LMConfig, patterns
from mynah.lm.condition import UNKNOWN, Condition
from mynah.lm.objective import Batch, Objective, with_dropout, with_noise

CONFIG = LMConfig(n_codebooks=3, codebook_size=20, dim=32, layers=1, head_dim=8, embedding_dim=8)
EVEN = Objective(stream_weights=(1.0, 1.0, 1.0))


class Answers(torch.nn.Module):
    """A network that gives these logits, and keeps what it was asked."""

    def __init__(self, logits: torch.Tensor):
        super().__init__()
        self.logits = logits

    def forward(self, tokens, time, condition):
        self.asked = tokens, time, condition
        return self.logits


def batch(n_frames: tuple[int, ...] = (6, 4), ended: tuple[bool, ...] = (True, False)) -> Batch:
    generator = torch.Generator().manual_seed(0)
    codes = torch.randint(20, (len(n_frames), 3, max(n_frames)), generator=generator)
    condition = Condition(torch.tensor([[1, 2], [2, 3]]), torch.tensor([[3, 3], [1, 3]]), torch.ones(2, 4))
    return Batch(codes, list(n_frames), torch.tensor(ended), condition)


def random_logits(pattern: str = "delay", n_frames: tuple[int, ...] = (6, 4)) -> torch.Tensor:
    steps = patterns.layout(pattern, 3, n_frames).time.shape[1]
    return torch.randn(2, steps, 3, 21, generator=torch.Generator().manual_seed(1)).requires_grad_()


@pytest.mark.parametrize("pattern", patterns.PATTERNS)
def test_cross_entropy_of_each_stream(pattern):
    """Code by code with torch's cross_entropy; the end counts in the first stream, where it is one."""
    config = dataclasses.replace(CONFIG, pattern=pattern)
    logits, given = random_logits(pattern), batch()
    loss = EVEN(Answers(logits), config, given)
    made = patterns.made_at(patterns.layout(pattern, 3, [6, 4]).target, 6)
    end = patterns.layout(pattern, 3, [6]).end[0]
    for k in range(3):
        terms = [
            F.cross_entropy(logits[b, made[b, k, n], k], given.codes[b, k, n])
            for b, frames in enumerate(given.n_frames)
            for n in range(frames)
        ]
        if k == 0:
            terms.append(F.cross_entropy(logits[0, end, 0], torch.tensor(20)))
        assert loss.nats[k] == pytest.approx(torch.stack(terms).mean().item(), rel=1e-5)
    assert loss.total.item() == pytest.approx(float(loss.nats.mean()), rel=1e-6)
    assert loss.bits_per_frame == pytest.approx(float(loss.nats.sum()) / math.log(2))


def test_only_labels_have_gradients():
    logits = random_logits()
    EVEN(Answers(logits), CONFIG, batch()).total.backward()
    learned = logits.grad.abs().sum(-1) > 0
    assert learned[0].T.int().tolist() == [
        [1, 1, 1, 1, 1, 1, 1, 0],
        [0, 1, 1, 1, 1, 1, 1, 0],
        [0, 0, 1, 1, 1, 1, 1, 1],
    ]
    assert learned[1].T.int().tolist() == [
        [1, 1, 1, 1, 0, 0, 0, 0],
        [0, 1, 1, 1, 1, 0, 0, 0],
        [0, 0, 1, 1, 1, 1, 0, 0],
    ]


def test_what_lies_beyond_an_item_has_no_effect():
    given = batch()
    other = given.codes.clone()
    other[1, :, 4:] = 7
    a, b = Answers(random_logits()), Answers(random_logits())
    losses = EVEN(a, CONFIG, given), EVEN(b, CONFIG, given._replace(codes=other))
    assert torch.equal(losses[0].total, losses[1].total)
    assert torch.equal(a.asked[0], b.asked[0])


def test_uniform_logits_are_worth_their_entropy():
    network = Answers(torch.zeros(2, 8, 3, 21))
    loss = EVEN(network, CONFIG, batch())
    assert torch.allclose(loss.nats, torch.full((3,), math.log(21)))
    z = dataclasses.replace(EVEN, z=0.5)(network, CONFIG, batch())
    assert float(z.total - loss.total) == pytest.approx(0.5 * math.log(21) ** 2, rel=1e-5)
    assert torch.equal(z.nats, loss.nats)


def test_stream_weights():
    network = Answers(random_logits())
    nats = EVEN(network, CONFIG, batch()).nats
    loss = Objective((3.0, 1.0, 0.0))(network, CONFIG, batch())
    assert loss.total.item() == pytest.approx(float(3 * nats[0] + nats[1]) / 4, rel=1e-6)


def test_disturbances_need_a_generator_and_leave_the_labels():
    objective = Objective((1.0, 1.0, 1.0), token_noise=1.0, phoneme_dropout=1.0, speaker_dropout=1.0)
    a, b = Answers(random_logits()), Answers(random_logits())
    plain = objective(a, CONFIG, batch())
    disturbed = objective(b, CONFIG, batch(), torch.Generator().manual_seed(0))
    assert torch.equal(plain.nats, disturbed.nats)
    assert not torch.equal(a.asked[0], b.asked[0])
    assert torch.equal(a.asked[0] == 20, b.asked[0] == 20)  # noise never makes or removes a "none"
    assert (b.asked[2].phonemes == UNKNOWN).all()
    assert not b.asked[2].speaker.any()
    assert torch.equal(a.asked[2].phonemes, batch().condition.phonemes)


def test_noise_and_dropout_have_the_given_probabilities():
    generator = torch.Generator().manual_seed(0)
    codes = torch.full((20, 5, 100), 3)
    noisy = with_noise(codes, 0.2, 1000, generator)
    assert float((noisy != codes).float().mean()) == pytest.approx(0.2, abs=0.02)
    assert 0 <= int(noisy.min()) <= int(noisy.max()) < 1000
    assert torch.equal(with_noise(codes, 0.0, 1000, generator), codes)
    condition = Condition(torch.ones(4000, 3).long(), torch.ones(4000, 3).long(), torch.ones(4000, 2))
    dropped = with_dropout(condition, 0.15, 0.3, generator)
    without_text, without_voice = dropped.phonemes.sum(1) == 0, dropped.speaker.sum(1) == 0
    assert float(without_text.float().mean()) == pytest.approx(0.15, abs=0.02)
    assert float(without_voice.float().mean()) == pytest.approx(0.3, abs=0.03)
    assert (dropped.phonemes[~without_text] == 1).all()
    assert torch.equal(dropped.durations, condition.durations)
    assert with_dropout(Condition(), 0.5, 0.5, generator) == Condition()


def test_the_same_generator_disturbs_alike():
    objective = Objective((1.0, 1.0, 1.0), token_noise=0.5, phoneme_dropout=0.5, speaker_dropout=0.5)
    asked = []
    for _ in range(2):
        network = Answers(random_logits())
        objective(network, CONFIG, batch(), torch.Generator().manual_seed(3))
        asked.append(network.asked)
    assert torch.equal(asked[0][0], asked[1][0])
    assert torch.equal(asked[0][2].phonemes, asked[1][2].phonemes)
