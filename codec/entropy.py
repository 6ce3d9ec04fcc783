"""Static, context-dependent frequency tables for the entropy coder: integers only, trained once, shipped with
a codec.

The frequencies of a code depend on the classes of two codes already known to the decoder: for example the
same codebook's code of the previous frame and the first codebook's code of this frame. Which two, the classes
and the tables are fitted by `entropy_fit.fit_tables`. A stream starts without a previous frame, so every
chunk of a file decodes on its own. Codebook k looks at codebooks up to k only: dropping the higher ones
leaves the rest decodable.
"""

from __future__ import annotations

import hashlib
import os
from array import array
from functools import cached_property
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file
from safetensors.numpy import save as pack_safetensors

from ..data.errors import CheckpointError
from . import rans

_DTYPES = {"sources": "<u1", "class_a": "<u4", "class_b": "<u4", "rows": "<u2", "freqs": "<u2"}
_MIN_LANES = 24  # below this many streams of one shape the scalar coder is the faster one
MAX_ROWS = (1 << 16) - 1


class EntropyTables:
    """Integer frequency tables of one codec, with the entropy coder that uses them.

    The row of `freqs` for codebook k's code in a frame is `rows[class_a[k, u] + class_b[k, v]]`, where u and
    v are the codes named by `sources[k]`: `delay` frames back (0 or 1) in codebook `book`. A frame before the
    first of a stream has the code `codebook_size`, which means "none".

    Args:
        sources: [K, 2, 2] two pairs (delay, book) per codebook k; book < k where the delay is 0, else book <=
            k.
        class_a, class_b: [K, codebook_size + 1] offsets into `rows`.
        rows: [n] the row of `freqs` of each pair of classes.
        freqs: [R, codebook_size] frequencies, 1 or more each, 65536 the sum of a row.

    Raises:
        CheckpointError: the arrays are not such tables.
    """

    def __init__(
        self,
        sources: np.ndarray,
        class_a: np.ndarray,
        class_b: np.ndarray,
        rows: np.ndarray,
        freqs: np.ndarray,
    ) -> None:
        arrays = {"sources": sources, "class_a": class_a, "class_b": class_b, "rows": rows, "freqs": freqs}
        for name, value in arrays.items():
            value = np.asarray(value)
            kept = np.ascontiguousarray(value, _DTYPES[name])
            if value.dtype.kind not in "iu" or not np.array_equal(kept, value):
                raise CheckpointError(
                    f"entropy tables: {name} must be integers that fit {np.dtype(_DTYPES[name])}"
                )
            arrays[name] = kept
        self.sources, self.class_a, self.class_b = arrays["sources"], arrays["class_a"], arrays["class_b"]
        self.rows, self.freqs = arrays["rows"], arrays["freqs"]
        self._check()
        starts = np.zeros((len(self.freqs), self.codebook_size), np.uint32)
        np.cumsum(self.freqs[:, :-1], axis=1, out=starts[:, 1:])
        starts += np.arange(len(starts), dtype=np.uint32)[:, None] << rans.PROBABILITY_BITS
        # One sorted array for all rows: row r fills [65536 r, 65536 (r + 1)), so one search finds row and
        # symbol.
        self.cdf = np.append(starts.reshape(-1), np.uint32(len(starts) << rans.PROBABILITY_BITS))

    def _check(self) -> None:
        def need(condition: bool, what: str) -> None:
            if not condition:
                raise CheckpointError(f"entropy tables: {what}")

        need(
            self.freqs.ndim == 2 and 1 <= len(self.freqs) <= MAX_ROWS,
            f"need 1 to {MAX_ROWS} rows of frequencies",
        )
        need(2 <= self.freqs.shape[1] <= 1 << 12, "the codebook size must be 2 to 4096")
        need(bool((self.freqs >= 1).all()), "every frequency must be 1 or more")
        need(
            bool((self.freqs.sum(1, dtype=np.int64) == rans.TOTAL).all()), f"a row's sum must be {rans.TOTAL}"
        )
        shape = (len(self.class_a), self.codebook_size + 1)
        need(
            self.class_a.shape == self.class_b.shape == shape,
            "class_a and class_b must be [K, codebook_size + 1]",
        )
        need(
            1 <= shape[0] <= 255 and self.sources.shape == (shape[0], 2, 2),
            "sources must be [K, 2, 2], K 1 to 255",
        )
        need(
            self.rows.ndim == 1 and bool((self.rows < len(self.freqs)).all()),
            "rows names a row that is not there",
        )
        last = self.class_a.max(1).astype(np.int64) + self.class_b.max(1)
        need(bool((last < len(self.rows)).all()), "a pair of classes lies behind the end of rows")
        delay, book = self.sources[..., 0], self.sources[..., 1]
        allowed = (delay <= 1) & (book < np.arange(shape[0])[:, None] + delay)
        need(bool(allowed.all()), "a source is not known when its codebook is decoded")

    @property
    def n_codebooks(self) -> int:
        return len(self.sources)

    @property
    def codebook_size(self) -> int:
        return self.freqs.shape[1]

    @cached_property
    def hash(self) -> str:
        """Hex SHA-256 over shapes and little-endian contents of the five arrays (see docs/format.md)."""
        digest = hashlib.sha256()
        for name in _DTYPES:
            value = getattr(self, name)
            digest.update(f"{name} {'x'.join(map(str, value.shape))}\n".encode())
            digest.update(value.tobytes())
        return digest.hexdigest()

    @classmethod
    def uniform(cls, n_codebooks: int, codebook_size: int) -> EntropyTables:
        """Tables that know nothing, for a codec whose tables are not fitted yet: all codes equally likely."""
        classes = np.zeros((n_codebooks, codebook_size + 1), np.uint32)
        sources = np.array([[(1, book), (1, book)] for book in range(n_codebooks)])
        share, rest = divmod(rans.TOTAL, codebook_size)
        freqs = share + (np.arange(codebook_size) < rest)
        return cls(sources, classes, classes, np.zeros(1, np.uint16), freqs[None])

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> EntropyTables:
        """Reads tables from a safetensors file.

        Raises:
            CheckpointError: the file is not there, or holds no entropy tables.
        """
        try:
            arrays = load_file(path)
        except (OSError, SafetensorError, ValueError, KeyError) as error:
            raise CheckpointError(f"entropy tables {os.fspath(path)} cannot be read: {error}") from error
        if set(arrays) != set(_DTYPES):
            found, needed = ", ".join(sorted(arrays)), ", ".join(_DTYPES)
            raise CheckpointError(f"entropy tables {os.fspath(path)} hold {found}; needed are {needed}")
        return cls(**arrays)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the tables as a safetensors file, under a temporary name first."""
        path = Path(path)
        unfinished = path.with_name(path.name + ".part")
        # Not safetensors' save_file: it makes files that only their owner may read.
        unfinished.write_bytes(pack_safetensors({name: getattr(self, name) for name in _DTYPES}))
        unfinished.replace(path)

    def encode(self, streams: list[np.ndarray]) -> list[bytes]:
        """Codes each of streams, codes [C, K, n] int, K <= n_codebooks, on its own."""
        payloads = [b""] * len(streams)
        for lanes in _by_shape([codes.shape for codes in streams]):
            rows, codes = self._rows(np.stack([streams[lane] for lane in lanes]))
            index = rows * self.codebook_size + codes
            # The order of coding: channel by channel, frame by frame, and the codebooks of a frame upwards.
            index = index.transpose(0, 1, 3, 2).reshape(len(lanes), -1)
            starts = self.cdf[index].astype(np.int64) & (rans.TOTAL - 1)
            freqs = self.freqs.reshape(-1)[index].astype(np.int64)
            if len(lanes) >= _MIN_LANES:
                coded = rans.encode_lanes(starts, freqs)
            else:
                coded = [rans.encode_one(start.tolist(), freq.tolist()) for start, freq in zip(starts, freqs)]
            for lane, payload in zip(lanes, coded):
                payloads[lane] = payload
        return payloads

    def decode(self, payloads: list[bytes], shapes: list[tuple[int, int, int]]) -> list[np.ndarray]:
        """Inverse of `encode`: codes [C, K, n] int64 of each payload, whose shape (C, K, n) must be known.

        Raises:
            BitstreamError: a payload is longer or shorter than its codes.
        """
        streams: list[np.ndarray] = [np.empty(0)] * len(payloads)
        for lanes in _by_shape(shapes):
            group, shape = [payloads[lane] for lane in lanes], shapes[lanes[0]]
            if len(lanes) >= _MIN_LANES:
                decoded = list(rans.decode_lanes(group, self, *shape))
            else:
                decoded = [rans.decode_one(payload, self, *shape) for payload in group]
            for lane, codes in zip(lanes, decoded):
                streams[lane] = codes
        return streams

    def bits(self, codes: np.ndarray) -> np.ndarray:
        """Mean cost in bit of a code of each codebook, [K]; codes [C, K, N], N > 0, are one stream."""
        rows, codes = self._rows(codes[None])
        freqs = self.freqs[rows, codes]
        return -np.log2(freqs / rans.TOTAL).mean(axis=(0, 1, 3))

    def _rows(self, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The row of `freqs` for each of codes [L, C, K, n], and the codes, both int64."""
        codes = codes.astype(np.int64)
        if codes.size and not (codes.min() >= 0 and codes.max() < self.codebook_size):
            raise ValueError(
                f"codes must be 0 to {self.codebook_size - 1}, found {codes.min()} to {codes.max()}"
            )
        if codes.shape[2] > self.n_codebooks:
            raise ValueError(f"found {codes.shape[2]} codebooks, the entropy tables know {self.n_codebooks}")
        previous = np.full_like(codes, self.codebook_size)
        previous[..., 1:] = codes[..., :-1]
        rows = np.empty_like(codes)
        for book in range(codes.shape[2]):
            (delay_a, book_a), (delay_b, book_b) = self.sources[book]
            a = self.class_a[book][(previous if delay_a else codes)[:, :, book_a]]
            b = self.class_b[book][(previous if delay_b else codes)[:, :, book_b]]
            rows[:, :, book] = self.rows[a + b]
        return rows, codes

    @cached_property
    def _lists(self) -> tuple[array, list[int], list[list[int]], list[list[int]]]:
        return (
            array("I", self.cdf.tobytes()),
            self.rows.tolist(),
            self.class_a.tolist(),
            self.class_b.tolist(),
        )

    def scalar_view(
        self, n_codebooks: int
    ) -> tuple[array, list[int], list[tuple[list[int], int, list[int], int]]]:
        """What `rans.decode_one` needs as Python integers: cdf, rows, and per codebook classes and places of
        a and b.

        A place is an index into the previous frame's K codes followed by this frame's K codes.
        """
        cdf, rows, class_a, class_b = self._lists
        plan = []
        for book, ((delay_a, book_a), (delay_b, book_b)) in enumerate(self.sources[:n_codebooks].tolist()):
            place_a, place_b = book_a + (1 - delay_a) * n_codebooks, book_b + (1 - delay_b) * n_codebooks
            plan.append((class_a[book], place_a, class_b[book], place_b))
        return cdf, rows, plan


def _by_shape(shapes: list) -> list[list[int]]:
    """Indices of `shapes`, those of one shape together."""
    groups: dict[tuple, list[int]] = {}
    for index, shape in enumerate(shapes):
        groups.setdefault(tuple(shape), []).append(index)
    return list(groups.values())
