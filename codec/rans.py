"""Range asymmetric numeral systems (rANS) over integer tables: symbols to 16-bit words and back.

J. Duda, "Asymmetric numeral systems", arXiv 1311.2540. All arithmetic is on integers below 2**63, so every
machine gives the same bytes. Each stream is coded on its own; the `_lanes` functions run many streams of one
shape side by side in numpy and give the same bytes as the scalar ones, which serve streaming and short files.
`docs/format.md` states the arithmetic for other implementations.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_right
from typing import TYPE_CHECKING

import numpy as np

from ..data.errors import BitstreamError

if TYPE_CHECKING:
    from .entropy import EntropyTables

PROBABILITY_BITS = 16
TOTAL = 1 << PROBABILITY_BITS
_MASK = TOTAL - 1
# The state stays below 2**48: it holds at most three words, and products with a 16-bit frequency fit an
# int64.
_STATE_LOW = 1 << 32
_STATE_WORDS = 3


def encode_one(starts: list[int], freqs: list[int]) -> bytes:
    """Codes one stream of intervals [start, start + freq) of TOTAL, given in the order of decoding."""
    state = 0  # not _STATE_LOW: the decoder knows how many symbols there are, so a short state costs nothing
    words = array("H")
    for start, freq in zip(reversed(starts), reversed(freqs)):
        if state >= freq << 32:
            words.append(state & _MASK)
            state >>= 16
        quotient, rest = divmod(state, freq)
        state = (quotient << 16) + rest + start
    while state:
        words.append(state & _MASK)
        state >>= 16
    words.reverse()
    return _little_endian(words).tobytes()


def encode_lanes(starts: np.ndarray, freqs: np.ndarray) -> list[bytes]:
    """`encode_one` for each row of starts and freqs, both [L, S] int64."""
    n_lanes, n_symbols = starts.shape
    starts, freqs = np.ascontiguousarray(starts.T), np.ascontiguousarray(freqs.T)
    state = np.zeros(n_lanes, np.int64)
    words = np.zeros((n_lanes, n_symbols + _STATE_WORDS), "<u2")
    used = np.zeros(n_lanes, np.int64)
    for start, freq in zip(starts[::-1], freqs[::-1]):
        full = np.flatnonzero(state >> 32 >= freq)
        if len(full):
            words[full, used[full]] = state[full] & _MASK
            used[full] += 1
            state[full] >>= 16
        quotient = state // freq
        state = (quotient << 16) + (state - quotient * freq) + start
    for _ in range(_STATE_WORDS):
        full = np.flatnonzero(state)
        words[full, used[full]] = state[full] & _MASK
        used[full] += 1
        state[full] >>= 16
    return [words[lane, : used[lane]][::-1].tobytes() for lane in range(n_lanes)]


def decode_one(
    payload: bytes, tables: EntropyTables, channels: int, n_codebooks: int, n_frames: int
) -> np.ndarray:
    """Decodes one stream to codes [C, K, n] int64.

    Raises:
        BitstreamError: the payload is longer or shorter than its codes.
    """
    words = _little_endian(_words(payload))
    n_words, size = len(words), tables.codebook_size
    cdf, rows, plan = tables.scalar_view(n_codebooks)
    position = min(_STATE_WORDS, n_words)
    state = 0
    for word in words[:position]:
        state = state << 16 | word
    symbols: list[int] = []
    append = symbols.append
    for _ in range(channels):
        seen = [size] * (2 * n_codebooks)  # the codes of the previous frame, then those of this one
        for _ in range(n_frames):
            for book, (class_a, source_a, class_b, source_b) in enumerate(plan, n_codebooks):
                row = rows[class_a[seen[source_a]] + class_b[seen[source_b]]]
                first = row * size
                target = row << 16 | state & _MASK
                index = bisect_right(cdf, target, first, first + size) - 1
                low = cdf[index]
                state = (cdf[index + 1] - low) * (state >> 16) + target - low
                if state < _STATE_LOW and position < n_words:
                    state = state << 16 | words[position]
                    position += 1
                symbol = index - first
                seen[book] = symbol
                append(symbol)
            seen[:n_codebooks] = seen[n_codebooks:]
    if state or position < n_words:
        raise BitstreamError(
            "a chunk's payload does not end where its codes end: damaged, or of other tables"
        )
    codes = np.array(symbols, np.int64).reshape(channels, n_frames, n_codebooks)
    return np.ascontiguousarray(codes.transpose(0, 2, 1))


def decode_lanes(
    payloads: list[bytes], tables: EntropyTables, channels: int, n_codebooks: int, n_frames: int
) -> np.ndarray:
    """`decode_one` for each payload, all of one shape: codes [L, C, K, n] int64."""
    n_lanes, size = len(payloads), tables.codebook_size
    lengths = np.array([len(_words(payload)) for payload in payloads], np.int64)
    width = int(lengths.max(initial=0)) + _STATE_WORDS
    words = np.zeros((n_lanes, width), np.int64)
    for lane, payload in enumerate(payloads):
        words[lane, : lengths[lane]] = np.frombuffer(payload, "<u2")
    flat, begin = words.reshape(-1), np.arange(n_lanes) * width
    end, position = begin + lengths, begin.copy()
    state = np.zeros(n_lanes, np.int64)

    def refill() -> None:
        hungry = np.flatnonzero((state < _STATE_LOW) & (position < end))
        if len(hungry):
            state[hungry] = state[hungry] << 16 | flat[position[hungry]]
            position[hungry] += 1

    for _ in range(_STATE_WORDS):
        refill()
    cdf, sources = tables.cdf, tables.sources.tolist()
    class_a, class_b = tables.class_a.astype(np.int64), tables.class_b.astype(np.int64)
    rows = tables.rows.astype(np.int64)
    codes = np.empty(
        (channels, n_codebooks, n_frames + 1, n_lanes), np.int64
    )  # frame 0: before the first one
    codes[:, :, 0] = size
    for channel in codes:
        for frame in range(1, n_frames + 1):
            for book in range(n_codebooks):
                (delay_a, book_a), (delay_b, book_b) = sources[book]
                a, b = channel[book_a, frame - delay_a], channel[book_b, frame - delay_b]
                row = rows[class_a[book][a] + class_b[book][b]]
                target = (row << 16) + (state & _MASK)
                index = np.searchsorted(cdf, target.astype(np.uint32), side="right") - 1
                low = cdf[index].astype(np.int64)
                state = (cdf[index + 1] - low) * (state >> 16) + target - low
                refill()
                channel[book, frame] = index - row * size
    if state.any() or (position < end).any():
        raise BitstreamError(
            "a chunk's payload does not end where its codes end: damaged, or of other tables"
        )
    return np.ascontiguousarray(codes[:, :, 1:].transpose(3, 0, 1, 2))


def _words(payload: bytes) -> array:
    if len(payload) % 2:
        raise BitstreamError(
            f"a chunk's payload has {len(payload)} bytes of entropy coding, an even number is needed"
        )
    return array("H", payload)


def _little_endian(words: array) -> array:
    if sys.byteorder == "big":
        words.byteswap()
    return words
