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


def seeded(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


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


def test_prompts_are_heard_and_not_learned():
    logits, given = random_logits(), batch()
    given = given._replace(prompt_frames=torch.tensor([2, 0]))
    answers = Answers(logits)
    loss = EVEN(answers, CONFIG, given)
    loss.total.backward()
    assert loss.learned.tolist() == [4 + 4 + 1, 8, 8]
    assert (logits.grad[0].abs().sum(-1) > 0).T.int().tolist() == [
        [0, 0, 1, 1, 1, 1, 1, 0],
        [0, 0, 0, 1, 1, 1, 1, 0],
        [0, 0, 0, 0, 1, 1, 1, 1],
    ]
    assert (answers.asked[0][0, 0, 1:7] == given.codes[0, 0]).all()


def test_after_a_prompt_the_text_is_always_told_and_after_a_foreign_one_the_speaker():
    objective = Objective((1.0, 1.0, 1.0), phoneme_dropout=1.0, speaker_dropout=1.0)
    answers = Answers(random_logits())
    given = batch()._replace(prompt_frames=torch.tensor([2, 0]), foreign=torch.tensor([False, True]))
    objective(answers, CONFIG, given, seeded(0, 1))
    assert answers.asked[2].speaker.any(1).tolist() == [False, True]
    assert answers.asked[2].phonemes.any(1).tolist() == [True, False]


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
    disturbed = objective(b, CONFIG, batch(), seeded(0, 1))
    assert torch.equal(plain.nats, disturbed.nats)
    assert not torch.equal(a.asked[0], b.asked[0])
    assert torch.equal(a.asked[0] == 20, b.asked[0] == 20)  # noise never makes or removes a "none"
    assert (b.asked[2].phonemes == UNKNOWN).all()
    assert not b.asked[2].speaker.any()
    assert torch.equal(a.asked[2].phonemes, batch().condition.phonemes)


def test_noise_and_dropout_have_the_given_probabilities():
    codes, lengths = torch.full((20, 5, 100), 3), [100] * 19 + [40]
    noisy = with_noise(codes, lengths, 0.2, 1000, seeded(*range(20)))
    assert float((noisy[:19] != 3).float().mean()) == pytest.approx(0.2, abs=0.02)
    assert 0 <= int(noisy.min()) <= int(noisy.max()) < 1000
    assert (noisy[19, :, :40] != 3).any()
    assert (noisy[19, :, 40:] == 3).all()
    assert (codes == 3).all()
    assert torch.equal(with_noise(codes, lengths, 0.0, 1000, seeded(*range(20))), codes)
    condition = Condition(torch.ones(4000, 3).long(), torch.ones(4000, 3).long(), torch.ones(4000, 2))
    dropped = with_dropout(condition, 0.15, 0.3, seeded(*range(4000)))
    without_text, without_voice = dropped.phonemes.sum(1) == 0, dropped.speaker.sum(1) == 0
    assert float(without_text.float().mean()) == pytest.approx(0.15, abs=0.02)
    assert float(without_voice.float().mean()) == pytest.approx(0.3, abs=0.03)
    assert (dropped.phonemes[~without_text] == 1).all()
    assert torch.equal(dropped.durations, condition.durations)
    assert with_dropout(Condition(), 0.5, 0.5, seeded(0)) == Condition()


def test_an_item_is_disturbed_alike_in_any_batch():
    objective = Objective((1.0, 1.0, 1.0), token_noise=0.5, phoneme_dropout=0.5, speaker_dropout=0.5)
    given, alone = batch(), batch((4,), (False,))
    codes, condition = given.codes[1:, :, :4], Condition(*(x[1:] for x in given.condition[:3]))
    alone = alone._replace(codes=codes, condition=condition)
    for seed in range(8):
        both, one = Answers(random_logits()), Answers(random_logits(n_frames=(4,))[:1])
        objective(both, CONFIG, given, seeded(seed + 100, seed))
        objective(one, CONFIG, alone, seeded(seed))
        assert torch.equal(both.asked[0][1:, :, :6], one.asked[0])
        assert torch.equal(both.asked[2].phonemes[1:], one.asked[2].phonemes)
        assert torch.equal(both.asked[2].speaker[1:], one.asked[2].speaker)


def test_shares_of_a_batch_add_up_to_it():
    """Two processes with an item each, told the mean of their counts: their mean loss is the whole's."""
    logits, given = random_logits().detach(), batch()
    objective = Objective((3.0, 1.0, 1.0), z=0.1)
    whole = objective(Answers(logits), CONFIG, given)
    assert whole.learned.tolist() == [11, 10, 10]
    parts = []
    for b, n in enumerate(given.n_frames):
        own = Batch(given.codes[b : b + 1, :, :n], [n], given.ended[b : b + 1], Condition())
        answers = Answers(logits[b : b + 1, : n + 2])
        parts.append(objective(answers, CONFIG, own, share=whole.learned / 2))
    assert float((parts[0].total + parts[1].total) / 2) == pytest.approx(float(whole.total), rel=1e-6)
    assert torch.allclose((parts[0].nats + parts[1].nats) / 2, whole.nats)
