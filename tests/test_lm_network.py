"""The network: shapes, causality through gradients, its cache, the condition's alignment with the frames."""

import dataclasses

import pytest
import torch

from mynah.data.errors import CheckpointError
from mynah.lm import LMConfig, patterns
from mynah.lm.condition import UNKNOWN, Condition, PhonemeEncoder, speaker_vectors
from mynah.lm.config import large
from mynah.lm.layers import rotation
from mynah.lm.network import Cache, LMNetwork

CONFIG = LMConfig(
    n_codebooks=3,
    codebook_size=20,
    max_frames=40,
    dim=32,
    layers=2,
    head_dim=8,
    embedding_dim=12,
    symbols=("a", "b", "c", "d"),
    phoneme_dim=16,
    phoneme_layers=2,
    speaker_dim=5,
)
CONDITION = Condition(
    torch.tensor([[1, 2, 3], [4, 2, UNKNOWN]]),
    torch.tensor([[2, 1, 3], [1, 5, 0]]),
    torch.tensor([[1.0, -1, 0, 2, 0], [0, 0, 0, 0, 0]]),
)


def make(**changes) -> LMNetwork:
    torch.manual_seed(0)
    network = LMNetwork(dataclasses.replace(CONFIG, **changes)).eval()
    for parameter in network.parameters():  # larger than at the start of a training: everything has an effect
        torch.nn.init.normal_(parameter, std=0.2)
    return network


def inputs(pattern: str = "delay", n_frames: tuple[int, ...] = (6, 6), seed: int = 0) -> tuple:
    """Tokens and frames of the steps of random codes, and their layout."""
    generator = torch.Generator().manual_seed(seed)
    codes = torch.randint(CONFIG.codebook_size, (len(n_frames), 3, max(n_frames)), generator=generator)
    layout = patterns.layout(pattern, 3, n_frames)
    return patterns.to_steps(codes, layout.source, CONFIG.none), layout.time, layout


def test_shapes():
    tokens, time, _ = inputs()
    for condition in (CONDITION, Condition(), CONDITION._replace(speaker=None)):
        assert make()(tokens, time, condition).shape == (2, 8, 3, 21)
    assert make(speaker_dim=0, symbols=())(tokens, time, Condition()).shape == (2, 8, 3, 21)
    assert make(tied_embeddings=False)(tokens, time, CONDITION).shape == (2, 8, 3, 21)


def test_no_step_sees_a_later_one():
    network = make()
    tokens, time, _ = inputs()
    embedded = network._embed(tokens).detach().requires_grad_()
    network._embed = lambda _: embedded
    logits = network(tokens, time, CONDITION)
    logits[0, 4].sum().backward()
    assert embedded.grad[0, :5].abs().sum(1).all()
    assert not embedded.grad[0, 5:].any()
    assert not embedded.grad[1].any()


@pytest.mark.parametrize("pattern", patterns.PATTERNS)
def test_a_code_changes_only_what_is_predicted_after_it(pattern):
    """Through layout and network: the logits of a code depend on no code made in its step or later."""
    network = make()
    codes = torch.randint(20, (1, 3, 5), generator=torch.Generator().manual_seed(1))
    layout = patterns.layout(pattern, 3, [5])
    made = patterns.made_at(layout.target, 5)[0]
    condition = Condition(*(x[:1] for x in CONDITION[:3]))

    def logits_of(codes: torch.Tensor) -> torch.Tensor:
        return network(patterns.to_steps(codes, layout.source, CONFIG.none), layout.time, condition)[0]

    before = logits_of(codes)
    for k in range(3):
        for frame in range(5):
            changed = codes.clone()
            changed[0, k, frame] = (changed[0, k, frame] + 1) % 20
            moved = (logits_of(changed) - before).abs().flatten(1).amax(1) > 1e-7
            first = int(made[k, frame]) + 1
            assert not moved[:first].any()
            assert moved[first:].any() == (layout.source[0, k] == frame).any()


