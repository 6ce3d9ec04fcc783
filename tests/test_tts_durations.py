"""How long phonemes last: the network and its loss, rounding, limits, and what is said to bad input."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mynah.codec import checkpoint
from mynah.data.errors import CheckpointError
from mynah.data.text import BOUNDARY, phonemize
from mynah.data.text.symbols import PAUSES
from mynah.tts import Durations
from mynah.tts.duration_network import (
    PADDING,
    DurationConfig,
    DurationNetwork,
    Prediction,
    duration_loss,
    limits_of,
    stand_ins_of,
)
from mynah.tts.durations import rounded, shortest

CONFIG = DurationConfig(name="tiny-durations", speakers=("ann", "bob"), dim=16, layers=2, dropout=0.0)
WORDS = "ð ə , k ˈæ t .".split()


def make(seed: int = 0) -> Durations:
    torch.manual_seed(seed)
    return Durations(DurationNetwork(CONFIG))


@pytest.fixture(scope="module")
def durations() -> Durations:
    return make()


def test_size():
    """About a million parameters."""
    assert 0.8e6 < sum(p.numel() for p in DurationNetwork(DurationConfig()).parameters()) < 1.2e6


@given(
    st.lists(st.tuples(st.floats(0, 60), st.integers(0, 3))).map(
        lambda pairs: [(max(value, float(least)), least) for value, least in pairs]
    )
)
def test_rounding_keeps_every_sum(pairs):
    frames, least = [value for value, _ in pairs], [lowest for _, lowest in pairs]
    whole = rounded(frames, least)
    assert all(type(n) is int and n >= lowest for n, lowest in zip(whole, least, strict=True))
    for end in range(len(pairs) + 1):
        assert abs(sum(whole[:end]) - sum(frames[:end])) <= 0.5 + 1e-6
    assert all(not n for n, value in zip(whole, frames, strict=True) if not value)


@given(st.lists(st.floats(0.01, 5), min_size=1), st.floats(1, 4))
def test_rounding_of_too_little(frames, rate):
    """Sounds last a frame at least, and those after them make up for one frame at most."""
    whole = rounded([value / rate for value in frames], [1] * len(frames))
    assert all(n >= max(1, int(value / rate) - 1) for n, value in zip(whole, frames, strict=True))


def test_short_words_are_not_swallowed():
    symbols = [symbol or BOUNDARY for symbol in "~ ˈʌ v  ð ə , k ˈæ t  ə .".split(" ")]
    assert shortest(symbols, 50) == [0, 4, 3, 0, 3, 4, 0, 1, 1, 1, 0, 4, 0]
    assert shortest(symbols, 25) == [0, 2, 2, 0, 2, 2, 0, 1, 1, 1, 0, 2, 0]
    assert shortest(symbols, 100) == [0, 8, 6, 0, 6, 8, 0, 1, 1, 1, 0, 8, 0]
    model = make()
    model.network.output.bias.data[:] = torch.tensor([-9.0, -9.0])  # as short as may be, no pauses
    model.network.limits[:] = torch.tensor([1.0, 9.0])
    assert model.predict(symbols) == tuple(shortest(symbols, 50)), "and nothing is taken from the next word"
    assert model.predict(symbols, rate=2) == tuple(shortest(symbols, 25))


def test_limits_are_percentiles():
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 101, 20_000)
    limits = limits_of([np.full(20_000, 2), np.array([1, 3])], [frames, np.array([1, 500])], 3)
    heard = frames[frames > 0]
    assert limits[2].tolist() == pytest.approx(np.percentile(heard, [1, 99]))
    together = np.percentile([*heard, 1, 500], [1, 99])
    assert limits[1].tolist() == limits[3].tolist() == pytest.approx(together)  # too few examples


def test_what_was_hardly_heard_is_taken_for_what_is_like_it():
    symbols = CONFIG.symbols

    def ids(text):
        return np.array(CONFIG.ids(text.split()))

    examples = [ids("k ˈæ . , ˈʌ")] * 20 + [ids("! æ")] * 19 + [ids("?")] * 30 + [ids("p")]
    found = stand_ins_of(examples, symbols)
    taken = {symbols[i - 1]: symbols[int(found[i]) - 1] for i in range(1, len(symbols) + 1)}
    assert taken | {"!": "?", "…": "?", ";": ",", "—": ",", "æ": "ˈæ", "ˌæ": "ˈæ", "ə": "ˈʌ"} == taken
    own = (".", "?", ",", "k", "p", "t", "ˈi", " ", "~")  # often heard, or nothing like it was
    assert all(taken[symbol] == symbol for symbol in own)
    model = make()
    model.network.stand_ins.copy_(found)
    assert model.frames(["k", "æ", "…"]) == model.frames(["k", "ˈæ", "?"])


def test_the_loss_is_zero_at_equality():
    real = torch.tensor([[3, 0, 7, 1], [2, 5, PADDING, PADDING]])
    sure = torch.where(real > 0, 100.0, -100.0)
    loss = duration_loss(Prediction(real.clamp_min(1).float().log(), sure), real)
    assert [float(part) for part in loss] == pytest.approx([0, 0, 0, 0], abs=1e-6)


def test_the_loss_by_hand_and_its_gradient():
    real = torch.tensor([[4, 0], [4, PADDING]])
    log_frames = torch.tensor([[2.0, 900.0], [2.0, float("inf")]]).log()
    log_frames[1, 1] = 1e4  # neither what is not spoken nor padding counts
    log_frames.requires_grad_()
    lasts = torch.zeros(2, 2, requires_grad=True)
    loss = duration_loss(Prediction(log_frames, lasts), real)
    octave = np.log(2) ** 2
    assert float(loss.frames.detach()) == pytest.approx(octave)
    assert float(loss.length.detach()) == pytest.approx(octave)
    assert float(loss.pauses.detach()) == pytest.approx(np.log(2))
    loss.total.backward()
    assert log_frames.grad[:, 1].tolist() == [0, 0]
    assert bool(log_frames.grad.isfinite().all())
    assert lasts.grad[1, 1] == 0


def test_an_item_is_the_same_in_any_batch(durations):
    network = durations.network
    one, two = (torch.tensor([CONFIG.ids(symbols)]) for symbols in (WORDS, ["t", "ˈu"]))
    batch = torch.nn.utils.rnn.pad_sequence([one[0], two[0]], batch_first=True)
    together = network(batch, torch.tensor([1, 2]))
    for row, (ids, speaker) in enumerate(((one, 1), (two, 2))):
        alone = network(ids, torch.tensor([speaker]))
        for a, b in zip(alone, together, strict=True):
            assert torch.allclose(a[0], b[row, : ids.shape[1]], atol=1e-6)


def test_one_batch_can_be_learned():
    """Two speakers of the same words, one twice as fast, with a pause only where the words ask for one."""
    torch.manual_seed(0)
    network = DurationNetwork(CONFIG)
    ids = torch.tensor([CONFIG.ids(WORDS)]).repeat(2, 1)
    slow = torch.tensor([6, 8, 0, 5, 12, 6, 20])
    real = torch.stack([slow, slow // 2])
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    for _ in range(150):
        optimizer.zero_grad()
        loss = duration_loss(network(ids, torch.tensor([1, 2])), real)
        loss.total.backward()
        optimizer.step()
    assert float(loss.total.detach()) < 0.02
    model = Durations(network)
    assert model.predict(WORDS, "ann") == tuple(slow.tolist())
    assert model.predict(WORDS, "bob") == tuple((slow // 2).tolist())
    assert model.pace(WORDS, (slow // 2).tolist(), "ann") == pytest.approx(1.4)  # the most that is believed
    assert model.pace(WORDS, (slow // 2).tolist(), "bob") == pytest.approx(1, abs=0.1)
    assert model.pace([","], [9]) == 1


def test_predictions_stay_within_the_limits_and_follow_the_rate(durations):
    model = make()
    model.network.output.bias.data[0] = 9.0
    symbols = phonemize("Well, Sally sells shells, this year.").symbols
    model.network.limits[:] = torch.tensor([2.0, 7.0])
    assert set(model.frames(symbols)) <= {0.0, 7.0}
    model.network.output.bias.data[0] = -9.0
    assert set(model.frames(symbols)) <= {0.0, 2.0}
    own = sum(durations.frames(symbols))
    for rate in (0.25, 0.5, 1, 1.3):
        whole = durations.predict(symbols, rate=rate)
        assert sum(whole) == pytest.approx(own / rate, abs=1.5 + 0.05 * own)
        assert all(n for n, symbol in zip(whole, symbols, strict=True) if symbol not in PAUSES)
    slow, fast = (sum(durations.predict(symbols, rate=rate)) for rate in (0.5, 2))
    assert slow > 1.5 * fast
    assert durations.predict(symbols) == durations.predict(symbols)


def test_a_folder_comes_back(durations, tmp_path):
    checkpoint.save(tmp_path, CONFIG, durations.network.state_dict())
    loaded = Durations.from_pretrained(tmp_path)
    assert loaded.config == CONFIG
    assert not loaded.network.training
    assert loaded.frames(WORDS, "bob") == pytest.approx(durations.frames(WORDS, "bob"), rel=0.01)
    (tmp_path / "config.json").write_text(json.dumps({"layers": 1, "dims": 3}))
    with pytest.raises(CheckpointError, match="unknown keys"):
        Durations.from_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="'nosuch' is neither a shipped duration model"):
        Durations.from_pretrained("nosuch")


@pytest.mark.parametrize(
    "values",
    [
        {"dim": 0},
        {"layers": 1.5},
        {"kernel": 4},
        {"dropout": 1},
        {"frame_rate": -1},
        {"symbols": "abc"},
        {"symbols": ["a", "a"]},
        {"speakers": [1]},
        {"name": ""},
    ],
)
def test_bad_configurations(values):
    with pytest.raises(CheckpointError, match=next(iter(values))):
        DurationConfig(**values)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda m: m.frames(["ð", "q"]), "'q' is no symbol of tiny-durations"),
        (lambda m: m.frames([]), "no phonemes"),
        (lambda m: m.frames(WORDS, "eve"), "'eve' is no speaker of tiny-durations: it knows ann, bob"),
        (lambda m: m.predict(WORDS, rate=0), "rate=0: 0.25 to 4"),
        (lambda m: m.predict(WORDS, rate=float("nan")), "rate=nan"),
    ],
)
def test_what_cannot_be_predicted(durations, call, named):
    with pytest.raises(ValueError, match=named):
        call(durations)
