"""Going on from a prompt in parts, each the best of several takes.

A language model of codes that nobody tells what to say loses its thread: it falls silent, mumbles, drifts
away from the voice. The codec's heads hear that. So each part is drawn several times, in one batch, and the
take with the most phones in the voice of the prompt is what the next part goes on from.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..codec import Codec
from ..codec.heads import PhoneHead, SpeakerHead
from ..codec.heads.ctc import collapse
from ..lm import LanguageModel, Sampling
from ..lm.language_model import Prompt
from .speakers import embed_all

PART = 1.6  # seconds
LEAST_ALIKE = 0.01  # where nothing is like the voice, more speech is better still
BEFORE = 1.0  # seconds before a part that are decoded and heard with it
TAKES, MOST = 8, 32  # usual, and allowed


class Listener:
    """Hears how much of a sound is speech, and in whose voice.

    Args:
        codec: what the language model speaks in.
        phones, voices: its heads.
        takes: of each part, 2 to `MOST`.
    """

    def __init__(self, codec: Codec, phones: PhoneHead, voices: SpeakerHead, takes: int):
        if not 2 <= takes <= MOST:
            raise ValueError(f"takes={takes}: 2 to {MOST} are expected")
        self.codec, self.phones, self.voices, self.takes = codec, phones, voices, takes

    @classmethod
    def from_pretrained(cls, codec: Codec, takes: int) -> "Listener":
        """With the shipped heads; OtherCodecError where they are for another codec."""
        return cls(codec, PhoneHead.from_pretrained(codec), SpeakerHead.from_pretrained(codec), takes)

    def voice(self, codes: Tensor) -> NDArray[np.float32]:
        """The voice in codes [K, N], a unit vector."""
        return embed_all(self.voices, [self.codec.decode(codes[None])[0, 0].cpu().numpy()])[0]

    def scores(self, voice: NDArray[np.float32], said: Tensor, takes: Sequence[Tensor]) -> list[float]:
        """Of each way [K, n] to go on after codes [K, P]: phones times likeness (cosine, at least
        `LEAST_ALIKE`) to a voice."""
        hop = self.codec.config.hop_length
        before = said[:, -round(BEFORE * self.codec.config.frame_rate) :]
        codes = [torch.cat([before, take], 1) for take in takes]
        lengths = [(one.shape[1] - 1) * hop for one in codes]  # all but what the codec's delay holds back
        padded = torch.nn.utils.rnn.pad_sequence([one.T for one in codes], batch_first=True).transpose(1, 2)
        wav = self.codec.decode(padded).cpu()
        heard = self.phones.scores(wav, lengths).ctc.argmax(-1)
        sounds = [len(collapse(row[before.shape[1] : length // hop])) for row, length in zip(heard, lengths)]
        own = embed_all(self.voices, [row[0, :length].numpy() for row, length in zip(wav, lengths)])
        return [n * max(float(one @ voice), LEAST_ALIKE) for n, one in zip(sounds, own, strict=True)]


class BestTakes:
    """Speaks on from a prompt, part by part, as a listener likes it.

    Args:
        model: what it speaks with.
        listener: who chooses.
        prompt: codes [K, P] in the voice that is wanted.
        sampling: how codes are drawn.
        seed: from which the seed of each take is made.
    """

    def __init__(
        self, model: LanguageModel, listener: Listener, prompt: Tensor, sampling: Sampling, seed: int
    ):
        self.model, self.listener, self.sampling = model, listener, sampling
        self.voice = listener.voice(prompt)
        seeds = np.random.SeedSequence(seed).generate_state(listener.takes).tolist()
        self.generators = [torch.Generator().manual_seed(one) for one in seeds]

    def __call__(self, said: Tensor, n_frames: int, at_least: int) -> Iterator[Tensor]:
        """The best takes [K, n] of what follows codes [K, P]: `n_frames`, or less after `at_least`."""
        rate, made = self.model.config.frame_rate, 0
        while made < n_frames:
            now = min(round(PART * rate), n_frames - made)
            takes = self.model.continue_codes(
                self.model.hear(Prompt(said)),
                now / rate,
                generators=self.generators,
                least_seconds=min(max(at_least - made, 0), now) / rate,
                sampling=self.sampling,
            ).codes()
            going_on = [take for take in takes if take.shape[1] == now]
            if 2 * len(going_on) > len(takes):  # few would end here: they do not compete
                takes = going_on
            best = takes[int(np.argmax(self.listener.scores(self.voice, said, takes)))]
            if best.shape[1]:
                yield best
            made += best.shape[1]
            if best.shape[1] < now:  # the model has ended it
                return
            said = torch.cat([said, best], 1)
