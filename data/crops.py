"""Training examples of the codec as a pure function of (seed, index): a run killed anywhere resumes to the
same data, and any number of processes sees the same batches."""

from typing import NamedTuple

import numpy as np

from .augment import augment
from .corpus import CropSampler


class Crop(NamedTuple):
    """`wav` float32 [T]; `rate` index drawn by the weights; `noise` float32 [N, D] for the latents, or
    empty."""

    wav: np.ndarray
    rate: int
    noise: np.ndarray


class Crops:
    """A map-style dataset: example `index` belongs to step `index // batch`.

    Args:
        sampler: draws the crops.
        seed: of everything random here.
        rate_weights: chance of each operating point, lowest bitrate first, then of any other way.
        noisy: examples below this index carry latent noise; the later ones are quantized.
        noise_shape: (frames, channels) of that noise.
        noise_levels: its standard deviation for each entry of `rate_weights`.
    """

    def __init__(
        self,
        sampler: CropSampler,
        seed: int,
        rate_weights: tuple[float, ...],
        noisy: int = 0,
        noise_shape: tuple[int, int] = (0, 0),
        noise_levels: tuple[float, ...] = (),
    ):
        self.sampler, self.seed, self.noisy = sampler, seed, noisy
        self.rates = np.cumsum(rate_weights) / np.sum(rate_weights)
        self.noise_shape, self.noise_levels = noise_shape, noise_levels

    def __getitem__(self, index: int) -> Crop:
        rng = np.random.default_rng((self.seed, index))
        wav = augment(self.sampler.crop(rng), rng)
        rate = int(np.searchsorted(self.rates, rng.random()))
        if index >= self.noisy:
            return Crop(wav, rate, np.zeros((0, 0), np.float32))
        noise = rng.standard_normal(self.noise_shape, np.float32)
        return Crop(wav, rate, noise * np.float32(self.noise_levels[rate]))