@pytest.mark.parametrize("cuts", [[1] * 8, [8], [3, 5], [5, 1, 1, 1], [1, 4, 3]])
@pytest.mark.parametrize("tied", [True, False])
@torch.no_grad()
def test_cached_equals_uncached(cuts, tied):
    network = make(tied_embeddings=tied)
    tokens, time, _ = inputs()
    whole = network(tokens, time, CONDITION)
    cache, conditions = Cache(CONFIG, 2, 8, network.tables), network.conditioner(time, CONDITION)
    turn, start = rotation(time, CONFIG.head_dim), 0
    for n in cuts:
        now = slice(start, start + n)
        logits = network.step(tokens[..., now], conditions[:, now], turn[..., now, :], cache, n)
        assert torch.allclose(logits, whole[:, now], atol=1e-5)
        start += n
    assert cache.length == 8


@torch.no_grad()
def test_the_cache_is_allocated_once():
    network = make()
    tokens, time, _ = inputs()
    cache = Cache(CONFIG, 2, 8, network.tables)
    where = cache.whole.data_ptr()
    for s in range(8):
        conditions = network.conditioner(time[:, s : s + 1], Condition())
        network.step(tokens[..., s : s + 1], conditions, rotation(time[:, s : s + 1], 8), cache)
    assert cache.whole.data_ptr() == where


def test_rotation_makes_positions_relative():
    torch.manual_seed(0)
    a, b = torch.randn(2, 8)

    def turned(x: torch.Tensor, position: int) -> torch.Tensor:
        cos, sin = rotation(torch.tensor([[position]]), 8)[:, 0, 0, 0]
        return x * cos + x.roll(4) * sin

    assert torch.allclose(turned(a, 9) @ turned(b, 5), turned(a, 104) @ turned(b, 100), atol=1e-4)
    assert not torch.allclose(turned(a, 9) @ turned(b, 5), turned(a, 9) @ turned(b, 6), atol=1e-2)
    assert torch.allclose(turned(a, 9).norm(), a.norm())


def test_phonemes_last_as_long_as_their_durations():
    """A symbol beyond the encoder's reach would tell; here the encoder has no layers that mix."""
    network = make(phoneme_layers=1, speaker_dim=0)
    network.conditioner.encoder.blocks = torch.nn.ModuleList()
    network.conditioner.place.weight.data.zero_()
    time = torch.arange(8).expand(2, -1)
    x = network.conditioner(time, Condition(*CONDITION[:2]))
    unknown = network.conditioner.unknown
    for item, spoken in enumerate([[1, 1, 2, 3, 3, 3, 0, 0], [4, 2, 2, 2, 2, 2, 0, 0]]):
        for frame, symbol in enumerate(spoken):
            same = [f for f, other in enumerate(spoken) if other == symbol]
            for other in range(8):
                assert torch.equal(x[item, frame], x[item, other]) == (other in same)
            if symbol == 0:
                assert torch.equal(x[item, frame], unknown)


def test_the_condition_knows_the_place_in_the_phoneme():
    network = make()
    x = network.conditioner(torch.arange(6).unsqueeze(0), Condition(*(x[:1] for x in CONDITION[:3])))
    assert not torch.allclose(x[0, 0], x[0, 1])
    assert not torch.allclose(x[0, 3], x[0, 4])


def test_the_encoder_looks_both_ways_and_past_padding():
    torch.manual_seed(0)
    encoder = PhonemeEncoder(CONFIG)
    x = encoder(torch.tensor([[1, 2, 3]]))
    assert not torch.allclose(encoder(torch.tensor([[4, 2, 3]]))[0, 1:], x[0, 1:])
    assert not torch.allclose(encoder(torch.tensor([[1, 2, 4]]))[0, :2], x[0, :2])
    padded = encoder(torch.tensor([[1, 2, 3, UNKNOWN, UNKNOWN]]))
    assert torch.allclose(padded[:, :3], x, atol=1e-6)


def test_withheld_conditions_are_as_none_and_have_finite_gradients():
    network = make()
    tokens, time, _ = inputs()
    withheld = CONDITION._replace(phonemes=torch.zeros(2, 3, dtype=torch.int64), speaker=torch.zeros(2, 5))
    logits = network(tokens, time, withheld)
    assert torch.allclose(logits, network(tokens, time, Condition()), atol=1e-6)
    logits.sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters())


