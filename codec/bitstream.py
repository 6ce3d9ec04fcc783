"""Writing and reading codes as `.mynah` files: seekable, streamable through pipes, a checksum for every part.

The bytes are in `framing` and `docs/format.md`; what damage leaves of a file is recovered by `salvage`.
"""

from __future__ import annotations

import io
from array import array
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from hashlib import sha256
from itertools import accumulate
from typing import BinaryIO, NamedTuple

import numpy as np

from ..data.errors import BitstreamError
from .entropy import EntropyTables
from .framing import (
    CHUNK_HEAD_SIZE,
    TAIL_SIZE,
    TRAILER_MARK,
    ChunkHead,
    Header,
    Trailer,
    pack_chunk,
    read_fully,
    tail_of,
)

__all__ = ["BitstreamReader", "BitstreamWriter", "Header", "Piece", "codec_identity", "truncate"]

_BATCH_CODES = 400_000  # codes decoded at a time: bounds the memory
_BATCH_CHUNKS = 128


class Piece(NamedTuple):
    """Codes [C, K, n] int64 and the frame of the recording at which they start."""

    start_frame: int
    codes: np.ndarray


class _Chunk(NamedTuple):
    """A chunk whose checksum was right."""

    number: int
    n_frames: int
    payload: bytes


def codec_identity(weights_hash: str, tables: EntropyTables) -> str:
    """16 hex digits that stand for a codec's weights and its entropy tables in a file's header.

    Args:
        weights_hash: hex SHA-256 of the codec's configuration and weights.
        tables: the entropy tables shipped with it.
    """
    return sha256(f"{weights_hash} {tables.hash}".encode()).hexdigest()[:16]


class BitstreamWriter:
    """Writes codes to a binary file or pipe, a chunk at a time.

    The same codes give the same bytes however they are split into calls of `write`. The header appears with the first
    chunk (after 200 frames, unless the header says otherwise), because the file's id is derived from both.

    Args:
        fileobj: anything with `write(bytes)`; it is not closed.
        header: `file_id` is replaced.
        tables: entropy tables of the codec that `header.identity` names.

    Raises:
        BitstreamError: the header asks for more codebooks than the tables know.
    """

    def __init__(self, fileobj: BinaryIO, header: Header, tables: EntropyTables) -> None:
        _check_codebooks(header, tables)
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
            raise ValueError(f"codes must be integers {[*expected, 'n']}, found {codes.dtype} {list(codes.shape)}")
        if codes.size and not (0 <= codes.min() and codes.max() < self._tables.codebook_size):
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
        batch = _batch_chunks(self.header)
        for first in range(0, len(chunks), batch):
            group = chunks[first : first + batch]
            copies = [_copy_mask(chunk) for chunk in group]
            coded = self._tables.encode([chunk[~copied] for chunk, copied in zip(group, copies)])
            for chunk, copied, stream in zip(group, copies, coded):
                payload = _pack_mask(copied) + stream
                if not self._sizes:
                    self._write_header(payload)
                self._file.write(pack_chunk(self.header, len(self._sizes), chunk.shape[2], payload))
                self._sizes.append(len(payload))
                self.n_frames += chunk.shape[2]


