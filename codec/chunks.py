"""Between codes and the payloads of a file's chunks: entropy coding, and channels that repeat each other."""

from __future__ import annotations

from itertools import accumulate
from typing import NamedTuple

import numpy as np

from ..data.errors import BitstreamError
from .entropy import EntropyTables
from .framing import Header

_BATCH_CODES = 400_000  # codes coded at a time: bounds the memory
_BATCH_CHUNKS = 128


class Piece(NamedTuple):
    """Codes [C, K, n] int64 and the frame of the recording at which they start."""

    start_frame: int
    codes: np.ndarray


class Chunk(NamedTuple):
    """A chunk whose checksum was right."""

    number: int
    n_frames: int
    payload: bytes


def encode_chunks(tables: EntropyTables, codes: list[np.ndarray]) -> list[bytes]:
    """The payload of each chunk of codes [C, K, n]."""
    masks = [_copy_mask(chunk) for chunk in codes]
    streams = tables.encode([chunk[~copied] for chunk, copied in zip(codes, masks)])
    return [
        np.packbits(mask[1:], bitorder="little").tobytes() + stream for mask, stream in zip(masks, streams)
    ]


def decode_chunks(header: Header, tables: EntropyTables, chunks: list[Chunk]) -> list[np.ndarray]:
    """Codes [C, K, n] of each chunk; many at once are faster than one by one.

    Raises:
        BitstreamError: a payload is not what its shape needs.
    """
    sources = [_unpack_mask(chunk.payload, header) for chunk in chunks]
    shapes = [(source[-1] + 1, header.n_codebooks, chunk.n_frames) for source, chunk in zip(sources, chunks)]
    streams = tables.decode([chunk.payload[header.mask_size :] for chunk in chunks], shapes)
    return [codes[source] for codes, source in zip(streams, sources)]


def batch_chunks(header: Header) -> int:
    """How many chunks to code at a time."""
    codes_per_chunk = header.channels * header.n_codebooks * header.chunk_frames
    return max(1, min(_BATCH_CHUNKS, _BATCH_CODES // codes_per_chunk))


def check_codebooks(header: Header, tables: EntropyTables) -> None:
    if header.n_codebooks > tables.n_codebooks:
        raise BitstreamError(f"found {header.n_codebooks} codebooks, this codec has {tables.n_codebooks}")


def _copy_mask(codes: np.ndarray) -> np.ndarray:
    """Which channels of codes [C, K, n] repeat the one before: stereo recordings of one voice often do."""
    copied = np.zeros(len(codes), bool)
    copied[1:] = (codes[1:] == codes[:-1]).all((1, 2))
    return copied


def _unpack_mask(payload: bytes, header: Header) -> list[int]:
    """For each channel, which of the coded ones it is."""
    bits = int.from_bytes(payload[: header.mask_size], "little")
    if bits >> (header.channels - 1):
        raise BitstreamError(f"a chunk names a channel above {header.channels}")
    copied = [bits >> channel & 1 for channel in range(header.channels - 1)]
    return list(accumulate((1 - copy for copy in copied), initial=0))
