"""Random gain, equalisation, band limits and rooms for training crops, all in one spectral multiplication."""

import numpy as np


def augment(wav: np.ndarray, rng: np.random.Generator, sample_rate: int = 16000) -> np.ndarray:
    """Vary level, colour, bandwidth and room of a crop, float32 [T]; the result stays within [-1, 1].

    A gain of -10..+6 dB always; three times in ten a smooth random equaliser of about +-6 dB; one time in ten
    a band limit as of telephones and old codecs (3.4 to 7 kHz); one time in ten a small simulated room
    (exponentially decaying noise, reverberation time 0.1 to 0.4 s). Nothing is added: the target of a codec
    is its own input.
    """
    room_length = int(0.25 * sample_rate)
    size = len(wav) + room_length
    frequency = np.fft.rfftfreq(size, 1 / sample_rate)
    response: np.ndarray | None = None
    if rng.random() < 0.3:
        nodes = np.cumsum(rng.normal(0, 2.5, 8)).clip(-8, 8)
        positions = np.linspace(0, np.log1p(sample_rate / 2 / 200), 8)
        curve = np.interp(np.log1p(frequency / 200), positions, nodes - nodes.mean())
        response = 10 ** (curve / 20)
    if rng.random() < 0.1:
        cutoff = rng.uniform(3400, 7000)
        response = (1.0 if response is None else response) / np.sqrt(1 + (frequency / cutoff) ** 16)
    if rng.random() < 0.1:
        decay = 6.9 / (rng.uniform(0.1, 0.4) * sample_rate)
        room = rng.normal(size=room_length) * np.exp(-decay * np.arange(room_length))
        room *= rng.uniform(0.05, 0.3) / np.sqrt(np.sum(room**2))
        room[0] = 1.0
        response = (1.0 if response is None else response) * np.fft.rfft(room, size)
    out = wav if response is None else np.fft.irfft(np.fft.rfft(wav, size) * response, size)[: len(wav)]
    out = out * 10 ** (rng.uniform(-10, 6) / 20)
    return (out / max(float(np.abs(out).max()), 1.0)).astype(np.float32)
