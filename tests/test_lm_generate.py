"""Generation: batch = single, cached = uncached, guidance, the end, streams; it says what it has learned."""

import dataclasses
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from mynah.lm import Frames, LMConfig, Sampling, patterns
from mynah.lm.condition import Condition
from mynah.lm.generate import collect, generate, plan
from mynah.lm.network import LMNetwork
from mynah.lm.objective import Batch, Objective

CONFIG = LMConfig(
    n_codebooks=3,
    codebook_size=20,
    dim=32,
    layers=2,
    head_dim=8,
    embedding_dim=12,
    symbols=("a", "b", "c", "d"),
    phoneme_dim=16,
    phoneme_layers=1,
    speaker_dim=5,
)
CONDITION = Condition(
    torch.tensor([[1, 2, 3], [4, 2, 0], [0, 1, 4]]),
    torch.tensor([[2, 4, 6], [4, 3, 0], [5, 1, 3]]),
    torch.eye(3, 5),
)
FRAMES = [12, 7, 9]
GREEDY = Sampling(temperature=0)
FREE = Sampling(top_k=0, top_p=1.0)
every = pytest.mark.parametrize("pattern", patterns.PATTERNS)


def make(pattern: str = "delay", seed: int = 0) -> LMNetwork:
    torch.manual_seed(seed)
    network = LMNetwork(dataclasses.replace(CONFIG, pattern=pattern)).eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.25)
    return network.requires_grad_(False)


