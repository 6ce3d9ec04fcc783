"""Reading codes from a `.mynah` file: from any frame on, or from a pipe as they arrive."""

from __future__ import annotations

import io
from array import array
from collections.abc import Iterator
from functools import partial
from itertools import accumulate
from typing import BinaryIO

import numpy as np

from ..data.errors import BitstreamError
from .chunks import Chunk, Piece, batch_chunks, check_codebooks, decode_chunks
from .entropy import EntropyTables
from .framing import CHUNK_HEAD_SIZE, TAIL_SIZE, TRAILER_MARK, ChunkHead, Header, Trailer, read_fully, tail_of


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
            check_codebooks(self.header, tables)
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
            raise BitstreamError(
                f"the index is damaged: {n_chunks} chunks do not fit a file of {end - start} bytes"
            )
        self._file.seek(end - trailer_size)
        trailer = Trailer.parse(read_fully(self._file, trailer_size), self.header)
        self._offsets = array(
            "Q", accumulate((n + CHUNK_HEAD_SIZE for n in trailer.payload_sizes), initial=first_chunk)
        )
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
        """Gives all codes in order, in constant memory: a pipe chunk by chunk, a file a few at a time."""
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
            stop = start_frame + n_frames
            raise ValueError(f"frames {start_frame} to {stop} asked for, the file has {self.n_frames}")
        step = self.header.chunk_frames
        found = np.empty((self.header.channels, self.header.n_codebooks, n_frames), np.int64)
        if n_frames:
            for piece in self._pieces(start_frame // step, -(-(start_frame + n_frames) // step)):
                begin, skip = max(0, piece.start_frame - start_frame), max(0, start_frame - piece.start_frame)
                part = piece.codes[:, :, skip : skip + n_frames - begin]
                found[:, :, begin : begin + part.shape[2]] = part
        return found

    def verify(self) -> None:
        """Checks the checksum of every chunk; raises BitstreamError at the first that is wrong."""
        for number in range(self.n_chunks):
            self._seek_chunk(number)

    def _pieces(self, first: int, stop: int) -> Iterator[Piece]:
        batch = batch_chunks(self.header)
        for begin in range(first, stop, batch):
            yield from self._decode([self._seek_chunk(n) for n in range(begin, min(begin + batch, stop))])

    def _decode(self, chunks: list[Chunk]) -> Iterator[Piece]:
        if self._tables is None:
            raise ValueError("codes cannot be decoded without the codec's entropy tables")
        step = self.header.chunk_frames
        for chunk, codes in zip(chunks, decode_chunks(self.header, self._tables, chunks)):
            yield Piece(chunk.number * step, codes)

    def _seek_chunk(self, number: int) -> Chunk:
        self._file.seek(self._offsets[number])
        chunk = self._read_chunk(read_fully(self._file, CHUNK_HEAD_SIZE), number)
        if len(chunk.payload) != self._sizes[number]:
            raise BitstreamError(f"chunk {number} is damaged: its size is not the one in the index")
        if number < self.n_chunks - 1 and chunk.n_frames != self.header.chunk_frames:
            raise BitstreamError(f"chunk {number} has {chunk.n_frames} frames, only the last may be short")
        return chunk

    def _piped_chunks(self) -> Iterator[Chunk]:
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

    def _read_chunk(self, head: bytes, number: int) -> Chunk:
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
        return Chunk(number, found.n_frames, payload)
