"""Validation of a language model during training: bits on speakers it never heard, and what it says when it
goes on from a fixed list of prompts, as sound and pictures."""

import math
from pathlib import Path

import soundfile
import torch
from torch import Tensor

from ..codec import Codec
from ..data import spectrogram
from ..data.errors import MynahError
from ..data.shards import Label, TokenCorpus, marginal_bits
from ..data.token_crops import Crop, example
from ..lm import LanguageModel
from ..lm.config import LMConfig
from ..lm.network import LMNetwork
from ..lm.patterns import STREAMABLE
from .continuing import sampling_at
from .lm_scores import beside, bits_per_code
from .train_lm_options import LMTrainOptions, frames_of

VALIDATED_SECONDS = 400.0
PROMPTS, PROMPT_SECONDS, CONTINUED_SECONDS = 4, 3.0, 5.0


def by_stream(name: str, bits: Tensor) -> dict[str, float]:
    """Bits a code of each stream [K], and of a whole frame."""
    each = {f"{name}_{k}": round(float(value), 4) for k, value in enumerate(bits)}
    return {f"{name}_per_frame": round(float(bits.sum()), 4), **each}


class LMValidation:
    """Bits per frame and continuations on recordings of held-out speakers.

    Args:
        corpus: tokens; those of its split "val" are validated on, those of speakers that are not in "train"
            alone where there are any.
        config: the architecture, as `fitted` to the tokens.
        options: how the model is trained.
        codec: to hear the continuations with.

    Attributes:
        labels: recordings that are coded, one of each speaker first.
        whose: "held-out", or "the same" where all speakers are trained on.
        marginal: bits per frame of a coder that knows only how often each code occurs in "train".

    Raises:
        MynahError: no recordings to validate on.
    """

    def __init__(self, corpus: TokenCorpus, config: LMConfig, options: LMTrainOptions, codec: Codec):
        self.corpus, self.config, self.codec = corpus, config, codec
        train = [label for label in corpus.labels if label.split == "train"]
        heard = {label.speaker for label in train}
        corpora = options.validation_corpora
        val = [
            label
            for label in corpus.labels
            if label.split == "val" and (not corpora or label.corpus in corpora)
        ]
        if not val:
            where = f" of {', '.join(corpora)}" if corpora else ""
            raise MynahError(f"{corpus.folder}: no recordings{where} to validate on")
        held_out = [label for label in val if label.speaker not in heard]
        self.whose = "held-out" if held_out else "the same"
        self.bound, self.ends_after = frames_of(options.crop, config), frames_of(options.ends_after, config)
        self.labels = _spread(held_out or val, frames_of(VALIDATED_SECONDS, config), self.bound)
        self.marginal = float(marginal_bits(corpus, train, self.labels).sum())
        prompt, more = frames_of(PROMPT_SECONDS, config), frames_of(CONTINUED_SECONDS, config)
        self.prompt, self.more = prompt, min(more, config.max_frames - prompt)
        # The last frame of a recording is filled up with silence.
        long = [label for label in self.labels if label.frames > prompt + self.more]
        self.prompts = long[:PROMPTS] if self.more > 0 else []

    def run(self, tensors: dict[str, Tensor], folder: Path) -> dict[str, float]:
        """Scores; sound and spectrograms of the continuations go to `folder`."""
        network = LMNetwork(self.config)
        network.load_state_dict({k: v.cpu() for k, v in tensors.items()})
        model = LanguageModel(network)
        scores = by_stream("bits", self.bits(network, told=False))
        scores["bits_marginal"] = round(self.marginal, 4)
        if self.config.symbols and any(label.id in self.corpus.alignments for label in self.labels):
            scores["bits_told"] = round(float(self.bits(network, told=True).sum()), 4)
        if self.prompts and self.config.pattern in STREAMABLE:
            scores |= self.continuations(model, folder)
        return scores

    def bits(self, network: LMNetwork, told: bool) -> Tensor:
        """Bits a code [K] over all recordings, `told` who speaks what or not; fp32."""
        examples = []
        for label in self.labels:
            stop = min(label.frames, self.bound)
            crop = Crop(label, 0, stop, 0, ended=stop == label.frames >= self.ends_after)
            examples.append(example(self.corpus, crop))
        if not told:
            examples = [e._replace(speaker=None, alignment=None) for e in examples]
        return bits_per_code(network, examples)

    def continuations(self, model: LanguageModel, folder: Path) -> dict[str, float]:
        """What the model says after the first seconds of each prompt, beside what was said."""
        folder.mkdir(parents=True, exist_ok=True)
        rate = self.codec.config.sample_rate
        given = [torch.from_numpy(self.corpus.codes(label)) for label in self.prompts]
        prompts = [codes[:, : self.prompt] for codes in given]
        generators = [torch.Generator().manual_seed(i) for i in range(len(prompts))]
        seconds = self.more / self.config.frame_rate
        least = min(1.0, seconds)
        sampling = sampling_at()
        said = model.continue_codes(
            prompts, seconds, generators=generators, least_seconds=least, sampling=sampling
        ).codes()
        silent: dict[str, list[float]] = {"silence": [], "silence_as_spoken": []}
        for i, (codes, new) in enumerate(zip(given, said, strict=True)):
            pair = beside(self.codec, codes[:, : self.prompt + self.more], self.prompt, new)
            soundfile.write(folder / f"{i}.wav", pair.continued, rate)
            titles = ("as spoken", f"continued from {PROMPT_SECONDS:g} s")
            pictures = [(title, wav, rate) for title, wav in zip(titles, pair[:2], strict=True)]
            spectrogram.plot_comparison(pictures, folder / f"{i}.png")
            for name, ratio in zip(("silence_as_spoken", "silence"), pair.silence, strict=True):
                silent[name].append(ratio)
        made = sum(new.shape[1] for new in said) / self.config.frame_rate
        scores = {"seconds_continued": round(made / len(said), 4)}
        for name, ratios in silent.items():
            defined = [ratio for ratio in ratios if not math.isnan(ratio)]
            if defined:
                scores[name] = round(sum(defined) / len(defined), 4)
        return scores


def _spread(labels: list[Label], frames: int, bound: int) -> list[Label]:
    """Up to so many frames: the first recording of each speaker, then further ones."""
    first: dict[str, int] = {}
    for i, label in enumerate(labels):
        first.setdefault(label.speaker or label.id, i)
    order = sorted(range(len(labels)), key=lambda i: (first[labels[i].speaker or labels[i].id] != i, i))
    chosen, total = [], 0
    for i in order:
        if total < frames:
            chosen.append(labels[i])
            total += min(labels[i].frames, bound)
    return chosen
