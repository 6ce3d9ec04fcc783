"""Writing codes as a `.mynah` file, to disk or into a pipe."""

from __future__ import annotations

from array import array
from typing import BinaryIO

import numpy as np

from .chunks import batch_chunks, check_codebooks, encode_chunks
from .entropy import EntropyTables
from .framing import Header, Trailer, pack_chunk


class BitstreamWriter:
    """Writes codes to a binary file or pipe, a chunk at a time.

    The same codes give the same bytes however they are split into calls of `write`. The header appears with
    the first chunk (after 200 frames, unless the header says otherwise), because the file's id is derived
    from both.

    Args:
        fileobj: anything with `write(bytes)`; it is not closed.
        header: `file_id` is replaced.
        tables: entropy tables of the codec that `header.identity` names.

    Raises:
        BitstreamError: the header asks for more codebooks than the tables know.
    """

    def __init__(self, fileobj: BinaryIO, header: Header, tables: EntropyTables) -> None:
        check_codebooks(header, tables)
        self.header = header
        self._file, self._tables = fileobj, tables
        self._pending: list[np.ndarray] = []
        self._n_pending = 0
        self._sizes = array("H")
        self.n_frames = 0

    def write(self, codes: np.ndarray) -> None:
        """Appends codes [C, K, n] int, 0..codebook_size - 1, n >= 0.

        Raises:
            ValueError: codes of another shape or out of range.
        """
        codes = np.asarray(codes)
        expected = (self.header.channels, self.header.n_codebooks)
        if codes.ndim != 3 or codes.shape[:2] != expected or codes.dtype.kind not in "iu":
            raise ValueError(
                f"codes must be integers {[*expected, 'n']}, found {codes.dtype} {list(codes.shape)}"
            )
        if codes.size and not (codes.min() >= 0 and codes.max() < self._tables.codebook_size):
            raise ValueError(
                f"codes must be 0 to {self._tables.codebook_size - 1}, found {codes.min()} to {codes.max()}"
            )
        self._pending.append(codes.astype(np.int64))  # a copy: the caller may go on using the array
        self._n_pending += codes.shape[2]
        if self._n_pending >= self.header.chunk_frames:
            joined = np.concatenate(self._pending, axis=2)
            whole = self._n_pending - self._n_pending % self.header.chunk_frames
            self._write_chunks(joined[:, :, :whole])
            self._pending = [joined[:, :, whole:].copy()]
            self._n_pending -= whole

    def close(self, length: int) -> None:
        """Writes the rest and the trailer.

        Args:
            length: exact samples per channel of the recording, at the header's sample rate.

        Raises:
            BitstreamError: the frames written cannot hold so many samples.
        """
        if self._n_pending:
            self._write_chunks(np.concatenate(self._pending, axis=2))
        elif not self._sizes:
            self._write_header(b"")
        trailer = Trailer(self._sizes, length)
        trailer.check_length(self.header, self.n_frames)
        self._file.write(trailer.pack(self.header))

    def _write_header(self, first_payload: bytes) -> None:
        self.header = self.header.with_file_id(first_payload)
        self._file.write(self.header.pack())

    def _write_chunks(self, codes: np.ndarray) -> None:
        step = self.header.chunk_frames
        chunks = [codes[:, :, start : start + step] for start in range(0, codes.shape[2], step)]
        batch = batch_chunks(self.header)
        for first in range(0, len(chunks), batch):
            group = chunks[first : first + batch]
            for chunk, payload in zip(group, encode_chunks(self._tables, group)):
                if not self._sizes:
                    self._write_header(payload)
                self._file.write(pack_chunk(self.header, len(self._sizes), chunk.shape[2], payload))
                self._sizes.append(len(payload))
                self.n_frames += chunk.shape[2]
