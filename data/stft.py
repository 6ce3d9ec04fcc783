"""Spectra in NumPy, for metrics and pictures: the magnitude spectrogram and Slaney mel bands."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

_FRAMES_AT_ONCE = 4096  # 64 MB of complex numbers at n_fft 1024: long sounds in bounded memory


def stft_magnitude(
    wav: NDArray[np.floating], n_fft: int = 1024, hop_length: int = 256
) -> NDArray[np.float32]:
    """Return the magnitudes [n_fft // 2 + 1, frames] of the short-time Fourier transform of `wav` [T].

    Frame i is centred on sample i * hop_length, for i from 0 to T // hop_length; the sound is zero outside
    its ends. Periodic Hann window, no scaling (a full-scale sine gives n_fft / 4).
    """
    assert wav.ndim == 1, wav.shape
    window = np.hanning(n_fft + 1)[:-1]
    padded = np.pad(np.asarray(wav, np.float64), n_fft // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[::hop_length]
    magnitude = np.empty((n_fft // 2 + 1, len(frames)), np.float32)
    for start in range(0, len(frames), _FRAMES_AT_ONCE):
        part = frames[start : start + _FRAMES_AT_ONCE] * window
        magnitude[:, start : start + len(part)] = np.abs(np.fft.rfft(part, axis=1)).T
    return magnitude


@lru_cache(maxsize=8)
def mel_filterbank(sample_rate: int = 16_000, n_fft: int = 1024, n_mels: int = 80) -> NDArray[np.float32]:
    """Return the weights [n_mels, n_fft // 2 + 1] of triangular bands, equally spaced in mel from 0 Hz to
    half the rate.

    Slaney's mel scale (linear below 1 kHz, logarithmic above; Auditory Toolbox, 1998), each triangle with an
    area of 1 Hz, as librosa's default.
    """
    edges = _mel_to_hz(np.linspace(0.0, _hz_to_mel(sample_rate / 2), n_mels + 2))
    bins = np.fft.rfftfreq(n_fft, 1 / sample_rate)
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising, falling = (bins - low) / (centre - low), (high - bins) / (high - centre)
    weights = (np.maximum(0, np.minimum(rising, falling)) * 2 / (high - low)).astype(np.float32)
    weights.setflags(write=False)  # it is shared
    return weights


_HZ_PER_MEL = 200 / 3  # below 1 kHz
_BREAK_HZ, _BREAK_MEL = 1000.0, 15.0
_LOG_STEP = np.log(6.4) / 27  # above


def _hz_to_mel(hz: float) -> float:
    return hz / _HZ_PER_MEL if hz < _BREAK_HZ else _BREAK_MEL + float(np.log(hz / _BREAK_HZ)) / _LOG_STEP


def _mel_to_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    above = _BREAK_HZ * np.exp(_LOG_STEP * (np.maximum(mel, _BREAK_MEL) - _BREAK_MEL))
    return np.where(mel < _BREAK_MEL, mel * _HZ_PER_MEL, above)
