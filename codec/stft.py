"""Causal short-time Fourier analysis and synthesis with explicit state.

The last window of a frame of analysis ends with the frame. The first window of a frame of synthesis begins
one hop before it, so each output sample is complete one hop after its frame: with hop 320 and window 640 at
16 kHz, 20 ms of delay, 40 ms of algorithmic latency."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Analysis(nn.Module):
    """Waveform -> per frame, `subframes` spectra as compressed real, imaginary and log-magnitude parts.

    Compression |X|^0.3 keeps the quiet consonants visible beside the loud vowels (Wilson et al. 2018).
    """

    window: Tensor

    def __init__(self, n_fft: int, subhop: int, subframes: int):
        super().__init__()
        self.n_fft, self.subhop, self.subframes = n_fft, subhop, subframes
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)
        self.dim = subframes * 3 * (n_fft // 2 + 1)

    def init_state(self, batch: int) -> Tensor:
        """Past samples [B, n_fft - subhop], zeros."""
        return self.window.new_zeros(batch, self.n_fft - self.subhop)

    def step(self, wav: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """[B, n * hop] samples -> features [B, n, dim]."""
        past = torch.cat([state, wav], 1)
        spectra = torch.fft.rfft(past.unfold(1, self.n_fft, self.subhop) * self.window)
        magnitude = spectra.abs().clamp_min(1e-5)
        compressed = torch.view_as_real(spectra) * magnitude.pow(-0.7).unsqueeze(-1)
        features = torch.cat([compressed.flatten(2), 0.3 * magnitude.log()], -1)
        new_state = past[:, past.shape[1] - (self.n_fft - self.subhop) :]
        return features.reshape(len(wav), -1, self.dim), new_state


class Synthesis(nn.Module):
    """Spectra at the subframe rate -> waveform, by inverse FFT and windowed overlap-add."""

    window: Tensor

    def __init__(self, n_fft: int, subhop: int):
        super().__init__()
        self.n_fft, self.subhop = n_fft, subhop
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)

    def init_state(self, batch: int) -> tuple[Tensor, Tensor]:
        """The unfinished tails of signal and window energy, each [B, n_fft - subhop]."""
        tail = self.window.new_zeros(batch, self.n_fft - self.subhop)
        return tail, tail

    def step(self, spectra: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Complex [B, s, n_fft // 2 + 1] -> samples [B, s * subhop] (the first ones of a stream are its
        delay)."""
        frames = torch.fft.irfft(spectra, self.n_fft) * self.window
        energy = (self.window**2).expand(len(frames), frames.shape[1], -1)
        finished, tails = [], []
        for pieces, tail in ((frames, state[0]), (energy, state[1])):
            total = self.overlap_add(pieces)
            total = total + F.pad(tail, (0, total.shape[1] - tail.shape[1]))
            done = pieces.shape[1] * self.subhop
            finished.append(total[:, :done])
            tails.append(total[:, done:])
        return finished[0] / finished[1].clamp_min(1e-3), (tails[0], tails[1])

    def overlap_add(self, frames: Tensor) -> Tensor:
        """[B, s, n_fft] -> [B, (s - 1) * subhop + n_fft]."""
        parts = frames.unflatten(2, (-1, self.subhop))
        count = parts.shape[2]
        shifted = [F.pad(parts[:, :, i], (0, 0, i, count - 1 - i)) for i in range(count)]
        return torch.stack(shifted).sum(0).flatten(1)
