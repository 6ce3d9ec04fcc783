"""Sound to codes and back, block by block: an hour takes no more memory than a minute.

The blocks are those of `Codec.encode` and `Codec.decode`, and so are the tokens and the sound.
"""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from ..codec.codec import BLOCK_FRAMES, Codec
from ..data.audio import Resampler, resample_blocks, resampled_length
from ..data.errors import BitstreamError

Samples = NDArray[np.float32]  # [C, T]
Codes = NDArray[np.int64]  # [C, K, n]


def encode_blocks(
    codec: Codec, wavs: Iterable[Samples], sample_rate: int, channels: int, n_codebooks: int
) -> Iterator[Codes]:
    """Codes of a sound that comes in blocks [C, T]: joined, those of `Codec.encode` for the whole."""
    hop = codec.config.hop_length
    size = BLOCK_FRAMES * hop
    state = codec.init_encode_state(channels)
    held = np.zeros((channels, 0), np.float32)
    taken = 0
    for wav in resample_blocks(wavs, Resampler(sample_rate, codec.config.sample_rate, channels)):
        taken += wav.shape[1]
        held = np.concatenate([held, wav], axis=1)
        while held.shape[1] >= size:
            codes, state = codec.encode_step(
                torch.from_numpy(held[:, None, :size].copy()), state, n_codebooks
            )
            held = held[:, size:]
            yield codes.cpu().numpy()
    # One frame of silence more than the sound fills pushes its end through the decoder's delay.
    missing = codec.frames_for(max(taken, 1)) * hop - taken
    for block in torch.from_numpy(np.pad(held, ((0, 0), (0, missing)))).unsqueeze(1).split(size, -1):
        codes, state = codec.encode_step(block, state, n_codebooks)
        yield codes.cpu().numpy()


def decode_blocks(codec: Codec, pieces: Iterable[Codes], size: int = BLOCK_FRAMES) -> Iterator[Samples]:
    """The sound at the codec's own rate of codes that come in pieces of any length, `size` frames at a time.

    It begins with what the first frame coded: the decoder's delay is dropped.
    """
    state = None
    drop = codec.config.delay
    for codes in rejoin(pieces, size):
        if state is None:
            state = codec.init_decode_state(len(codes))
        wav, state = codec.decode_step(torch.from_numpy(codes), state)
        yield wav[:, 0, drop:].cpu().numpy()
        drop = 0


def rejoin(pieces: Iterable[Codes], size: int) -> Iterator[Codes]:
    """The same codes in pieces of `size` frames, the last one shorter."""
    held: list[Codes] = []
    n_held = 0
    for piece in pieces:
        held.append(piece)
        n_held += piece.shape[2]
        if n_held >= size:
            joined = np.concatenate(held, axis=2)
            whole = n_held - n_held % size
            for start in range(0, whole, size):
                yield joined[:, :, start : start + size]
            held, n_held = [joined[:, :, whole:]], n_held - whole
    if n_held:
        yield np.concatenate(held, axis=2)


def restore(
    codec: Codec, wavs: Iterable[Samples], sample_rate: int, channels: int, length: Callable[[], int]
) -> Iterator[Samples]:
    """Blocks at the codec's own rate, taken back to a recording's rate and exact length; clipped to [-1, 1].

    Args:
        codec: where the blocks come from.
        wavs: blocks [C, T].
        sample_rate: of the recording, Hz.
        channels: of the recording.
        length: gives the samples per channel of the recording; asked at the end, when a pipe has told it.

    Raises:
        BitstreamError: there is a frame of sound more than the recording is long.
    """
    own_rate = codec.config.sample_rate
    resampler = Resampler(own_rate, sample_rate, channels)
    held = np.zeros((channels, 0), np.float32)
    taken = given = 0
    for wav in wavs:
        held = np.concatenate([held, wav], axis=1)
        # The last frame may be filled up with silence: how far is known at the end.
        ready, held = np.split(held, [max(0, held.shape[1] - codec.config.hop_length)], axis=1)
        taken += ready.shape[1]
        out = resampler.process(ready)
        given += out.shape[1]
        yield np.clip(out, -1, 1)
    total = length()
    missing = max(1, resampled_length(total, sample_rate, own_rate)) - taken
    if missing < 0 or total < given:
        raise BitstreamError(f"{total} samples are stated, the frames hold more")
    rest = np.concatenate([resampler.process(held[:, :missing]), resampler.flush()], axis=1)[
        :, : total - given
    ]
    yield np.clip(np.pad(rest, ((0, 0), (0, total - given - rest.shape[1]))), -1, 1)
