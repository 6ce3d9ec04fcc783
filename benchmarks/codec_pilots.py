"""Pilots of the codec's design at equal time: one arm a run, one thread, reconstruction losses only.

    python benchmarks/codec_pilots.py --data DIR --arm ARM [--minutes 15] [--out FILE]

- ours: the package's network, losses and course of training: noise on the latents for the first part of the
  time, then k-means and moving-average codebooks.
- transposed: the same with a decoder of transposed convolutions (`--channels` is its width).
- factorised: the same with factorised codes (DAC), quantized from the first step.
- phones: ours, and CTC over phones on the output of the first codebook, for which every step also encodes
  some transcribed utterances. Their cost counts.

All arms share the recipe's architecture, losses and rates, the seed and the order of the crops. Time is
processor time spent in training steps, k-means included, so other work on the machine matters little. The
line of JSON at the end has PESQ-WB and ESTOI of held-out LibriSpeech readers at every bitrate (without a
search for better codes), and the phone error rate of a linear probe on the first codebook's output. Set
OMP_NUM_THREADS=1.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from pilot_modules import WINDOW, FactorisedQuantizer, Phones, TransposedDecoder, ctc
from torch import Tensor, nn

from mynah.apps.run_folder import Average
from mynah.apps.train_ctc import collate as collate_utterances
from mynah.apps.train_ctc_data import utterances
from mynah.apps.train_data import packed
from mynah.apps.train_evaluate import Validation
from mynah.apps.train_options import TrainOptions, read_recipe
from mynah.apps.train_parts import collate, start_codebooks
from mynah.codec.config import CodecConfig
from mynah.codec.heads.ctc import collapse
from mynah.codec.heads.phone_config import PhoneHeadConfig
from mynah.codec.network import CodecNetwork
from mynah.codec.objective import Reconstruction
from mynah.codec.quantizer import Quantized
from mynah.data import metrics
from mynah.data.corpus import CropSampler, PackedCorpus
from mynah.data.crops import Crops
from mynah.data.edit_distance import error_rate
from mynah.data.manifest import read_manifest
from mynah.data.utterances import Utterance, Utterances

ARMS = ("ours", "transposed", "factorised", "phones")
RECIPE = Path(__file__).parents[1] / "runs" / "codec-16k.json"
EXCLUDED = ("noise", "meetings")
START = 0.4  # share of the time with noise on the latents (factorised: normalised by the batch)
WARMUP, DECAY = 0.02, 1 / 3  # shares in which the learning rate rises and falls
FRESH = 1 << 40  # index of crops that no step trains on
CLIPS = 20
LONGEST, UTTERANCES = 4.0, 4  # seconds and number of the utterances that every step of `phones` also encodes
CTC_WEIGHT = 0.5  # of nats per frame, beside the mel loss
TAUGHT, ASKED, ASKED_SECONDS = 1000, 40, 10.0  # utterances of the probe: trained on; per corpus, measured on
PHRASES = ("wake_words", "fsdd")  # the same few words over and over: no measure of phones


class PilotNetwork(CodecNetwork):
    """The package's network, or one with another decoder or quantizer; trains in bfloat16.

    Attributes:
        starting: in the first part of the training, where latents are normalised by the batch.
    """

    def __init__(self, config: CodecConfig, arm: str, channels: int):
        super().__init__(config)
        self.factorised, self.starting = arm == "factorised", True
        if arm == "transposed":
            self.decoder = TransposedDecoder(config, channels)
        if self.factorised:
            self.quantizer = FactorisedQuantizer(config.n_codebooks, config.codebook_size, config.latent_dim)

    def forward(
        self,
        wav: Tensor,
        rate: Tensor,
        n_codebooks: Tensor,
        noise: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Quantized | None]:
        """As `CodecNetwork.forward`."""
        with torch.autocast("cpu", torch.bfloat16):
            if not self.factorised:
                return super().forward(wav, rate, n_codebooks, noise, generator)
            latent = self.encoder(wav, batch_statistics=self.starting)
            with torch.autocast("cpu", enabled=False):
                quantized = self.quantizer(latent, n_codebooks)
            return self.decoder(quantized.latent, rate), quantized


def whole_frames(wav: Tensor, hop: int) -> Tensor:
    """[B, T] padded to whole frames."""
    return F.pad(wav, (0, -wav.shape[-1] % hop))


def train(
    network: PilotNetwork,
    phones: Phones | None,
    corpus: PackedCorpus,
    spoken: Sequence[Utterance],
    options: TrainOptions,
    budget: float,
) -> dict[str, Any]:
    """Train for `budget` seconds of processor time; leaves the averaged weights in `network`."""
    config = network.config
    objective = Reconstruction(
        options.weights, options.commitment, config.sample_rate, options.complex_weights
    )
    heads = [] if phones is None else list(phones.parameters())
    optimizer = torch.optim.AdamW(
        [*network.parameters(), *heads], lr=options.lr, betas=(0.8, 0.95), weight_decay=0.01, fused=True
    )
    length = round(options.crop * config.frame_rate)
    sampler = CropSampler(corpus, length * config.hop_length, options.corpus_weights)
    noisy = 0 if network.factorised else FRESH
    shape = (length, config.latent_dim)
    crops = Crops(sampler, options.seed, options.rate_weights, noisy, shape, options.latent_noise)
    said = Utterances(corpus, spoken, UTTERANCES, options.seed, {}) if phones else None
    average, generator = Average(network, options.ema), torch.Generator().manual_seed(options.seed)
    used, told, step, times, reports = 0.0, 0.0, 0, [], []
    while used < budget:
        began, share = time.process_time(), used / budget
        if network.starting and share >= START:
            network.starting, crops.noisy = False, 0
            if not network.factorised:
                network.load_state_dict(average.tensors)
                start_codebooks(network, crops, FRESH, torch.device("cpu"), options.seed)
                average = Average(network, options.ema)
            times = []
        for group in optimizer.param_groups:
            group["lr"] = options.lr * min(1.0, (share + 1e-3) / WARMUP, (1 - share) / DECAY)
        first = step * options.batch
        wav, rate, noise = collate([crops[i] for i in range(first, first + options.batch)])
        optimizer.zero_grad()
        result = objective(network, config, wav, rate, noise, generator)
        loss = result.loss
        if phones is not None and said is not None:
            first = step * UTTERANCES
            wav, lengths, words = collate_utterances([said[i] for i in range(first, first + UTTERANCES)])
            labels = [[phone for word in item for phone in word] for item in words]
            frames = lengths.div(config.hop_length).ceil().long()
            wav = whole_frames(wav[:, 0], config.hop_length)
            nats = phones(network, wav, frames, labels, network.starting)
            result.report["ctc"] = float(nats.detach())
            loss = loss + CTC_WEIGHT * nats
        loss.backward()
        optimizer.step()
        average.update(network, step)
        step += 1
        times.append(time.process_time() - began)
        used += times[-1]
        reports.append(result.report)
        if used - told >= 60 or used >= budget:
            means = {k: round(float(np.mean([r[k] for r in reports if k in r])), 3) for k in reports[-1]}
            print(f"{used:.0f} s, step {step}: {means}", file=sys.stderr, flush=True)
            told, reports = used, []
    network.load_state_dict(average.tensors)
    # Of the steps with codebooks; the first of them has k-means in it.
    middle = float(np.median(times[1:] or times))
    return {"steps": step, "ms_per_step": round(1000 * middle), "processor_minutes": round(used / 60, 2)}


@torch.inference_mode()
def evaluate(network: PilotNetwork, wavs: Sequence[np.ndarray]) -> dict[str, Any]:
    """Scores by bitrate, of all clips and in the mean, and the decoder's speed as a multiple of real time."""
    config, result = network.config, {}
    hop, delay = config.hop_length, config.delay
    given = [torch.from_numpy(wav)[None] for wav in wavs]
    latents = [network.encoder(F.pad(whole_frames(wav, hop), (0, delay))) for wav in given]
    for rate, bitrate in enumerate(config.bitrates):
        rows = []
        for wav, latent in zip(wavs, latents):
            coded = network.quantizer.decode(network.quantizer.encode(latent, config.codebooks_at(bitrate)))
            sound = network.decoder(coded, torch.tensor([rate]))[0, delay : delay + len(wav)]
            out = sound.clamp(-1, 1).numpy()
            rows.append((metrics.pesq_wb(wav, out), metrics.estoi(wav, out)))
        for name, values in zip(("pesq", "estoi"), np.transpose(rows)):
            result[f"{name}_{bitrate:g}"] = round(float(np.nanmean(values)), 4)
            result[f"{name}_{bitrate:g}_clips"] = [round(float(v), 3) for v in values]
    seconds = 10
    latent = torch.randn(1, round(seconds * config.frame_rate), config.latent_dim)
    times = []
    for _ in range(5):
        began = time.process_time()
        network.decoder(latent, torch.tensor([0]))
        times.append(time.process_time() - began)
    return result | {"decode_times_real": round(seconds / float(np.median(times)), 1)}


