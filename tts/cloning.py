"""Where voices come from: a few seconds of somebody's speech, or the speakers that a language model knows.

From a clip it is zero-shot, as in VALL-E (Wang et al. 2023): the language model hears the recording's codes
before it speaks, and goes on in the same voice. It does so more steadily where it is told what the recording
says, phoneme by phoneme.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..codec import Codec
from ..data.text import Phonemes
from ..lm import LanguageModel
from ..lm.condition import speaker_vectors
from .voice import Voice, VoiceError

SHORTEST, LONGEST = 3.0, 10.0  # seconds
SILENT = 1e-3  # a clip whose loudest 20 ms stay below -60 dB holds no voice
QUIET = 1e-2  # frames so far below the loudest are no speech
LEAST_SPEECH = 1.5  # seconds that are not quiet
CONSENT = (
    "use a voice only with the consent of the person whose it is; sound made with it is marked as generated"
)

# From mono wav [1, T] at the codec's rate and what it says to symbols and the frames of each, which add up to
# the frames that T samples begin.
Aligner = Callable[[Tensor, Phonemes], Sequence[tuple[str, int]]]


def clone(
    codec: Codec, name: str, wav: Tensor, said: Phonemes | None = None, align: Aligner | None = None
) -> Voice:
    """Make a voice from a clip.

    Args:
        codec: the one that the language model speaks in.
        name: of the voice.
        wav: float [1, T] in [-1, 1], finite, at the codec's rate, 3 to 10 seconds.
        said: what the clip says, where that is known.
        align: finds out when it says that; needed with `said`.

    Raises:
        VoiceError: too short, too long, or hardly any speech in it; a name that cannot be.
        AudioError: a recording and a text that do not fit each other, from `align`.
    """
    rate, hop = codec.config.sample_rate, codec.config.hop_length
    seconds = wav.shape[-1] / rate
    if not SHORTEST <= seconds <= LONGEST:
        raise VoiceError(f"{seconds:.2f} s long: {SHORTEST:g} to {LONGEST:g} s of speech are needed")
    n_frames = wav.shape[-1] // hop
    wav = wav[:, : n_frames * hop]
    level = wav[0].view(n_frames, hop).square().mean(1).sqrt()
    if float(level.max()) < SILENT:
        raise VoiceError("silent: there is no voice in it")
    speech = float((level > QUIET * level.max()).sum()) * hop / rate
    if speech < LEAST_SPEECH:
        raise VoiceError(f"{speech:.2f} s of it are not silence: at least {LEAST_SPEECH:g} s are needed")
    phonemes: tuple[str, ...] = ()
    durations: tuple[int, ...] = ()
    if said is not None:
        assert align is not None
        timed = align(wav, said)
        phonemes, durations = tuple(p for p, _ in timed), tuple(int(n) for _, n in timed)
    codes = codec.encode(wav[None], rate, codec.config.bitrates[-1]).codes[0, :, :n_frames]
    return Voice(
        name,
        codec.config.name,
        codec.codes_hash,
        codes.cpu().to(torch.int64),
        phonemes,
        durations,
        rights=f"added by the user; {CONSENT}",
    )


def known_voice(codec: Codec, lm: LanguageModel, name: str, speaker: str) -> Voice:
    """Make a voice of a speaker that a language model was trained on by name (`LMConfig.speakers`).

    Args:
        codec: the one that the language model speaks in.
        lm: the language model.
        name: of the voice.
        speaker: whose.

    Raises:
        VoiceError: the model does not know the speaker; a name that cannot be.
        CheckpointError: codec and language model do not fit each other.
    """
    lm.check_codec(codec)
    try:
        (vector,) = speaker_vectors(lm.config, [speaker])
    except ValueError as error:
        raise VoiceError(str(error)) from None
    return Voice(
        name,
        codec.config.name,
        codec.codes_hash,
        torch.zeros(lm.config.n_codebooks, 0, dtype=torch.int64),
        lm=lm.config.name,
        speaker=speaker,
        speaker_vector=vector,
    )
