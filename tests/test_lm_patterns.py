"""Token patterns: exactly invertible, nothing is predicted from itself or from what comes later."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mynah.lm import patterns

NONE = 99
sizes = {"n_codebooks": st.integers(1, 5), "n_frames": st.lists(st.integers(1, 9), min_size=1, max_size=4)}
every = pytest.mark.parametrize("pattern", patterns.PATTERNS)


def random_codes(n_codebooks: int, n_frames: list[int]) -> torch.Tensor:
    codes = torch.randint(50, (len(n_frames), n_codebooks, max(n_frames)))
    beyond = torch.arange(max(n_frames)) >= torch.tensor(n_frames).view(-1, 1, 1)
    return codes.masked_fill(beyond, NONE)


def test_delay_as_drawn_in_the_paper():
    codes = torch.tensor([[[1, 2, 3, 4], [11, 12, 13, 14], [21, 22, 23, 24]]])
    layout = patterns.layout("delay", 3, [4])
    assert patterns.to_steps(codes, layout.target, 0)[0].tolist() == [
        [1, 2, 3, 4, 0, 0],
        [0, 11, 12, 13, 14, 0],
        [0, 0, 21, 22, 23, 24],
    ]
    assert patterns.to_steps(codes, layout.source, 0)[0].tolist() == [
        [0, 1, 2, 3, 4, 0],
        [0, 0, 11, 12, 13, 14],
        [0, 0, 0, 21, 22, 23],
    ]
    assert layout.time[0].tolist() == [0, 1, 2, 3, 4, 5]
    assert layout.end.tolist() == [4]


@pytest.mark.parametrize(
    ("pattern", "target"),
    [
        ("parallel", [[1, 2, 0], [11, 12, 0], [21, 22, 0]]),
        ("flattened", [[1, 0, 0, 2, 0, 0, 0], [0, 11, 0, 0, 12, 0, 0], [0, 0, 21, 0, 0, 22, 0]]),
        ("coarse_first", [[1, 2, 0, 0, 0], [0, 0, 0, 11, 12], [0, 0, 0, 21, 22]]),
        ("levels", [[1, 2, 0, 0, 0, 0, 0], [0, 0, 0, 11, 12, 0, 0], [0, 0, 0, 0, 0, 21, 22]]),
    ],
)
def test_the_other_patterns(pattern, target):
    codes = torch.tensor([[[1, 2], [11, 12], [21, 22]]])
    layout = patterns.layout(pattern, 3, [2])
    assert patterns.to_steps(codes, layout.target, 0)[0].tolist() == target


@every
@settings(deadline=None, max_examples=25)
@given(**sizes)
def test_codes_come_back_exactly(pattern, n_codebooks, n_frames):
    codes = random_codes(n_codebooks, n_frames)
    target = patterns.layout(pattern, n_codebooks, n_frames).target
    steps = patterns.to_steps(codes, target, NONE)
    assert torch.equal(patterns.to_codes(steps, target, max(n_frames), NONE), codes)
    assert int((target >= 0).sum()) == n_codebooks * sum(n_frames)  # each code is predicted once


@every
@settings(deadline=None, max_examples=25)
@given(**sizes)
def test_what_enters_a_step_was_predicted_before_it(pattern, n_codebooks, n_frames):
    layout = patterns.layout(pattern, n_codebooks, n_frames)
    made = patterns.made_at(layout.target, max(n_frames))
    entered = patterns.to_steps(made, layout.source, -1)
    steps = torch.arange(layout.target.shape[2])
    assert (entered < steps).all()
    assert (entered[layout.source >= 0] >= 0).all()


@every
@settings(deadline=None, max_examples=25)
@given(**sizes)
def test_items_of_a_batch_are_laid_out_as_alone(pattern, n_codebooks, n_frames):
    layout = patterns.layout(pattern, n_codebooks, n_frames)
    for i, frames in enumerate(n_frames):
        alone = patterns.layout(pattern, n_codebooks, [frames])
        steps = alone.target.shape[2]
        assert torch.equal(layout.target[i, :, :steps], alone.target[0])
        assert torch.equal(layout.source[i, :, :steps], alone.source[0])
        assert torch.equal(layout.time[i, :steps], alone.time[0])
        assert (layout.target[i, :, steps:] == -1).all()
        assert layout.end[i] == alone.end[0]


@every
@settings(deadline=None, max_examples=25)
@given(**sizes)
def test_the_end_follows_the_first_streams_last_frame(pattern, n_codebooks, n_frames):
    layout = patterns.layout(pattern, n_codebooks, n_frames)
    for i, frames in enumerate(n_frames):
        end = int(layout.end[i])
        assert layout.target[i, 0, end] == -1
        assert layout.time[i, end] == frames
        first = (layout.target[i, 0] >= 0).nonzero()[:, 0]
        assert int(first.max()) < end


@every
def test_every_streams_step_belongs_to_its_frame_or_a_later_one(pattern):
    layout = patterns.layout(pattern, 4, [7])
    lag = (layout.time.unsqueeze(1) - layout.target)[layout.target >= 0]
    assert int(lag.min()) == 0
    assert int(lag.max()) == (3 if pattern == "delay" else 0)


@pytest.mark.parametrize("pattern", patterns.STREAMABLE)
def test_streamable_patterns_do_not_depend_on_the_length(pattern):
    short, long = (patterns.layout(pattern, 3, [n]) for n in (4, 20))
    steps = int(short.end[0])
    for a, b in zip(short[:3], long[:3], strict=True):
        assert torch.equal(a[..., :steps], b[..., :steps])
