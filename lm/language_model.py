"""The language model as its users see it: phonemes or a prompt to codes, whole or as they are made."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from ..codec import Codec
from ..data.errors import CheckpointError
from ..data.text.subwords import Subwords
from . import checkpoint, patterns
from .condition import UNKNOWN, Condition
from .config import LMConfig
from .generate import MOST_GUIDANCE, Frames, collect, generate, read
from .int8 import Int8Network, quantize
from .network import LMNetwork
from .sampling import Sampling


class Prompt(NamedTuple):
    """Speech to go on from: `codes` int64 [K, P]; what they say, `phonemes` and their `durations` in frames,
    which add up to P, or neither where nobody knows."""

    codes: Tensor
    phonemes: Sequence[str] = ()
    durations: Sequence[int] = ()


class Heard(NamedTuple):
    """A prompt that was read once, for everything that is said after it.

    Attributes:
        prompt: what was heard.
        speaker: float [1, speaker_dim], or None.
        memory: keys and values of its steps, as `generate.read` gives them.
    """

    prompt: Prompt
    speaker: Tensor | None
    memory: Tensor


class Generation:
    """Codes in the making: iterate once for `Frames` as they are complete, or take all with `codes`."""

    def __init__(self, frames: Iterator[Frames], batch: int, n_codebooks: int):
        self._frames, self._batch, self._n_codebooks = frames, batch, n_codebooks

    def __iter__(self) -> Iterator[Frames]:
        for frames in self._frames:  # clones leave inference mode
            yield Frames(frames.codes.clone(), frames.valid.clone())

    def codes(self) -> list[Tensor]:
        """What is left to be made of each item, int64 [K, N], without its prompt."""
        return collect(self._frames, self._batch, self._n_codebooks)


class LanguageModel:
    """A trained language model in evaluation mode.

    Attributes:
        network: its `LMNetwork`, or with weights in 8 bits an `Int8Network`, which can only speak.
        config: its architecture.
        subwords: how words are spelled for it, where it is not told phonemes; or None.
    """

    def __init__(self, network: LMNetwork | Int8Network, subwords: Subwords | None = None):
        self.network: LMNetwork | Int8Network = network.eval().requires_grad_(False)
        self.config: LMConfig = network.config
        self.subwords = subwords

    @classmethod
    def from_pretrained(
        cls, name_or_folder: str | Path, device: str = "cpu", int8: bool = False
    ) -> "LanguageModel":
        """Load a shipped model by name, or a folder with `config.json` and `model.safetensors`.

        Args:
            name_or_folder: which.
            device: where it runs.
            int8: whether the decoder's weights are rounded to 8 bits: sooner said, on a CPU only.

        Raises:
            CheckpointError: nothing there, or not a language model; the message lists the shipped names.
            ValueError: 8 bits elsewhere than on a CPU.
        """
        if int8 and torch.device(device).type != "cpu":
            raise ValueError(f"device={device!r}: 8 bits are for speaking on a CPU")
        network = checkpoint.load(name_or_folder)
        subwords = checkpoint.load_subwords(name_or_folder)
        return cls(quantize(network) if int8 else network.to(device), subwords)

    def check_codec(self, codec: Codec) -> None:
        """CheckpointError where the model was trained on the codes of another codec."""
        c = self.config
        if c.codec_hash not in ("", codec.codes_hash):
            raise CheckpointError(
                f"{c.name} speaks codes of {c.codec} {c.codec_hash[:8]}, not of {codec.config.name} "
                f"{codec.codes_hash[:8] or '(never saved)'}"
            )

    def speak(
        self,
        phonemes: Sequence[Sequence[str]],
        durations: Sequence[Sequence[int]],
        *,
        generators: Sequence[torch.Generator],
        prompts: Sequence[Prompt | None] | None = None,
        speaker: Tensor | None = None,
        heard: Heard | None = None,
        guidance: float = 1.0,
        sampling: Sampling | None = None,
    ) -> Generation:
        """Speech from phonemes: a decoder-only codec language model (VALL-E, Wang et al. 2023) that is told
        which phoneme every frame belongs to, so it says each once (RALL-E, Xin et al. 2024).

        Args:
            phonemes: of each item, from `config.symbols`.
            durations: of each phoneme in frames, 0 and up; an item lasts as long as they add up to.
            generators: one for each item; the same state gives the same codes in any batch.
            prompts: speech of each item that comes before and whose voice is kept, or None.
            speaker: float [B, speaker_dim], for a model with speaker vectors; zeros for an unknown speaker.
            heard: from `hear`, instead of `prompts` and `speaker`: the same for all items, and read already.
            guidance: scale of classifier-free guidance towards phonemes and speaker, 0 to 100: 1 for none,
                0 to ignore both.
            sampling: how codes are drawn; the default `Sampling()` for None.

        Returns:
            The codes of each item, [K, sum of its durations], as `Generation.codes` or streamed.

        Raises:
            ValueError: a symbol that is not in the model's, lists of different lengths, nothing to speak,
                more than `config.max_frames`, codes or a speaker vector that do not fit.
        """
        if not self.config.symbols:
            raise ValueError(f"{self.config.name} was trained without text: it can only continue speech")
        if heard is not None:
            if prompts is not None or speaker is not None:
                raise ValueError("heard= holds prompt and speaker: prompts= and speaker= do not go with it")
            prompts = [heard.prompt] * len(phonemes)
            if heard.speaker is not None:
                speaker = heard.speaker.expand(len(phonemes), -1)
        prompts = prompts if prompts is not None else [None] * len(phonemes)
        _same_length(phonemes=phonemes, durations=durations, prompts=prompts, generators=generators)
        if not 0 <= guidance <= MOST_GUIDANCE:
            raise ValueError(f"guidance={guidance}: 0 to {MOST_GUIDANCE:g} is expected")
        before, spoken, told = [], [], []
        for own, own_durations, prompt in zip(phonemes, durations, prompts, strict=True):
            prompt = prompt or self._silence
            before.append(self._checked(prompt.codes))
            ids, frames = self._spoken(own, own_durations)
            if not sum(frames):
                raise ValueError("there is nothing to speak: phonemes of at least one frame are expected")
            prompt_ids, prompt_frames = self._told(prompt)
            told.append(len(prompt_ids))
            spoken.append((torch.tensor(prompt_ids + ids), torch.tensor(prompt_frames + frames)))
        n_frames = [self._limited(int(frames.sum())) for _, frames in spoken]
        padded = [
            torch.nn.utils.rnn.pad_sequence(part, batch_first=True).to(self._device)
            for part in map(list, zip(*spoken, strict=True))
        ]
        condition = Condition(
            padded[0],
            padded[1],
            self._speaker(speaker, len(phonemes)),
            torch.tensor(told, device=self._device),
        )
        memory = heard.memory if heard is not None else None
        return self._generation(before, n_frames, condition, sampling, generators, guidance, memory=memory)

    def hear(self, prompt: Prompt | None = None, speaker: Tensor | None = None) -> Heard:
        """Read a prompt once, for `speak`; what is said then is the same to the rounding, and begins sooner.

        Args:
            prompt: as in `speak`.
            speaker: float [1, speaker_dim], for a model with speaker vectors, or None.

        Raises:
            ValueError: as `speak`, about the prompt and the speaker.
        """
        prompt = prompt or self._silence
        codes = self._checked(prompt.codes)
        self._limited(codes.shape[1])
        vector = self._speaker(speaker, 1)
        return Heard(prompt, vector, read(self.network, codes, self._condition(prompt, vector)))

    def continue_codes(
        self,
        prompts: Tensor | Sequence[Tensor] | Heard,
        seconds: float,
        *,
        generators: Sequence[torch.Generator],
        least_seconds: float = 0.0,
        speaker: Tensor | None = None,
        sampling: Sampling | None = None,
    ) -> Generation:
        """Speech that goes on from a prompt without text (AudioLM, Borsos et al. 2022).

        Args:
            prompts: codes of each item, int64 [K, P]; P = 0 for speech out of nothing. Or from `hear`: the
                same prompt for as many items as there are generators, read already.
            seconds: after the prompt, at most; shorter where the model ends the speech.
            generators: one for each item; the same state gives the same codes in any batch.
            least_seconds: after the prompt, at least.
            speaker: float [B, speaker_dim], for a model with speaker vectors; zeros for an unknown speaker.
                What was heard has its own.
            sampling: how codes are drawn; the default `Sampling()` for None.

        Returns:
            The codes of each item after its prompt, as `Generation.codes` or streamed.

        Raises:
            ValueError: codes that do not fit, no room for a frame, more than `config.max_frames`, or a
                pattern that has to know how long the speech is going to be.
        """
        if self.config.pattern not in patterns.STREAMABLE:
            raise ValueError(
                f"{self.config.name} predicts its codes {self.config.pattern!r}: it has to be told the length"
            )
        heard: Heard | None = None
        said: Tensor | Sequence[Tensor]
        if isinstance(prompts, Heard):
            if speaker is not None:
                raise ValueError("what was heard holds the speaker: speaker= does not go with it")
            heard, said = prompts, [prompts.prompt.codes] * len(generators)
        else:
            said = prompts
        _same_length(prompts=said, generators=generators)
        most = round(seconds * self.config.frame_rate) if math.isfinite(seconds) else 0
        if most < 1:
            raise ValueError(f"seconds={seconds}: at least a frame is expected")
        least = round(least_seconds * self.config.frame_rate) if math.isfinite(least_seconds) else -1
        if not 0 <= least <= most:
            raise ValueError(f"least_seconds={least_seconds}: 0 to {seconds} is expected")
        before = [self._checked(codes) for codes in said]
        n_frames = [self._limited(codes.shape[1] + most) for codes in before]
        at_least = [codes.shape[1] + least for codes in before]
        if heard is None:
            condition = Condition(speaker=self._speaker(speaker, len(before)))
            return self._generation(before, n_frames, condition, sampling, generators, 1.0, at_least)
        told = (
            x if x is None else x.expand(len(before), -1)
            for x in self._condition(heard.prompt, heard.speaker)
        )
        condition, memory = Condition(*told), heard.memory
        return self._generation(before, n_frames, condition, sampling, generators, 1.0, at_least, memory)

    @property
    def _device(self) -> torch.device:
        return self.network.tables.device

    def _generation(
        self,
        prompts: list[Tensor],
        n_frames: list[int],
        condition: Condition,
        sampling: Sampling | None,
        generators: Sequence[torch.Generator],
        guidance: float,
        at_least: list[int] | None = None,
        memory: Tensor | None = None,
    ) -> Generation:
        sampling = sampling or Sampling()
        frames = generate(
            self.network, prompts, n_frames, condition, sampling, generators, guidance, at_least, memory
        )
        return Generation(frames, len(prompts), self.config.n_codebooks)

    @property
    def _silence(self) -> Prompt:
        """The prompt of those that have none."""
        return Prompt(torch.zeros(self.config.n_codebooks, 0, dtype=torch.int64))

    def _condition(self, prompt: Prompt, speaker: Tensor | None) -> Condition:
        """Of a prompt alone, one item."""
        if not self.config.symbols:
            return Condition(speaker=speaker)
        ids, frames = (torch.tensor([part], device=self._device) for part in self._told(prompt))
        return Condition(ids, frames, speaker)

    def _told(self, prompt: Prompt) -> tuple[list[int], list[int]]:
        """Ids and durations of a prompt, one unknown phoneme where nobody knows what it says."""
        n_frames = prompt.codes.shape[1]
        if not len(prompt.phonemes) and not len(prompt.durations):
            return [UNKNOWN], [n_frames]
        ids, frames = self._spoken(prompt.phonemes, prompt.durations)
        if sum(frames) != n_frames:
            raise ValueError(
                f"the prompt's durations add up to {sum(frames)} frames, its codes have {n_frames}"
            )
        return ids, frames

    def _spoken(self, phonemes: Sequence[str], durations: Sequence[int]) -> tuple[list[int], list[int]]:
        """Ids and durations of one item."""
        _same_length(phonemes=phonemes, durations=durations)
        frames = [int(duration) for duration in durations]
        if any(duration < 0 for duration in frames):
            raise ValueError(f"a duration of {min(frames)} frames: 0 or more is expected")
        return self.config.ids(phonemes), frames

    def _checked(self, codes: Tensor) -> Tensor:
        """`codes` [K, P] on the CPU; ValueError for anything that would read past the tables."""
        c = self.config
        if codes.ndim != 2 or len(codes) != c.n_codebooks or codes.dtype != torch.int64:
            found = f"{codes.dtype} of shape {tuple(codes.shape)}"
            raise ValueError(f"a prompt's codes are {found}: int64 [{c.n_codebooks}, frames] is expected")
        codes = codes.cpu()
        if codes.numel() and not 0 <= int(codes.min()) <= int(codes.max()) < c.codebook_size:
            low, high = int(codes.min()), int(codes.max())
            raise ValueError(f"a prompt's codes lie in {low}..{high}: 0..{c.codebook_size - 1} is expected")
        return codes

    def _limited(self, n_frames: int) -> int:
        c = self.config
        if n_frames > c.max_frames:
            seconds, most = n_frames / c.frame_rate, c.max_frames / c.frame_rate
            raise ValueError(f"{seconds:g} s with the prompt: {c.name} can speak {most:g} s at once")
        return n_frames

    def _speaker(self, speaker: Tensor | None, batch: int) -> Tensor | None:
        if speaker is None:
            return None
        if not self.config.speaker_dim:
            raise ValueError(f"{self.config.name} takes no speaker vector")
        if speaker.shape != (batch, self.config.speaker_dim) or not bool(speaker.isfinite().all()):
            expected = f"finite [{batch}, {self.config.speaker_dim}]"
            raise ValueError(f"speaker has shape {tuple(speaker.shape)}: {expected} is expected")
        return speaker.float().to(self._device)


def _same_length(**lists: Sequence[object] | Tensor) -> None:
    """ValueError for lists of different lengths, or none."""
    lengths = {name: len(values) for name, values in lists.items()}
    if len(set(lengths.values())) > 1 or not all(lengths.values()):
        found = ", ".join(f"{n} {name}" for name, n in lengths.items())
        raise ValueError(f"{found}: as many of each are expected, and at least one")
