"""How closely the perceptual loss follows PESQ-WB: on clips degraded in twenty ways, and on coded speech.

python benchmarks/perceptual_correlation.py [FOLDER_OF_SPEECH] [CODEC]
"""

import sys
from pathlib import Path

import numpy as np
import torch
from scipy.signal import butter, lfilter
from scipy.stats import pearsonr, spearmanr

from mynah.codec import Codec
from mynah.codec.perceptual import PerceptualDisturbance
from mynah.data import audio, metrics
from mynah.data.manifest import read_manifest

CLIPS, SECONDS, RATE = 5, 8, 16000


def raw_score(pesq: float) -> float:
    """P.862.2's mapping undone: the scale on which the loss is a distance from 4.5."""
    return float((3.8224 - np.log(4 / (np.clip(pesq, 1.001, 4.64) - 0.999) - 1)) / 1.3669)


def degraded(wav: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    """White noise, random magnitudes and phases, low-pass filters, coarse quantization."""
    window = torch.hann_window(512)
    spectra = torch.stft(torch.from_numpy(wav), 512, 128, window=window, return_complex=True)

    def back(factor: np.ndarray) -> np.ndarray:
        changed = spectra * torch.from_numpy(factor.astype(np.complex64))
        return torch.istft(changed, 512, 128, window=window, length=len(wav)).numpy()

    level = wav.std()
    out = [wav + rng.standard_normal(len(wav)) * level * 10 ** (-snr / 20) for snr in (30, 20, 10, 5, 0)]
    for strength in (0.1, 0.3, 0.6, 1.0):
        out.append(back(np.exp(strength * rng.standard_normal(spectra.shape))))
        out.append(back(np.exp(3j * strength * rng.standard_normal(spectra.shape))))
    out += [lfilter(*butter(4, cutoff / 8000), wav) for cutoff in (1000, 2000, 3400, 5000)]
    out += [np.round(wav / level / step) * step * level for step in (0.5, 0.2, 0.05)]
    return [x.astype(np.float32) for x in out]


def main(data: str = "../shared/data", name: str = "mynah-16k") -> None:
    """Print rank and linear correlation, then means on coded speech."""
    found = [r for r in read_manifest(Path(data)) if r.split == "val" and "librispeech" in str(r.path)]
    loss, codec, rng = PerceptualDisturbance(), Codec.from_pretrained(name), np.random.default_rng(0)
    scores: list[tuple[float, float]] = []
    coded: dict[float, list[tuple[float, float]]] = {}
    for recording in found[:CLIPS]:
        wav = audio.load(recording.path, RATE).wav[0, : SECONDS * RATE]

        def both(other: np.ndarray, wav: np.ndarray = wav) -> tuple[float, float]:
            distance = float(loss(torch.from_numpy(other)[None], torch.from_numpy(wav)[None]))
            return raw_score(metrics.pesq_wb(wav, other)), 4.5 - distance

        scores += [both(other) for other in degraded(wav, rng)]
        for bitrate in codec.config.bitrates:
            out = codec.decode(codec.encode(wav[None, None], RATE, bitrate))[0, 0].numpy()
            coded.setdefault(bitrate, []).append(both(out))
    real, ours = np.array(scores).T
    print(f"{len(real)} degraded clips: Spearman {spearmanr(real, ours).statistic:.3f}, ", end="")
    print(f"Pearson {pearsonr(real, ours).statistic:.3f} with the raw score of PESQ-WB")
    for bitrate, pairs in coded.items():
        real, ours = np.mean(pairs, 0)
        print(f"{codec.config.name} {bitrate:g} kbit/s: raw PESQ {real:.2f}, the loss says {ours:.2f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
