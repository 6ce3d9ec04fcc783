"""A short speech-like sound made in code: something to try a codec on where there is no recording.

A source-filter synthesiser after Klatt ("Software for a cascade/parallel formant synthesizer", 1980): glottal
pulses of varying pitch through moving formants, shaped noise for fricatives and the bursts of stops, and
pauses. It says, roughly, "A mynah repeats what it hears. So say it again."
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .audio_types import Audio

SAMPLE_RATE = 16_000
_HOP = 80  # 5 ms: how finely formants and loudness move
_N_FFT = 1024
_HIGH = (3400.0, 4400.0, 5400.0, 6400.0, 7400.0)  # Hz, the formants that do not move
_BANDWIDTHS = (70.0, 100.0, 150.0, 250.0, 300.0, 400.0, 500.0, 600.0)  # Hz, of all formants


class _Phone(NamedTuple):
    """A target that the voice moves towards."""

    formants: tuple[float, float, float]  # Hz, the lowest three
    milliseconds: float
    voice: float = 1.0  # loudness of the glottal pulses
    noise: float = 0.0  # loudness of the friction
    centre: float = 4000.0  # Hz, where the friction is loudest, and how broad it is
    width: float = 1200.0
    accent: float = 0.0  # how far the pitch rises, 0 to 1


_PHONES = {
    "AH": _Phone((640, 1190, 2390), 75),
    "AA": _Phone((750, 1150, 2450), 190, accent=0.5),
    "AY1": _Phone((760, 1250, 2500), 120, accent=1.0),
    "AY2": _Phone((380, 2050, 2600), 80, accent=0.6),
    "IY": _Phone((290, 2250, 2950), 140, accent=0.8),
    "IH": _Phone((400, 1950, 2550), 70),
    "IA": _Phone((420, 1900, 2500), 150, accent=0.9),
    "OW1": _Phone((520, 950, 2400), 100, accent=0.7),
    "OW2": _Phone((360, 800, 2350), 90),
    "EY1": _Phone((480, 1900, 2500), 90, accent=0.8),
    "EY2": _Phone((320, 2200, 2700), 80),
    "EH": _Phone((560, 1750, 2500), 130, accent=0.4),
    "M": _Phone((260, 1100, 2200), 75, voice=0.4),
    "N": _Phone((260, 1500, 2500), 70, voice=0.4),
    "R": _Phone((330, 1150, 1600), 70, voice=0.7),
    "W": _Phone((300, 700, 2200), 70, voice=0.6),
    "G": _Phone((250, 1900, 2300), 60, voice=0.15),
    "P.": _Phone((300, 900, 2300), 65, voice=0.0),
    "P": _Phone((400, 1100, 2350), 22, voice=0.0, noise=0.35, centre=1300, width=1500),
    "T.": _Phone((300, 1800, 2600), 60, voice=0.0),
    "T": _Phone((350, 1800, 2600), 28, voice=0.0, noise=0.6, centre=4500, width=1800),
    "S": _Phone((320, 1750, 2600), 115, voice=0.0, noise=0.75, centre=5800, width=1300),
    "Z": _Phone((300, 1750, 2600), 95, voice=0.25, noise=0.4, centre=5600, width=1400),
    "HH": _Phone((420, 1900, 2600), 60, voice=0.05, noise=0.16, centre=1900, width=1600),
    "-": _Phone((500, 1500, 2500), 90, voice=0.0),
    "--": _Phone((500, 1500, 2500), 320, voice=0.0),
}
_SENTENCES = (
    "- AH M AY1 AY2 N AH R IH P. P IY T. T S W AH T. IH T. T HH IA R Z --",
    "S OW1 OW2 S EY1 EY2 IH T. T AH G EH N --",
)


def speech_like() -> Audio:
    """Return the sound: `Audio(wav [1, T] float32, 16000)`, 3.6 s, peak 0.6, the same at every call."""
    rng = np.random.default_rng(1)
    spoken = [_speak([_PHONES[name] for name in sentence.split()], rng) for sentence in _SENTENCES]
    wav = np.concatenate(spoken)
    return Audio((0.6 * wav / np.abs(wav).max()).astype(np.float32)[None], SAMPLE_RATE)


def _speak(phones: list[_Phone], rng: np.random.Generator) -> NDArray[np.float64]:
    """One sentence, [T]."""
    frames = [round(phone.milliseconds * SAMPLE_RATE / 1000 / _HOP) for phone in phones]
    n_frames = sum(frames)
    length = n_frames * _HOP

    def track(name: str, smoothing: int, index: int | None = None) -> NDArray[np.float64]:
        """A value per frame: the phones' targets, each joined to the next over `smoothing` frames."""
        targets = [getattr(phone, name) if index is None else getattr(phone, name)[index] for phone in phones]
        window = np.hanning(smoothing + 2)[1:-1]
        steps = np.pad(np.repeat(np.array(targets, float), frames), smoothing // 2, mode="edge")
        return np.convolve(steps, window / window.sum(), "valid")

    # The pitch falls through the sentence, rises on accents, and is never quite steady.
    wander = np.convolve(rng.normal(size=n_frames + 40), np.ones(41) / 41, "valid")
    pitch = 122 - 28 * np.linspace(0, 1, n_frames) + 36 * track("accent", 25) + 12 * wander
    pulses = _glottal_pulses(np.interp(np.arange(length) / _HOP, np.arange(n_frames), pitch), rng)
    breath = rng.normal(size=length)

    moving = [track("formants", 11, index) for index in range(3)]
    tract = _vocal_tract([*moving, *(np.full(n_frames, centre) for centre in _HIGH)])
    frequency = np.fft.rfftfreq(_N_FFT, 1 / SAMPLE_RATE)
    distance = (frequency - track("centre", 3)[:, None]) / track("width", 3)[:, None]
    friction = 0.06 * track("noise", 3)[:, None] * np.exp(-0.5 * distance**2)
    tilt = 1 / np.sqrt(1 + (frequency / 2000) ** 2)  # real folds close less abruptly than the pulses
    voiced = track("voice", 5)[:, None] * tract * tilt * _spectra(pulses + 0.015 * breath)
    room = 3e-4 * rng.normal(size=length)
    return _overlap_add(voiced + friction * _spectra(breath), length) + room


def _glottal_pulses(pitch: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """The change of the flow through the glottis; pitch in Hz at every sample (Rosenberg's pulse, 1971)."""
    phase = np.cumsum(pitch / SAMPLE_RATE)
    cycle = np.floor(phase).astype(int)
    opened, closing = 0.4, 0.16  # shares of a cycle in which the flow rises and falls
    t = phase - cycle
    flow = np.where(
        t < opened,
        0.5 * (1 - np.cos(np.pi * t / opened)),
        np.where(t < opened + closing, np.cos(0.5 * np.pi * (t - opened) / closing), 0.0),
    )
    shimmer = 1 + 0.05 * rng.normal(size=cycle[-1] + 1)
    return np.diff(flow * shimmer[cycle], prepend=0.0)


def _vocal_tract(formants: list[NDArray[np.float64]]) -> NDArray[np.complex128]:
    """The response [frames, bins] of resonators in cascade, whose centres in Hz are given for each frame."""
    delay = np.exp(-2j * np.pi * np.arange(_N_FFT // 2 + 1) / _N_FFT)
    response = np.ones((len(formants[0]), len(delay)), complex)
    for centre, bandwidth in zip(formants, _BANDWIDTHS, strict=True):
        radius = np.exp(-np.pi * bandwidth / SAMPLE_RATE)
        turn = (2 * radius * np.cos(2 * np.pi * centre / SAMPLE_RATE))[:, None]
        response *= (1 - turn + radius**2) / (1 - turn * delay + (radius * delay) ** 2)
    return response


def _spectra(wav: NDArray[np.float64]) -> NDArray[np.complex128]:
    """Windowed spectra [frames, bins], one every `_HOP` samples, zero-padded: room to ring."""
    window = np.hanning(4 * _HOP + 1)[:-1]
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(wav, (0, 3 * _HOP)), len(window))[::_HOP]
    return np.fft.rfft(frames * window, _N_FFT)


def _overlap_add(spectra: NDArray[np.complex128], length: int) -> NDArray[np.float64]:
    wav = np.zeros(length + _N_FFT)
    for index, frame in enumerate(np.fft.irfft(spectra, _N_FFT)):
        wav[index * _HOP : index * _HOP + _N_FFT] += frame
    return wav[:length]
