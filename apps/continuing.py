"""`mynah continue`: speech that goes on from a recording, in its voice, streamed into a sound file."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..codec import Codec
from ..codec.heads import OtherCodecError
from ..data.audio import AudioReader, AudioWriter, Resampler, resample_blocks
from ..data.audio_types import Samples
from ..data.errors import AudioError, MynahError
from ..data.replacing import is_stream
from ..lm import LanguageModel, Sampling
from ..lm.patterns import STREAMABLE
from .codecs import load
from .coding import Codes, decode_blocks
from .continuing_takes import TAKES, BestTakes, Listener
from .files import display_name, generated
from .progress import Advance

LEAST_PROMPT = 1.0  # seconds
FINE = 0.6  # `Sampling.fine_temperature`
TOP_P = 0.95  # `Sampling.top_p`
LEAST = 2.0  # seconds before the model may end the speech
REPETITION_WINDOW = 10  # frames: a code of the first stream that comes twice in them is drawn anew
CHUNK = 10  # frames that are decoded at a time, and leave
SILENT = 1e-3  # a prompt whose loudest 20 ms stay below -60 dB holds no voice to go on in


def read_prompt(source: str, codec: Codec, n_codebooks: int, most_frames: int) -> Tensor:
    """Codes [K, P] of the last seconds of a recording, mixed to mono.

    Args:
        source: a sound file, or "-".
        codec: what the language model speaks in.
        n_codebooks: K, one of the codec's operating points.
        most_frames: how many of its last frames are taken.

    Raises:
        AudioError: it cannot be read, is shorter than a second, or is silent.
    """
    rate, hop = codec.config.sample_rate, codec.config.hop_length
    name = display_name(source)
    wav, length = np.zeros((1, 0), np.float32), 0
    with AudioReader(source) as reader:
        mono = (block.mean(axis=0, keepdims=True) for block in reader)
        for block in resample_blocks(mono, Resampler(reader.info.sample_rate, rate, 1)):
            length += block.shape[1]
            wav = np.concatenate([wav, block], axis=1)[:, -most_frames * hop :]
    if length < LEAST_PROMPT * rate:
        seconds = length * 100 // rate / 100
        raise AudioError(
            f"{name}: {seconds:.2f} s long, at least {LEAST_PROMPT:g} s are needed to go on from"
        )
    n_frames = wav.shape[1] // hop
    wav = wav[:, wav.shape[1] - n_frames * hop :]
    level = np.sqrt(np.square(wav.reshape(n_frames, hop), dtype=np.float64).mean(axis=1)).max()
    if level < SILENT:
        raise AudioError(f"{name}: silent, there is no voice to go on in")
    bitrate = codec.config.bitrates[codec.rate_index(n_codebooks)]
    codes = codec.encode(torch.from_numpy(wav)[None], rate, bitrate).codes[0]
    return codes[:, :n_frames]  # without the frame of silence that codes the end


def sampling_at(temperature: float = 1.0) -> Sampling:
    """How continuation draws: without text, a model that repeats itself falls silent."""
    return Sampling(temperature, top_p=TOP_P, repetition_window=REPETITION_WINDOW, fine_temperature=FINE)


def continued(
    model: LanguageModel,
    prompt: Tensor,
    n_frames: int,
    at_least: int,
    sampling: Sampling,
    seed: int,
    listener: Listener | None = None,
) -> Iterator[Codes]:
    """The frames after a prompt [K, P] as they are made, [1, K, n]: up to `n_frames`.

    What is longer than the model can speak at once is made in pieces, each from the end of what was said.
    With a listener, who chooses among takes, frames leave by parts.
    """
    speak = BestTakes(model, listener, prompt, sampling, seed) if listener else OneTake(model, sampling, seed)
    most = model.config.max_frames
    said, made = prompt[:, -(most // 2) :], 0
    while made < n_frames:
        now = min(n_frames - made, most - said.shape[1])
        pieces = [said]
        for new in speak(said, now, min(max(at_least - made, 0), now)):
            pieces.append(new)
            yield new[None].numpy()
        whole = torch.cat(pieces, 1)
        done = whole.shape[1] - said.shape[1]
        made += done
        if done < now:  # the model has ended it
            return
        said = whole[:, -(most // 2) :]


class OneTake:
    """Speaks on as it comes, frame by frame: what `BestTakes` does without a choice."""

    def __init__(self, model: LanguageModel, sampling: Sampling, seed: int):
        self.model, self.sampling = model, sampling
        self.generators = [torch.Generator().manual_seed(seed)]

    def __call__(self, said: Tensor, n_frames: int, at_least: int) -> Iterator[Tensor]:
        """The frames [K, n] that follow codes [K, P]."""
        rate = self.model.config.frame_rate
        frames = self.model.continue_codes(
            [said],
            n_frames / rate,
            generators=self.generators,
            least_seconds=at_least / rate,
            sampling=self.sampling,
        )
        for piece in frames:
            new = piece.codes[0][:, piece.valid[0]]
            if new.shape[1]:
                yield new


def spoken(
    speaker: LanguageModel,
    coder: Codec,
    prompt: Tensor,
    seconds: float,
    at_least: float,
    temperature: float,
    seed: int,
    listener: Listener | None = None,
) -> Iterator[Samples]:
    """The sound of a prompt [K, P] and of what the model says after it, in blocks [1, T] as they are made.

    All of it lags the codes by the codec's delay, which is not filled up: the end is so much shorter.
    """
    rate = speaker.config.frame_rate
    n_frames, least = max(1, round(seconds * rate)), round(at_least * rate)
    new = continued(speaker, prompt, n_frames, least, sampling_at(temperature), seed, listener)
    for wav in decode_blocks(coder, chain([prompt.unsqueeze(0).numpy()], new), CHUNK):
        yield np.clip(wav, -1, 1)


def check_models(speaker: LanguageModel, coder: Codec) -> None:
    """MynahError unless the one can go on, in codes of the other."""
    speaker.check_codec(coder)
    config = speaker.config
    if config.n_codebooks not in coder.operating_points:
        raise MynahError(
            f"{config.name} speaks {config.n_codebooks} codes a frame, {coder.config.name} cannot"
        )
    if config.pattern not in STREAMABLE:
        raise MynahError(f"{config.name} has to be told how long speech is: it cannot go on from a prompt")


def listener_for(codec: Codec, takes: int | None, temperature: float, target: str = "") -> Listener | None:
    """Who chooses among takes, None for one that is kept as it comes; arguments as in `speak_on`.

    Raises:
        MynahError: more than one is wanted, and all would be the same, or the heads are for another codec.
    """
    piped = target == "-" or is_stream(Path(target))
    most = takes if takes is not None else 1 if piped or not temperature else TAKES
    if most == 1:
        return None
    if not temperature:
        raise MynahError(f"--takes {most}: at --temperature 0 all takes are the same, 1 is expected")
    try:
        return Listener.from_pretrained(codec, most)
    except OtherCodecError:
        if takes is None:
            return None
        raise


def mark(seed: int, ear: Listener | None) -> str:
    """The comment in a sound file that holds a recording and what was made after it."""
    chosen = f", best of {ear.takes} takes" if ear else ""
    return generated(f"going on from a recording, seed {seed}{chosen}")


def speak_on(
    source: str,
    target: str,
    model: str,
    codec: str | None,
    seconds: float,
    at_least: float,
    temperature: float,
    seed: int,
    takes: int | None,
    force: bool,
    advance: Advance,
) -> float:
    """Write the prompt, as the codec gives it back, and what the model says after it; returns the seconds of
    that.

    Args:
        source: the prompt, or "-".
        target: a sound file that may be written, or "-".
        model: name or folder of the language model.
        codec: name or folder of the codec whose codes it speaks; None for the one that it names.
        seconds: to go on for, at most.
        at_least: seconds before the model may end the speech.
        temperature: of the sampling, from 0.
        seed: the same one gives the same speech, with as many takes.
        takes: how often each part is said, to keep the best; None for `TAKES` into a file where the codec has
            heads that hear it and the temperature is above 0, and one otherwise.
        force: replace an existing file.
        advance: told of seconds of sound that are written.

    Raises:
        MynahError: no such model or codec, or one that does not fit the other; takes that nobody can choose
            from; a prompt that cannot be read or is too short or silent; the output cannot be written.
    """
    speaker = LanguageModel.from_pretrained(model, int8=True)
    config = speaker.config
    coder = load(codec or config.codec)
    check_models(speaker, coder)
    ear = listener_for(coder, takes, temperature, target)
    prompt = read_prompt(source, coder, config.n_codebooks, config.max_frames // 2)
    sound = spoken(speaker, coder, prompt, seconds, at_least, temperature, seed, ear)
    rate, length = coder.config.sample_rate, coder.config.delay
    try:
        with AudioWriter(target, rate, 1, force=force, comment=mark(seed, ear)) as writer:
            for wav in sound:
                writer.write(wav)
                length += wav.shape[1]
                advance(wav.shape[1] / rate)
    except BrokenPipeError:
        name = display_name(target, output=True)
        raise MynahError(f"{name}: closed by its reader before the end") from None
    return length / rate - prompt.shape[1] / config.frame_rate
