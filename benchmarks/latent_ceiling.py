"""What limits the codec: PESQ-WB and ESTOI with latents unquantized and through 3, 6 and 12 codebooks, and
how many directions the latents use.

python benchmarks/latent_ceiling.py [FOLDER_OF_SPEECH] [CODEC]
"""

import sys
from pathlib import Path

import numpy as np
import torch

from mynah.codec import Codec
from mynah.data import audio, metrics
from mynah.data.manifest import read_manifest

CLIPS, SECONDS, RATE = 12, 8, 16000


@torch.inference_mode()
def main(data: str = "../shared/data", name: str = "mynah-16k") -> None:
    """Print a line for each way, then the spectrum of the latents' covariance."""
    found = [r for r in read_manifest(Path(data)) if r.split == "val" and "librispeech" in str(r.path)]
    codec = Codec.from_pretrained(name)
    network, hop, delay = codec.network, codec.config.hop_length, codec.config.delay
    rates = {codec.codebooks_for(b): i for i, b in enumerate(codec.config.bitrates)}
    scores: dict[str, list[tuple[float, float]]] = {}
    latents, lost = [], []
    for recording in found[:CLIPS]:
        wav = audio.load(recording.path, RATE).wav[0, : SECONDS * RATE]
        wav = wav[: len(wav) // hop * hop]
        latent = network.encoder(torch.nn.functional.pad(torch.from_numpy(wav)[None], (0, delay)))
        ways = {"unquantized": (latent, max(rates.values()))}
        for books, rate in rates.items():
            codes = network.search(latent, books)
            ways[f"{books} codebooks"] = (network.quantizer.decode(codes), rate)
        for way, (given, rate) in ways.items():
            out = network.decoder(given, torch.tensor([rate]))[0, delay:].numpy()
            scores.setdefault(way, []).append((metrics.pesq_wb(wav, out), metrics.estoi(wav, out)))
        latents.append(latent[0])
        lost.append(float((given - latent).square().mean() / latent.square().mean()))
    for way, pairs in scores.items():
        print("{}: PESQ-WB {:.3f}, ESTOI {:.3f}".format(way, *np.mean(pairs, 0)))
    print(f"all codebooks leave {100 * np.mean(lost):.2f} % of the latents' energy")
    values = torch.linalg.eigvalsh(torch.cov(torch.cat(latents).T)).flip(0)
    share = values.cumsum(0) / values.sum()
    for limit in (0.9, 0.99, 0.999):
        count = int((share < limit).sum()) + 1
        print(f"{count} of {len(values)} directions hold {100 * limit:g} % of the variance")


if __name__ == "__main__":
    main(*sys.argv[1:])
