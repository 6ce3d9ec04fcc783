"""Resampling: exact lengths, chunked = whole to the bit, tones survive or vanish where they should."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mynah.data.audio import Resampler, resample, resample_blocks, resampled_length
from mynah.data.errors import AudioError

RATES = [8_000, 11_025, 16_000, 16_001, 22_050, 32_000, 44_100, 48_000, 96_000, 192_000]


def chunked(wav, cuts, *args, **kwargs):
    resampler = Resampler(*args, wav.shape[0], **kwargs)
    blocks = np.split(wav, sorted(cuts), axis=1)
    return np.concatenate(list(resample_blocks(blocks, resampler)), axis=1)


@settings(max_examples=150, deadline=None)
@given(
    length=st.integers(1, 20_000),
    rates=st.tuples(st.sampled_from(RATES), st.sampled_from(RATES)),
    channels=st.integers(1, 3),
    cuts=st.lists(st.integers(0, 20_000), max_size=6),
)
def test_length_is_exact_and_chunked_equals_whole(length, rates, channels, cuts):
    wav = np.random.default_rng(length).standard_normal((channels, length)).astype(np.float32)
    whole = resample(wav, *rates)
    exact = length * rates[1] / rates[0]
    assert whole.shape == (channels, resampled_length(length, *rates))
    assert abs(whole.shape[1] - exact) <= 0.5
    assert whole.dtype == np.float32
    if whole.shape[1]:
        assert np.array_equal(chunked(wav, [c for c in cuts if c < length], *rates), whole)


@settings(max_examples=60, deadline=None)
@given(
    length=st.integers(1, 5_000),
    rate=st.sampled_from(RATES),
    wanted=st.integers(1, 8_000),
    cuts=st.lists(st.integers(0, 5_000), max_size=3),
)
def test_asked_length_is_delivered(length, rate, wanted, cuts):
    wav = np.random.default_rng(0).standard_normal((2, length)).astype(np.float32)
    default = resample(wav, 16_000, rate)
    out = chunked(wav, [c for c in cuts if c < length], 16_000, rate, length=wanted)
    assert out.shape == (2, wanted)
    common = min(wanted, default.shape[1])
    assert np.array_equal(out[:, :common], default[:, :common])
    ringing = 400 * max(rate, 16_000) // 16_000  # of the filter, behind the last sample
    assert (np.abs(out[:, default.shape[1] + ringing :]) < 0.02).all()


@pytest.mark.parametrize(("length", "expected"), [(1, 1), (2, 1), (3, 2), (5, 3), (32_001, 16_001)])
def test_halves_are_rounded_up(length, expected):
    assert resampled_length(length, 32_000, 16_000) == expected
    assert resample(np.ones((1, length), np.float32), 32_000, 16_000).shape == (1, expected)


@pytest.mark.parametrize("rate", RATES)
def test_a_tone_keeps_amplitude_and_phase(rate):
    def sine(sample_rate):
        return np.sin(2 * np.pi * 1000 * np.arange(sample_rate) / sample_rate)

    out = resample(sine(rate)[None].astype(np.float32), rate, 16_000)[0]
    assert np.abs(out - sine(16_000))[1000:-1000].max() < 1e-4


def test_a_tone_above_the_new_band_vanishes():
    tone = np.sin(2 * np.pi * 9_000 * np.arange(48_000) / 48_000)[None].astype(np.float32)
    assert np.abs(resample(tone, 48_000, 16_000)[0, 1000:-1000]).max() < 1e-4


def test_there_and_back():
    """Speech-band sound through 16 kHz and back has its exact length and its samples."""
    time = np.arange(44_101) / 44_100
    wav = (0.4 * np.sin(2 * np.pi * 440 * time) + 0.3 * np.sin(2 * np.pi * 3_000 * time))[None].astype(
        np.float32
    )
    back = resample(resample(wav, 44_100, 16_000), 16_000, 44_100, length=wav.shape[1])
    assert back.shape == wav.shape
    assert np.abs(back - wav)[:, 2000:-2000].max() < 1e-3


def test_channels_do_not_mix():
    wav = np.zeros((3, 4000), np.float32)
    wav[1] = 0.5
    out = resample(wav, 44_100, 16_000)
    assert not out[0].any() and not out[2].any() and out[1, 700] == pytest.approx(0.5, abs=1e-4)


def test_same_rate_changes_nothing():
    wav = np.random.default_rng(0).standard_normal((2, 1000)).astype(np.float32)
    assert np.array_equal(resample(wav, 16_000, 16_000), wav)


@pytest.mark.parametrize("rates", [(0, 16_000), (16_000, -1), (16_000, 2_000_000), (999, 16_000)])
def test_rates_out_of_range(rates):
    with pytest.raises(AudioError, match="outside 1000 to 1000000 Hz"):
        Resampler(*rates, 1)


def test_misuse():
    resampler = Resampler(8_000, 16_000, 2)
    with pytest.raises(AudioError, match=r"\[1, 10\], this resampler takes \[2, T\]"):
        resampler.process(np.zeros((1, 10), np.float32))
    resampler.flush()
    assert resampler.flush().shape == (2, 0)
    with pytest.raises(AudioError, match="after flush"):
        resampler.process(np.zeros((2, 10), np.float32))
