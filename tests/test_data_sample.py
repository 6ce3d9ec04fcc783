"""The sound made in code looks like speech to measures of speech."""

import numpy as np

from mynah.data.sample import speech_like
from mynah.data.stft import stft_magnitude


def test_is_the_same_every_time_and_fits_a_file():
    sound = speech_like()
    assert sound.sample_rate == 16_000
    assert sound.wav.shape[0] == 1
    assert sound.wav.dtype == np.float32
    assert 0.55 < np.abs(sound.wav).max() < 0.65
    assert np.array_equal(sound.wav, speech_like().wav)


def test_has_voice_friction_and_pauses():
    power = stft_magnitude(speech_like().wav[0], 512, 160) ** 2
    low, high = power[4:96].sum(0), power[128:].sum(0)  # 125 Hz to 3 kHz, above 4 kHz
    loud = power.sum(0) > 1e-3 * power.sum(0).max()
    assert 0.1 < np.mean(~loud) < 0.5  # pauses
    assert 0.05 < np.mean((high > low) & loud) < 0.4  # fricatives
    assert np.mean((low > 10 * high) & loud) > 0.3  # vowels


def test_pitch_is_that_of_a_man_and_moves():
    wav = speech_like().wav[0]
    lags = np.arange(80, 230)  # 70 to 200 Hz
    pitches = []
    for start in range(0, len(wav) - 1200, 400):
        frame = wav[start : start + 1200] - wav[start : start + 1200].mean()
        match = np.array([frame[:-lag] @ frame[lag:] for lag in lags]) / max(float(frame @ frame), 1e-9)
        if match.max() > 0.6:
            pitches.append(16_000 / lags[match.argmax()])
    assert len(pitches) > 30
    assert 90 < np.median(pitches) < 150
    assert np.std(pitches) > 5