def test_only_the_speakers_direction_counts():
    network = make()
    tokens, time, _ = inputs()
    logits = network(tokens, time, CONDITION)
    twice = network(tokens, time, CONDITION._replace(speaker=2 * CONDITION.speaker))
    other = network(tokens, time, CONDITION._replace(speaker=-CONDITION.speaker))
    assert torch.allclose(twice, logits, atol=1e-5)
    assert not torch.allclose(other[0], logits[0], atol=1e-2)
    assert torch.allclose(other[1], logits[1], atol=1e-5)


def test_dropout_acts_while_training_only():
    network = make(dropout=0.5)
    tokens, time, _ = inputs()
    assert torch.equal(network(tokens, time, CONDITION), network(tokens, time, CONDITION))
    network.train()
    assert not torch.equal(network(tokens, time, CONDITION), network(tokens, time, CONDITION))


def test_bfloat16_autocast_is_near():
    network = make()
    tokens, time, _ = inputs()
    whole = network(tokens, time, CONDITION)
    with torch.autocast("cpu", torch.bfloat16):
        half = network(tokens, time, CONDITION).float()
    assert (half - whole).norm() < 0.05 * whole.norm()


def test_sizes_of_the_presets():

    def millions(config: LMConfig) -> float:
        """With one layer built for all of them."""
        network = LMNetwork(dataclasses.replace(config, layers=1, phoneme_layers=1))
        more = (
            (config.layers - 1, network.blocks),
            (config.phoneme_layers - 1, network.conditioner.encoder.blocks),
        )
        count = sum(p.numel() for p in network.parameters())
        return (count + sum(n * p.numel() for n, block in more for p in block.parameters())) / 1e6

    small, big = LMConfig(symbols=tuple("abcdefghij")), large("abcdefghij")
    assert 10 < millions(small) < 30
    assert 300 < millions(big) < 400
    numbers = {"dim", "layers", "embedding_dim", "phoneme_dim", "phoneme_layers"}
    differing = {f.name for f in dataclasses.fields(small) if getattr(small, f.name) != getattr(big, f.name)}
    assert differing == numbers


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"layers": 0}, "layers=0"),
        ({"dim": 32.0}, r"dim=32\.0"),
        ({"dim": 36}, "dim=36: a multiple of head_dim=8"),
        ({"phoneme_dim": 12}, "phoneme_dim=12"),
        ({"head_dim": 1}, "head_dim=1: an even"),
        ({"speaker_dim": -1}, "speaker_dim=-1"),
        ({"pattern": "diagonal"}, "pattern='diagonal': one of delay, parallel"),
        ({"dropout": 1.0}, "dropout=1.0"),
        ({"dropout": "much"}, "dropout='much'"),
        ({"frame_rate": 0}, "frame_rate=0"),
        ({"frame_rate": float("nan")}, "frame_rate=nan"),
        ({"tied_embeddings": 1}, "tied_embeddings=1"),
        ({"symbols": "abc"}, "symbols='abc'"),
        ({"symbols": (1,)}, "symbols="),
        ({"symbols": ("a", "b", "a")}, "symbols: a more than once"),
        ({"speakers": ("a", "a")}, "speakers: a more than once"),
        ({"speakers": tuple("abcdef"), "speaker_dim": 5}, "speakers: 6 voices, speaker_dim=5 is too small"),
        ({"name": ""}, "name=''"),
        ({"codec_hash": None}, "codec_hash=None"),
    ],
)
def test_a_wrong_config_is_refused_in_one_line(changes, named):
    with pytest.raises(CheckpointError, match=named) as error:
        dataclasses.replace(CONFIG, **changes)
    assert "\n" not in str(error.value)


def test_ids():
    assert CONFIG.ids(["d", "a", "a"]) == [4, 1, 1]
    with pytest.raises(ValueError, match="'x' is no symbol of mynah-lm: it knows a b c d"):
        CONFIG.ids(["a", "x"])


def test_voices_that_are_known_by_name():
    config = dataclasses.replace(CONFIG, speakers=("ann", "bob"))
    assert speaker_vectors(config, ["bob", None, "ann"]).tolist() == [
        [0, 1, 0, 0, 0],
        [0] * 5,
        [1, 0, 0, 0, 0],
    ]
    with pytest.raises(ValueError, match="'eve' is no voice of mynah-lm: it knows ann, bob"):
        speaker_vectors(config, ["ann", "eve"])