def prompts(*lengths: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(7)
    return [torch.randint(20, (3, n), generator=generator) for n in lengths]


def seeded(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def spoken(network: LMNetwork, items: list[int], sampling: Sampling = FREE, **options) -> list[Tensor]:
    """The chosen items of a fixed set of three, in one batch."""
    chosen = torch.tensor(items)
    every_prompt = options.pop("before", prompts(3, 0, 5))
    frames = generate(
        network,
        [every_prompt[i] for i in items],
        [FRAMES[i] for i in items],
        Condition(*(x[chosen] for x in CONDITION[:3])),
        sampling,
        seeded(*items),
        **options,
    )
    return collect(frames, len(items), 3)


def teacher_forced(network: LMNetwork, codes: Tensor, condition: Condition) -> Tensor:
    """Logits [K, N, V] of each code [K, N] given those before it, without a cache."""
    layout = patterns.layout(network.config.pattern, 3, [codes.shape[1]])
    tokens = patterns.to_steps(codes[None], layout.source, network.config.none)
    logits = network(tokens, layout.time, condition)[0]
    made = patterns.made_at(layout.target, codes.shape[1])[0]
    return logits[made, torch.arange(3).unsqueeze(1)]


@every
def test_batch_equals_single(pattern):
    network = make(pattern)
    together = spoken(network, [0, 1, 2])
    assert [codes.shape for codes in together] == [(3, 9), (3, 7), (3, 4)]
    for i in range(3):
        assert torch.equal(spoken(network, [i])[0], together[i])
    for i, codes in zip([2, 1, 0, 1], spoken(network, [2, 1, 0, 1]), strict=True):
        assert torch.equal(codes, together[i])


@every
@pytest.mark.parametrize("guidance", [1.0, 2.5])
def test_cached_equals_uncached(pattern, guidance):
    """Greedy codes are the likeliest of the uncached logits, which see the same codes at once."""
    network = make(pattern)
    before = prompts(3, 0, 5)
    for i, codes in enumerate(spoken(network, [0, 1, 2], GREEDY, guidance=guidance)):
        whole = torch.cat([before[i], codes], 1)
        condition = Condition(*(x[i : i + 1] for x in CONDITION[:3]))
        logits = teacher_forced(network, whole, condition)
        free = teacher_forced(network, whole, Condition())
        logits = free + guidance * (logits - free)
        assert torch.equal(logits[..., :20].argmax(-1)[:, before[i].shape[1] :], codes)


def test_seeds():
    network = make()
    assert torch.equal(spoken(network, [0])[0], spoken(network, [0])[0])
    first, second = (
        collect(
            generate(network, prompts(0), [30], Condition(), FREE, seeded(seed)),
            1,
            3,
        )[0]
        for seed in (1, 2)
    )
    assert not torch.equal(first, second)


def test_a_generator_goes_on_alike_in_any_batch():
    """What an item's generator has drawn does not depend on the length of its neighbours."""
    network, states = make(), []
    for lengths, number in (([4, 20], 0), ([4], 0), ([9, 4], 1)):
        generators = seeded(*range(5, 5 + len(lengths)))
        generators[number] = seeded(1)[0]
        collect(
            generate(network, prompts(*[0] * len(lengths)), lengths, Condition(), FREE, generators),
            len(lengths),
            3,
        )
        states.append(generators[number].get_state())
    assert torch.equal(states[0], states[1])
    assert torch.equal(states[0], states[2])


def test_guidance():
    network = make()
    plain = spoken(network, [0, 1, 2])
    without = generate(network, prompts(3, 0, 5), FRAMES, Condition(), FREE, seeded(0, 1, 2))
    for a, b in zip(spoken(network, [0, 1, 2], guidance=0.0), collect(without, 3, 3), strict=True):
        assert torch.equal(a, b)
    for a, b in zip(spoken(network, [0, 1, 2], guidance=1.0), plain, strict=True):
        assert torch.equal(a, b)
    for a, b in zip(spoken(network, [0, 1, 2], guidance=1 + 1e-7), plain, strict=True):
        assert torch.equal(a, b)  # the doubled batch
    guided = spoken(network, [0, 1, 2], guidance=3.0)
    assert not all(torch.equal(a, b) for a, b in zip(guided, plain, strict=True))


@every
def test_streams_complete_equals_whole(pattern):
    network = make(pattern)
    whole = spoken(network, [0])[0]
    condition = Condition(*(x[:1] for x in CONDITION[:3]))
    parts = list(generate(network, prompts(3), FRAMES[:1], condition, FREE, seeded(0)))
    assert all(part.valid.all() and part.codes.shape[2] == part.valid.shape[1] for part in parts)
    assert torch.equal(torch.cat([part.codes for part in parts], 2)[0], whole)
    if pattern in patterns.STREAMABLE:
        assert [part.codes.shape[2] for part in parts] == [1] * 9
    if pattern == "levels":
        assert len(parts) == 1


def test_codes_outside_an_item_are_zero():
    """They can be decoded like any others."""
    for part in generate(make(), prompts(3, 0, 5), FRAMES, CONDITION, FREE, seeded(0, 1, 2)):
        assert not part.codes.transpose(1, 2)[~part.valid].any()
        assert int(part.codes.max()) < 20


def test_frames_come_as_early_as_the_delay_allows(monkeypatch):
    network, steps, arrived = make(), [], []
    step = network.step
    monkeypatch.setattr(network, "step", lambda *args: steps.append(args[0].shape[2]) or step(*args))
    condition = Condition(*(x[:1] for x in CONDITION[:3]))
    for _ in generate(network, prompts(3), FRAMES[:1], condition, FREE, seeded(0)):
        arrived.append(len(steps))
    assert steps == [4] + [1] * 10  # the prompt and the first new step at once
    assert arrived == list(range(3, 12))  # a frame needs its own step and those of two later streams


@pytest.mark.parametrize(
    ("pattern", "sizes"),
    [
        ("delay", [4, 1, 1, 1, 1]),
        ("parallel", [4, 1, 1]),
        ("flattened", [10] + [1] * 8),
        (
            "coarse_first",
            [4, 1, 1, 5, 1, 1],
        ),  # the end of the first stream, three frames of prompt, a new one
        ("levels", [4, 1, 1, 10, 3]),  # ... and all of the second level, with the prompt of the third
    ],
)
def test_all_that_is_known_is_computed_at_once(pattern, sizes):
    layout = patterns.layout(pattern, 3, [6])
    blocks = plan(layout, 20, prompts(3), [6], None).blocks
    assert [last - first for first, last, _ in blocks] == sizes


def test_nobody_hears_a_stranger_in_the_room():
    """Items do not reach each other through cache, prompts or codes: a neighbour's change changes nothing."""
    network = make()
    a = spoken(network, [0, 1, 2])
    b = spoken(network, [0, 1, 2], before=[*prompts(3, 0), torch.zeros(3, 5, dtype=torch.int64)])
    assert torch.equal(a[0], b[0])
    assert torch.equal(a[1], b[1])
    assert not torch.equal(a[2], b[2])


@pytest.mark.parametrize("pattern", patterns.STREAMABLE)
def test_the_end_comes_between_its_bounds(pattern):
    network = make(pattern)
    network.tables[0, 20] *= 4  # an end token that is likely
    seeds = list(range(12))
    lengths = {}
    for least in (2, 6):
        frames = generate(
            network, prompts(*[2] * 12), [14] * 12, Condition(), FREE, seeded(*seeds), at_least=[least] * 12
        )
        codes = collect(frames, 12, 3)
        lengths[least] = [item.shape[1] for item in codes]
        assert all(int(item.max()) < 20 for item in codes if item.numel())
        assert least - 2 <= min(lengths[least]) <= max(lengths[least]) <= 12
    assert len(set(lengths[2])) > 1
    for i in seeds:  # and each ends where it ends alone
        alone = generate(
            network, prompts(*[2] * 12)[i : i + 1], [14], Condition(), FREE, seeded(i), at_least=[6]
        )
        assert torch.equal(collect(alone, 1, 3)[0], codes[i])


def test_an_end_at_once_leaves_nothing():
    network = make()
    network._heads = lambda x: torch.zeros(*x.shape[:2], 3, 21).index_fill(3, torch.tensor([20]), 50.0)
    frames = generate(network, prompts(2, 3), [9, 9], Condition(), FREE, seeded(0, 1), at_least=[2, 3])
    assert [item.shape for item in collect(frames, 2, 3)] == [(3, 0), (3, 0)]
    frames = generate(network, prompts(2, 3), [9, 9], Condition(), FREE, seeded(0, 1), at_least=[4, 9])
    assert [item.shape for item in collect(frames, 2, 3)] == [(3, 2), (3, 6)]
    frames = generate(network, prompts(2, 3), [9, 8], Condition(), FREE, seeded(0, 1))
    assert [item.shape for item in collect(frames, 2, 3)] == [(3, 7), (3, 5)]


def test_the_streams_after_the_first_have_a_temperature_of_their_own():
    network = make()
    hill = torch.linspace(0, 1, 21)
    network._heads = lambda x: hill.expand(*x.shape[:2], 3, 21).clone()
    free = collect(generate(network, prompts(0), [60], Condition(), FREE, seeded(0)), 1, 3)[0]
    tame = replace(FREE, fine_temperature=0.01)
    codes = collect(generate(network, prompts(0), [60], Condition(), tame, seeded(0)), 1, 3)[0]
    assert torch.equal(codes[0], free[0])
    assert (free[1:] < 15).any() and (codes[1:] >= 15).all()


def test_repetition_aware_sampling_leaves_a_rut():
    network = make()
    rut = torch.zeros(21).index_fill(0, torch.tensor([5]), 2.0)
    network._heads = lambda x: rut.expand(*x.shape[:2], 3, 21).clone()
    stuck = generate(network, prompts(0), [60], Condition(), Sampling(top_k=1), seeded(0))
    assert (collect(stuck, 1, 3)[0] == 5).all()
    aware = Sampling(top_k=1, repetition_window=10, repetition_threshold=0.1)
    codes = collect(generate(network, prompts(0), [60], Condition(), aware, seeded(0)), 1, 3)[0]
    assert (codes[0] != 5).sum() > 20
    assert (codes[1:] == 5).all()


@every
def test_one_batch_is_learned_and_said_again(pattern):
    """Overfits three items to near-zero loss, then says exactly these, greedily, from their phonemes."""
    torch.manual_seed(0)
    config = dataclasses.replace(CONFIG, pattern=pattern, dim=64)
    network = LMNetwork(config)
    codes = torch.randint(20, (3, 3, 12))
    batch = Batch(codes, FRAMES, torch.tensor([True, True, True]), CONDITION)
    objective = Objective((2.0, 1.0, 1.0))
    means = [torch.zeros_like(p) for p in network.parameters()]
    for step in range(60):  # the sign of the mean gradient (Bernstein et al. 2018) is enough here
        network.zero_grad()
        objective(network, config, batch).total.backward()
        with torch.no_grad():
            for parameter, mean in zip(network.parameters(), means, strict=True):
                parameter -= 0.01 * (1 - step / 60) * mean.lerp_(parameter.grad, 0.2).sign()
    network.eval().requires_grad_(False)
    assert objective(network, config, batch).bits_per_frame < 0.2
    frames = generate(network, prompts(0, 0, 0), FRAMES, CONDITION, GREEDY, seeded(0, 0, 0))
    for said, item, n in zip(collect(frames, 3, 3), codes, FRAMES, strict=True):
        assert torch.equal(said, item[:, :n])
    if pattern not in patterns.STREAMABLE:
        return
    # With its beginning as a prompt, and not told the length, it also ends there.
    before = [item[:, :4] for item in codes]
    frames = generate(network, before, [20] * 3, CONDITION, GREEDY, seeded(0, 0, 0), at_least=[4] * 3)
    for said, item, n in zip(collect(frames, 3, 3), codes, FRAMES, strict=True):
        assert torch.equal(said, item[:, 4:n])


def test_collect_takes_valid_frames_only():
    codes = torch.arange(12).view(2, 2, 3)
    parts = [
        Frames(codes, torch.tensor([[False, True, True], [True, True, False]])),
        Frames(codes + 20, torch.tensor([[True, False, False], [False, False, False]])),
    ]
    first, second = collect(iter(parts), 2, 2)
    assert first.tolist() == [[1, 2, 20], [4, 5, 23]]
    assert second.tolist() == [[6, 7], [9, 10]]