def probe(
    network: PilotNetwork,
    corpora: tuple[PackedCorpus, PackedCorpus],
    spoken: tuple[Sequence[Utterance], Sequence[Utterance]],
    symbols: int,
    seconds: float,
) -> dict[str, float]:
    """Phone error rate, over held-out recordings, of a linear map of `WINDOW` frames of the first codebook's
    output, trained with CTC for `seconds` of processor time."""
    hop, generator = network.config.hop_length, torch.Generator().manual_seed(0)

    @torch.no_grad()
    def read(corpus: PackedCorpus, chosen: Sequence[Utterance]) -> list[tuple[Tensor, list[int]]]:
        pairs = []
        for entry, words in chosen:
            latent = network.encoder(whole_frames(torch.from_numpy(corpus.wav(entry))[None], hop))
            first = network.quantizer.decode(network.quantizer.encode(latent, 1))[0]
            pairs.append((first, [phone for word in words for phone in word]))
        return pairs

    order = torch.randperm(len(spoken[0]), generator=generator)[:TAUGHT]
    taught = read(corpora[0], [spoken[0][i] for i in order])
    groups: dict[str, list[Utterance]] = {}
    for utterance in spoken[1]:
        groups.setdefault(utterance.entry.group, []).append(utterance)
    asked = read(corpora[1], [u for some in groups.values() for u in some[:ASKED]])
    every = torch.cat([x for x, _ in taught])
    mean, scale = every.mean(0), every.std()
    torch.manual_seed(0)
    linear = nn.Conv1d(every.shape[1], symbols, WINDOW, padding=WINDOW // 2)
    optimizer = torch.optim.Adam(linear.parameters(), lr=1e-2)
    used = 0.0
    while used < seconds:
        began = time.process_time()
        for group in optimizer.param_groups:
            group["lr"] = 1e-2 * (1 - used / seconds)
        batch = [taught[i] for i in torch.randint(len(taught), (32,), generator=generator)]
        frames = torch.tensor([len(x) for x, _ in batch])
        x = nn.utils.rnn.pad_sequence([(x - mean) / scale for x, _ in batch], batch_first=True)
        loss = ctc(linear(x.transpose(1, 2)), frames, [labels for _, labels in batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        used += time.process_time() - began
    with torch.no_grad():
        heard = [collapse(linear(((x - mean) / scale).T[None])[0].argmax(0)) for x, _ in asked]
    rate = error_rate((labels, found) for (_, labels), found in zip(asked, heard))
    return {"probe_ctc": round(float(loss.detach()), 4), "phone_error": round(rate, 4)}


def pilot(
    arm: str,
    data: Path,
    minutes: float,
    probe_minutes: float = 1.0,
    channels: int = 256,
    overrides: Sequence[str] = (),
) -> dict[str, Any]:
    """Train one arm and measure it; `overrides` of the recipe as in `mynah train codec --set`."""

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    config, options = read_recipe(RECIPE, list(overrides))
    corpora = packed(data, EXCLUDED, say)
    known = {e.group for e in corpora.train.entries}
    weights = {group: weight for group, weight in options.corpus_weights.items() if group in known}
    options = replace(options, corpus_weights=weights)
    head = PhoneHeadConfig(layers=config.encoder_layers + 2, feature_dim=config.encoder_dim)
    texts = {r.id: r for r in read_manifest(data) if r.text and r.language == "en"}
    taught, asked = (
        [u for u in utterances(corpus, texts, head, longest, say) if u.entry.group not in PHRASES]
        for corpus, longest in zip(corpora, (LONGEST, ASKED_SECONDS))
    )
    validated = ("librispeech",) if any(e.group == "librispeech" for e in corpora.val.entries) else ()
    validation = Validation(corpora.val, validated, CLIPS)
    torch.manual_seed(options.seed)
    network = PilotNetwork(config, arm, channels)
    phones = None
    if arm == "phones":
        phones = Phones(config.latent_dim, len(head.symbols), options.latent_noise[0])
    result: dict[str, Any] = {"arm": arm}
    for name, module in (("decoder", network.decoder), ("quantizer", network.quantizer), ("all", network)):
        result[f"parameters_{name}"] = sum(p.numel() for p in module.parameters())
    result |= train(network.train(), phones, corpora.train, taught, options, 60 * minutes)
    result |= evaluate(network.eval(), validation.wavs)
    if probe_minutes:
        result |= probe(network, corpora, (taught, asked), len(head.symbols), 60 * probe_minutes)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--arm", choices=ARMS, required=True)
    parser.add_argument("--minutes", type=float, default=15, help="of processor time in training steps")
    parser.add_argument("--probe-minutes", type=float, default=1.0, help="0 for no probe")
    parser.add_argument("--channels", type=int, default=256, help="width of --arm transposed")
    parser.add_argument("--out", type=Path, help="the line is added to this file too")
    options = parser.parse_args()
    torch.set_num_threads(1)
    result = pilot(options.arm, options.data, options.minutes, options.probe_minutes, options.channels)
    line = json.dumps(result)
    print(line)
    if options.out:
        with open(options.out, "a") as f:
            f.write(line + "\n")


if __name__ == "__main__":
    main()
