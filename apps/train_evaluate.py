"""Validation during training: fixed clips, coded at every offered bitrate, scored, kept as audio and
pictures."""

from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import Tensor

from ..codec.codec import Codec
from ..codec.config import CodecConfig
from ..codec.network import CodecNetwork
from ..data import metrics, spectrogram
from ..data.corpus import PackedCorpus
from ..data.errors import MynahError


@torch.inference_mode()
def _unquantized(network: CodecNetwork, wav: Tensor) -> Tensor:
    """[1, T] through encoder and decoder alone -> [T]."""
    hop, delay = network.config.hop_length, network.config.delay
    padded = torch.nn.functional.pad(wav, (0, -wav.shape[1] % hop + delay))
    best = torch.tensor([len(network.config.bitrates) - 1])
    return network.decoder(network.encoder(padded), best)[0, delay : delay + wav.shape[1]]


class Validation:
    """Scores on the first seconds of up to `clips` recordings of each named group.

    Args:
        corpus: held-out recordings.
        groups: which corpora count; one clip per speaker first, then further ones.
        clips: at most so many; `seconds` of each.
        shown: how many clips are written as audio and spectrogram at every evaluation.
    """

    def __init__(
        self,
        corpus: PackedCorpus,
        groups: tuple[str, ...] = (),
        clips: int = 12,
        seconds: float = 8,
        shown: int = 2,
    ):
        chosen = [e for e in corpus.entries if not groups or e.group in groups]
        first: dict[str, int] = {}
        for i, entry in enumerate(chosen):
            first.setdefault(entry.speaker or entry.id, i)
        order = sorted(range(len(chosen)), key=lambda i: (first[chosen[i].speaker or chosen[i].id] != i, i))
        rate = 16000
        self.wavs = [corpus.wav(chosen[i])[: int(seconds * rate)] for i in order[:clips]]
        self.wavs = [w for w in self.wavs if len(w) >= rate]
        self.shown = shown
        if not self.wavs:
            where = f"of {', '.join(groups)} " if groups else ""
            raise MynahError(f"no recording {where}of at least a second to validate on")

    def run(
        self, config: CodecConfig, tensors: dict[str, Tensor], folder: Path, quantized: bool = True
    ) -> dict:
        """PESQ-WB, ESTOI and mel distance by bitrate, and the codebooks' use and entropy over the clips; of
        the latents as they are where they are not yet `quantized`."""
        network = CodecNetwork(config)
        network.load_state_dict({k: v.cpu() for k, v in tensors.items()})
        codec = Codec(network)
        scores: dict = {}
        folder.mkdir(parents=True, exist_ok=True)
        shown: list[list[tuple[str, np.ndarray, int]]] = [
            [("original", w, 16000)] for w in self.wavs[: self.shown]
        ]
        codes = []
        for bitrate in config.bitrates if quantized else (None,):
            rows = []
            label = "latents" if bitrate is None else f"{bitrate:g}"
            for i, wav in enumerate(self.wavs):
                given = torch.from_numpy(wav)[None]
                if bitrate is None:
                    out = _unquantized(network, given).numpy()
                else:
                    encoded = codec.encode(given[None], config.sample_rate, bitrate)
                    out = codec.decode(encoded)[0, 0].numpy()
                    if bitrate == config.bitrates[-1]:
                        codes.append(encoded.codes[0])
                pair = (wav, out)
                rows.append((metrics.pesq_wb(*pair), metrics.estoi(*pair), metrics.mel_distance(*pair)))
                if i < self.shown:
                    shown[i].append((label if bitrate is None else f"{label} kbit/s", out, 16000))
                    soundfile.write(folder / f"{i}_{label}.wav", out, 16000)
            for name, value in zip(("pesq", "estoi", "mel_distance"), np.nanmean(rows, 0), strict=True):
                scores[f"{name}_{label}"] = round(float(value), 4)
        for i, pictures in enumerate(shown):
            spectrogram.plot_comparison(pictures, folder / f"{i}.png")
        if not quantized:
            return scores
        every = torch.cat(codes, 1)
        counts = [torch.bincount(c, minlength=config.codebook_size).double() for c in every]
        probabilities = [c / c.sum() for c in counts]
        scores["used"] = [int((c > 0).sum()) for c in counts]
        scores["entropy_bits"] = [round(float(-(p[p > 0] * p[p > 0].log2()).sum()), 2) for p in probabilities]
        return scores