class BitstreamReader:
    """Reads a `.mynah` file: any range of frames of a seekable file, or a pipe from begin to end.

    A seekable file is checked on opening (header, index, sizes); a chunk's checksum when the chunk is read.

    Args:
        fileobj: binary file at the start of the header; it is not closed.
        tables: entropy tables of the codec; without them only the header, the index and `verify` are of use.
        codec, identity: where given, the codec's name and `codec_identity` that the file must have.

    Attributes:
        header: the file's `Header`.
        length: samples per channel; None while a pipe is not read to its end.
        n_frames: frames of codes; None while a pipe is not read to its end.
        n_chunks: chunks; of a pipe, those read so far.

    Raises:
        BitstreamError: the file is damaged, of another codec, or not a `.mynah` file.
    """

    def __init__(
        self,
        fileobj: BinaryIO,
        tables: EntropyTables | None = None,
        *,
        codec: str | None = None,
        identity: str | None = None,
    ) -> None:
        self._file, self._tables = fileobj, tables
        self.seekable = fileobj.seekable()
        start = fileobj.tell() if self.seekable else 0
        self.header = Header.parse(partial(read_fully, fileobj))
        self.header.require(codec or self.header.codec, identity or self.header.identity)
        if tables is not None:
            _check_codebooks(self.header, tables)
        self.length: int | None = None
        self.n_frames: int | None = None
        self.n_chunks = 0
        self._sizes = array("H")
        if self.seekable:
            self._read_index(start)

    def _read_index(self, start: int) -> None:
        first_chunk = self._file.tell()
        end = self._file.seek(0, io.SEEK_END)
        room = end - first_chunk
        self._file.seek(end - min(TAIL_SIZE, room))
        n_chunks = tail_of(read_fully(self._file, TAIL_SIZE))[0]
        trailer_size = Trailer.size(self.header, n_chunks)
        if trailer_size + n_chunks * CHUNK_HEAD_SIZE > room:
            raise BitstreamError(f"the index is damaged: {n_chunks} chunks do not fit a file of {end - start} bytes")
        self._file.seek(end - trailer_size)
        trailer = Trailer.parse(read_fully(self._file, trailer_size), self.header)
        self._offsets = array("Q", accumulate((n + CHUNK_HEAD_SIZE for n in trailer.payload_sizes), initial=first_chunk))
        if self._offsets[-1] != end - trailer_size:
            raise BitstreamError("the chunks do not fill the file up to the index: bytes were lost or added")
        self._sizes, self.n_chunks, self.length = trailer.payload_sizes, n_chunks, trailer.length
        self.n_frames = 0
        if n_chunks:
            self._file.seek(self._offsets[-2])
            last = ChunkHead.parse(read_fully(self._file, CHUNK_HEAD_SIZE), self.header)
            self.n_frames = (n_chunks - 1) * self.header.chunk_frames + last.n_frames
        trailer.check_length(self.header, self.n_frames)

    def __iter__(self) -> Iterator[Piece]:
        """Gives all codes in order, in constant memory: a pipe chunk by chunk, a seekable file a few at a time."""
        if self.seekable:
            yield from self._pieces(0, self.n_chunks)
        else:
            for chunk in self._piped_chunks():
                yield from self._decode([chunk])

    def read(self, start_frame: int, n_frames: int) -> np.ndarray:
        """Codes [C, K, n_frames] int64 of a seekable file, from start_frame on.

        Raises:
            ValueError: the file has no such frames, or is a pipe.
            BitstreamError: a chunk is damaged.
        """
        if self.n_frames is None or not self.seekable:
            raise ValueError("only a seekable file can be read from any frame")
        if not 0 <= start_frame <= start_frame + n_frames <= self.n_frames:
            raise ValueError(
                f"frames {start_frame} to {start_frame + n_frames} asked for, the file has 0 to {self.n_frames}"
            )
        step = self.header.chunk_frames
        found = np.empty((self.header.channels, self.header.n_codebooks, n_frames), np.int64)
        if n_frames:
            for piece in self._pieces(start_frame // step, -(-(start_frame + n_frames) // step)):
                begin, skip = max(0, piece.start_frame - start_frame), max(0, start_frame - piece.start_frame)
                part = piece.codes[:, :, skip : skip + n_frames - begin]
                found[:, :, begin : begin + part.shape[2]] = part
        return found

    def verify(self) -> None:
        """Checks every chunk's checksum of a seekable file; raises BitstreamError at the first that is wrong."""
        for number in range(self.n_chunks):
            self._seek_chunk(number)

    def _pieces(self, first: int, stop: int) -> Iterator[Piece]:
        batch = _batch_chunks(self.header)
        for begin in range(first, stop, batch):
            yield from self._decode([self._seek_chunk(n) for n in range(begin, min(begin + batch, stop))])

    def _decode(self, chunks: list[_Chunk]) -> Iterator[Piece]:
        if self._tables is None:
            raise ValueError("codes cannot be decoded without the codec's entropy tables")
        step = self.header.chunk_frames
        for chunk, codes in zip(chunks, decode_chunks(self.header, self._tables, chunks)):
            yield Piece(chunk.number * step, codes)

    def _seek_chunk(self, number: int) -> _Chunk:
        self._file.seek(self._offsets[number])
        chunk = self._read_chunk(read_fully(self._file, CHUNK_HEAD_SIZE), number)
        if len(chunk.payload) != self._sizes[number]:
            raise BitstreamError(f"chunk {number} is damaged: its size is not the one in the index")
        if number < self.n_chunks - 1 and chunk.n_frames != self.header.chunk_frames:
            raise BitstreamError(f"chunk {number} has {chunk.n_frames} frames, only the last may be short")
        return chunk

    def _piped_chunks(self) -> Iterator[_Chunk]:
        n_frames = 0
        while True:
            mark = read_fully(self._file, len(TRAILER_MARK))
            if mark == TRAILER_MARK:
                break
            if n_frames != self.n_chunks * self.header.chunk_frames:
                raise BitstreamError(f"chunk {self.n_chunks - 1} is short, only the last may be")
            head = mark + read_fully(self._file, CHUNK_HEAD_SIZE - len(mark))
            chunk = self._read_chunk(head, self.n_chunks)
            self._sizes.append(len(chunk.payload))
            self.n_chunks += 1
            n_frames += chunk.n_frames
            yield chunk
        missing = Trailer.size(self.header, self.n_chunks) - len(mark)
        trailer = Trailer.parse(mark + read_fully(self._file, missing), self.header)
        if trailer.payload_sizes != self._sizes:
            raise BitstreamError("the index does not match the chunks before it")
        if read_fully(self._file, 1):
            raise BitstreamError("there are bytes after the end of the file")
        trailer.check_length(self.header, n_frames)
        self.length, self.n_frames = trailer.length, n_frames

    def _read_chunk(self, head: bytes, number: int) -> _Chunk:
        if len(head) < CHUNK_HEAD_SIZE:
            raise BitstreamError(f"the file is cut short at chunk {number}")
        found = ChunkHead.parse(head, self.header)
        payload = read_fully(self._file, found.payload_size)
        if len(payload) < found.payload_size:
            raise BitstreamError(f"the file is cut short in chunk {number}")
        if not found.matches(self.header, head, payload):
            raise BitstreamError(f"chunk {number} is damaged or of another file: its checksum does not match")
        if found.number != number:
            raise BitstreamError(f"chunk {found.number} was found in the place of chunk {number}")
        return _Chunk(number, found.n_frames, payload)


def truncate(src: BinaryIO, dst: BinaryIO, n_codebooks: int, tables: EntropyTables) -> None:
    """Copies a file with its first n_codebooks only: the bytes that writing those codes would have given.

    Args:
        src, dst: binary files or pipes; not closed.
        n_codebooks: 1 to the number in src.

    Raises:
        BitstreamError: src is damaged, or has fewer codebooks.
    """
    reader = BitstreamReader(src, tables)
    if not 1 <= n_codebooks <= reader.header.n_codebooks:
        raise BitstreamError(f"cannot keep {n_codebooks} codebooks, the file has {reader.header.n_codebooks}")
    writer = BitstreamWriter(dst, replace(reader.header, n_codebooks=n_codebooks, chunk_frames=0), tables)
    for piece in reader:
        writer.write(piece.codes[:, :n_codebooks])
    assert reader.length is not None
    writer.close(reader.length)


def decode_chunks(header: Header, tables: EntropyTables, chunks: list[_Chunk]) -> list[np.ndarray]:
    """Codes [C, K, n] of each chunk; all of them at once is faster than one by one."""
    sources = [_unpack_mask(chunk.payload, header) for chunk in chunks]
    shapes = [(len(set(source)), header.n_codebooks, chunk.n_frames) for source, chunk in zip(sources, chunks)]
    streams = tables.decode([chunk.payload[header.mask_size :] for chunk in chunks], shapes)
    return [codes[source] for codes, source in zip(streams, sources)]


def _batch_chunks(header: Header) -> int:
    return max(1, min(_BATCH_CHUNKS, _BATCH_CODES // (header.channels * header.n_codebooks * header.chunk_frames)))


def _copy_mask(codes: np.ndarray) -> np.ndarray:
    """Which channels of codes [C, K, n] repeat the one before: two-channel recordings of one voice often do."""
    copied = np.zeros(len(codes), bool)
    copied[1:] = (codes[1:] == codes[:-1]).all((1, 2))
    return copied


def _pack_mask(copied: np.ndarray) -> bytes:
    return np.packbits(copied[1:], bitorder="little").tobytes()


def _unpack_mask(payload: bytes, header: Header) -> list[int]:
    """For each channel, which of the coded ones it is."""
    bits = int.from_bytes(payload[: header.mask_size], "little")
    if bits >> (header.channels - 1):
        raise BitstreamError(f"a chunk names a channel above {header.channels}")
    copied = [bits >> channel & 1 for channel in range(header.channels - 1)]
    return list(accumulate((1 - copy for copy in copied), initial=0))


def _check_codebooks(header: Header, tables: EntropyTables) -> None:
    if header.n_codebooks > tables.n_codebooks:
        raise BitstreamError(f"the file has {header.n_codebooks} codebooks, this codec has {tables.n_codebooks}")
