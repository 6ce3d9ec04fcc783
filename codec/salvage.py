"""What damage leaves of a `.mynah` file: its intact chunks, found without the index."""

from __future__ import annotations

import io
import math
from array import array
from collections.abc import Callable, Iterator
from functools import partial
from typing import BinaryIO, NamedTuple

import numpy as np

from ..data.errors import BitstreamError
from .bitstream_reader import BitstreamReader
from .chunks import Chunk, Piece, check_codebooks, decode_chunks
from .entropy import EntropyTables
from .framing import (
    CHUNK_HEAD_SIZE,
    CHUNK_MARK,
    END_MAGIC,
    MAGIC,
    MAX_CHUNKS,
    MAX_HEADER,
    TAIL_SIZE,
    ChunkHead,
    Header,
    Trailer,
    one_bit_away,
    read_fully,
    tail_of,
)

_BLOCK = 1 << 20
_TRAILERS_TRIED = 16


class Span(NamedTuple):
    """A range of frames."""

    start_frame: int
    n_frames: int


class Info(NamedTuple):
    """The state of a file."""

    header: Header
    length: int | None  # samples per channel; None where the trailer is lost
    n_frames: int
    n_chunks: int  # intact ones
    n_bytes: int
    lost: list[Span]
    problem: str | None  # None: every checksum is right

    @property
    def seconds(self) -> float:
        if self.length is None:
            return self.n_frames / self.header.frame_rate
        return self.length / self.header.sample_rate

    @property
    def bitrate(self) -> float:
        """Real kbit/s of the whole file, all channels and overhead included; 0 for an empty recording."""
        return self.n_bytes * 8e-3 / self.seconds if self.seconds else 0.0


class Salvage:
    """The intact chunks of a file, as `salvage` finds them.

    Attributes:
        header: the file's header, or its copy in the trailer.
        length: samples per channel; None where the trailer is lost.
        n_frames: frames from the start to the end of the recording as far as it is known.
        n_chunks: intact chunks.
        lost: the spans without an intact chunk, in order. What follows the last intact chunk is known only
            where the trailer is intact (`length` is not None).
    """

    def __init__(self, fileobj: BinaryIO, header: Header, tables: EntropyTables | None) -> None:
        self._file, self.header, self._tables = fileobj, header, tables
        if tables is not None:
            check_codebooks(header, tables)
        # Arrays, not lists of objects: a hostile file may hold a chunk every 12 bytes.
        numbers, offsets, sizes, end = array("L"), array("Q"), array("B"), 0
        for offset, chunk in _find_chunks(fileobj, header):
            end = offset + CHUNK_HEAD_SIZE + len(chunk.payload)
            if tables is None or _decodable(header, tables, chunk):
                numbers.append(chunk.number)
                offsets.append(offset)
                sizes.append(chunk.n_frames)
        trailer = _find_trailer(fileobj, header, end)
        self.length = None if trailer is None else trailer.length
        # The first of several chunks with one number counts.
        known, first = np.unique(np.array(numbers, np.int64), return_index=True)
        if trailer is not None:
            inside = known < len(trailer.payload_sizes)
            known, first = known[inside], first[inside]
        self._offsets = np.array(offsets, np.int64)[first]
        self.n_chunks = len(known)
        starts = known * header.chunk_frames
        ends = starts + np.array(sizes, np.int64)[first]
        self.n_frames = _count_frames(header, trailer, known, ends)
        edges = zip([0, *ends.tolist()], [*starts.tolist(), self.n_frames])
        self.lost = [Span(begin, stop - begin) for begin, stop in edges if begin < stop]

    def __iter__(self) -> Iterator[Piece]:
        """Gives the codes of each intact chunk, in order of time."""
        if self._tables is None:
            raise ValueError("codes cannot be decoded without the codec's entropy tables")
        for number in range(self.n_chunks):
            chunk = self._chunk(number)
            yield Piece(
                chunk.number * self.header.chunk_frames, *decode_chunks(self.header, self._tables, [chunk])
            )

    def _chunk(self, index: int) -> Chunk:
        self._file.seek(int(self._offsets[index]))
        head = ChunkHead.parse(read_fully(self._file, CHUNK_HEAD_SIZE), self.header)
        return Chunk(head.number, head.n_frames, read_fully(self._file, head.payload_size))


def salvage(
    fileobj: BinaryIO, tables: EntropyTables, *, codec: str | None = None, identity: str | None = None
) -> Salvage:
    """Finds the intact chunks of a damaged, cut or spliced file.

    Args:
        fileobj: seekable binary file; it must stay open while the result is used.
        tables: entropy tables of the codec that wrote it.
        codec, identity: where given, the codec's name and `codec_identity` that the file must have.

    Raises:
        BitstreamError: neither the header nor its copy is intact, or the file is of another codec.
    """
    header = _find_header(fileobj)
    header.require(codec or header.codec, identity or header.identity)
    return Salvage(fileobj, header, tables)


def inspect(fileobj: BinaryIO) -> Info:
    """Reads everything a seekable file says about itself, and checks every checksum; needs no codec.

    Raises:
        BitstreamError: neither the header nor its copy is intact.
    """
    fileobj.seek(0)
    try:
        reader = BitstreamReader(fileobj)
        reader.verify()
    except BitstreamError as error:
        problem = str(error)
        left = Salvage(fileobj, _find_header(fileobj), None)
        n_bytes = fileobj.seek(0, io.SEEK_END)
        return Info(left.header, left.length, left.n_frames, left.n_chunks, n_bytes, left.lost, problem)
    n_bytes = fileobj.seek(0, io.SEEK_END)
    assert reader.n_frames is not None
    return Info(reader.header, reader.length, reader.n_frames, reader.n_chunks, n_bytes, [], None)


class _Window:
    """A stretch of a file, moved forward; `need` bytes after a find are there unless the file ends."""

    def __init__(self, fileobj: BinaryIO, need: int) -> None:
        self._file, self._need = fileobj, need
        fileobj.seek(0)
        self.data, self.start, self._ended = b"", 0, False

    def find(self, mark: bytes, position: int) -> int:
        """Position in the file of the first `mark` at or after `position`, -1 if there is none."""
        while True:
            found = self.data.find(mark, position - self.start)
            if found >= 0 and (self._ended or found + self._need <= len(self.data)):
                return self.start + found
            if self._ended:
                return -1
            keep = found if found >= 0 else max(position - self.start, len(self.data) - len(mark) + 1)
            self.data, self.start = self.data[keep:], self.start + keep
            block = read_fully(self._file, max(_BLOCK, self._need))
            self._ended = len(block) < max(_BLOCK, self._need)
            self.data += block
            position = max(position, self.start)

    def at(self, position: int) -> Callable[[int], bytes]:
        """A `read(n)` from there on."""
        return io.BytesIO(self.data[position - self.start : position - self.start + self._need]).read


def _find_header(fileobj: BinaryIO) -> Header:
    """The header at the start, that with the one wrong bit put right, or an intact copy further on."""
    fileobj.seek(0)
    try:
        return Header.parse(partial(read_fully, fileobj))
    except BitstreamError as error:
        problem = error
    fileobj.seek(0)
    for mended in one_bit_away(read_fully(fileobj, MAX_HEADER)):
        try:
            return Header.parse(io.BytesIO(mended).read)
        except BitstreamError:
            pass
    window = _Window(fileobj, 128)
    position = window.find(MAGIC, 0)
    while position >= 0:
        try:
            return Header.parse(window.at(position))
        except BitstreamError:
            position = window.find(MAGIC, position + 1)
    raise BitstreamError(f"{problem}; and no intact copy of the header was found")


def _find_chunks(fileobj: BinaryIO, header: Header) -> Iterator[tuple[int, Chunk]]:
    """All chunks of this file with a right checksum, with their offsets, in the order of the file."""
    window = _Window(fileobj, CHUNK_HEAD_SIZE + header.max_payload(header.chunk_frames))
    size = fileobj.seek(0, io.SEEK_END)
    fileobj.seek(0)
    wasted = 0
    position = window.find(CHUNK_MARK, 0)
    while position >= 0:
        read = window.at(position)
        head = read(CHUNK_HEAD_SIZE)
        next_position = position + 1
        if len(head) == CHUNK_HEAD_SIZE:
            try:
                parsed = ChunkHead.parse(head, header)
            except BitstreamError:
                parsed = None
            if parsed is not None and parsed.number < MAX_CHUNKS:
                payload = read(parsed.payload_size)
                if len(payload) == parsed.payload_size and parsed.matches(header, head, payload):
                    yield position, Chunk(parsed.number, parsed.n_frames, payload)
                    next_position = position + CHUNK_HEAD_SIZE + len(payload)
                else:
                    wasted += len(payload)
                    # A file made of false heads could keep the checksum busy for the square of its size.
                    if wasted > 64 * size + _BLOCK:
                        raise BitstreamError("nothing can be salvaged: the file is full of false chunks")
        position = window.find(CHUNK_MARK, next_position)


def _find_trailer(fileobj: BinaryIO, header: Header, after: int) -> Trailer | None:
    """The trailer behind the last intact chunk, even if something was appended to the file."""
    end = fileobj.seek(0, io.SEEK_END)
    start = max(after, end - 2 * Trailer.size(header, MAX_CHUNKS))
    fileobj.seek(start)
    data = read_fully(fileobj, end - start)
    stop = len(data)
    for _ in range(_TRAILERS_TRIED):
        at = data.rfind(END_MAGIC, 0, stop)
        if at < TAIL_SIZE - len(END_MAGIC):
            return None
        stop = at + len(END_MAGIC) - 1
        try:
            n_chunks = tail_of(data[: at + len(END_MAGIC)][-TAIL_SIZE:])[0]
            size = Trailer.size(header, n_chunks)
            if size <= at + len(END_MAGIC):
                trailer = Trailer.parse(data[at + len(END_MAGIC) - size : at + len(END_MAGIC)], header)
                trailer.check_length(header, n_chunks * header.chunk_frames)
                return trailer
        except BitstreamError:
            continue
    return None


def _count_frames(header: Header, trailer: Trailer | None, numbers: np.ndarray, ends: np.ndarray) -> int:
    """Frames up to the end of the recording, as far as it is known."""
    last, end = (int(numbers[-1]), int(ends[-1])) if len(numbers) else (-1, 0)
    if trailer is None or last + 1 == len(trailer.payload_sizes):
        return end
    # The last chunk, the only one of unknown size, is lost: so many frames as the samples need.
    step, n_chunks = header.chunk_frames, len(trailer.payload_sizes)
    needed = math.ceil(trailer.length * header.frame_rate / header.sample_rate)
    return max((n_chunks - 1) * step + 1, min(needed, n_chunks * step))


def _decodable(header: Header, tables: EntropyTables, chunk: Chunk) -> bool:
    try:
        decode_chunks(header, tables, [chunk])
    except BitstreamError:
        return False
    return True
