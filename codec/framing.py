"""The bytes of a `.mynah` file: header, chunk heads and trailer, packed and parsed without the codes in them.

`docs/format.md` specifies every byte. All integers are little-endian; a CRC-32 guards each part, and those of
chunks and trailer start from the file's own id, so that a chunk of another file does not pass.
"""

from __future__ import annotations

import re
import struct
import sys
import zlib
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import BinaryIO, NamedTuple

from ..data.errors import BitstreamError

MAGIC = b"MYNA"
END_MAGIC = b"ANYM"
VERSION = 1
CHUNK_MARK = b"\xc7\x5a"
TRAILER_MARK = b"\xe3\x96"

MAX_CODEBOOKS = 32
MAX_CHANNELS = 64
SAMPLE_RATES = (1000, 1_000_000)
FRAME_RATES = (1.0, 655.35)
MAX_NAME = 32
MAX_CHUNKS = 1 << 21  # 97 days at 4 s; an index of 4 MB
# Frames are given to a chunk until it has this many codes: its payload then fits a 16-bit length at 16 bit a
# code.
MAX_CHUNK_CODES = 32_000
CHUNK_FRAMES = 200
# From so many chunks on (about a minute) the trailer repeats the header, so that no single spot loses the
# whole file.
HEADER_COPY_CHUNKS = 16

_HEADER = struct.Struct("<4sBBBBIHB8sIB")
_CHUNK = struct.Struct("<2s3sBH")
_TAIL = struct.Struct("<IQI4s")
_CRC = struct.Struct("<I")
CHUNK_HEAD_SIZE = _CHUNK.size + _CRC.size
TAIL_SIZE = _TAIL.size
MAX_HEADER = _HEADER.size + MAX_NAME + _CRC.size
_NAME = re.compile(rb"[A-Za-z0-9._-]+")


def default_chunk_frames(channels: int, n_codebooks: int) -> int:
    """Frames of a chunk where nothing else is asked for: 200, fewer with very many channels."""
    return max(1, min(CHUNK_FRAMES, MAX_CHUNK_CODES // (channels * n_codebooks)))


@dataclass(frozen=True)
class Header:
    """What a file says about itself before its first chunk.

    Args:
        codec: name of the codec, 1 to 32 letters, digits, '.', '_' or '-'.
        identity: 16 hex digits that stand for the codec's codes and entropy tables (`codec_identity`).
        sample_rate: of the coded recording, 1000 to 1000000 Hz.
        channels: 1 to 64.
        n_codebooks: K, the operating point: 1 to 32.
        frame_rate: frames of codes per second, 1 to 655.35 Hz; kept in steps of 0.01 Hz.
        chunk_frames: frames of every chunk but the last, 1 to 255; 0 takes `default_chunk_frames`.
        file_id: ties the chunks to this file; the writer derives it.

    Raises:
        BitstreamError: a value is out of range.
    """

    codec: str
    identity: str
    sample_rate: int
    channels: int
    n_codebooks: int
    frame_rate: float
    chunk_frames: int = 0
    file_id: int = 0

    def __post_init__(self) -> None:
        name = self.codec.encode(errors="replace")
        if not (_NAME.fullmatch(name) and len(name) <= MAX_NAME):
            raise BitstreamError(
                f"codec name {self.codec!r}: allowed are 1 to {MAX_NAME} of A-Z a-z 0-9 . _ -"
            )
        if not re.fullmatch("[0-9a-f]{16}", self.identity):
            raise BitstreamError(f"codec identity {self.identity!r}: needed are 16 hexadecimal digits")
        _check_range("channels", self.channels, 1, MAX_CHANNELS)
        _check_range("codebooks", self.n_codebooks, 1, MAX_CODEBOOKS)
        _check_range("sample rate", self.sample_rate, *SAMPLE_RATES)
        _check_range("frame rate", self.frame_rate, *FRAME_RATES)
        object.__setattr__(self, "frame_rate", round(self.frame_rate * 100) / 100)
        _check_range("file id", self.file_id, 0, 0xFFFFFFFF)
        if not self.chunk_frames:
            object.__setattr__(self, "chunk_frames", default_chunk_frames(self.channels, self.n_codebooks))
        _check_range("frames per chunk", self.chunk_frames, 1, 255)
        _check_range(
            "codes per chunk", self.chunk_frames * self.channels * self.n_codebooks, 1, MAX_CHUNK_CODES
        )

    def require(self, codec: str, identity: str) -> None:
        """Raises BitstreamError unless the file was written by this codec."""
        if self.codec != codec:
            raise BitstreamError(f"the file was written by the codec {self.codec!r}, this is {codec!r}")
        if self.identity != identity:
            raise BitstreamError(
                f"the file was written by {codec!r} with identity {self.identity}, this one has {identity}"
            )

    @property
    def mask_size(self) -> int:
        """Bytes at the start of a chunk's payload that say which channels repeat the one before."""
        return (self.channels + 6) // 8

    def max_payload(self, n_frames: int) -> int:
        """The longest payload that n_frames can need: 16 bit a code, and the coder's state."""
        return self.mask_size + 2 * self.channels * self.n_codebooks * n_frames + 6

    def pack(self) -> bytes:
        name = self.codec.encode()
        body = _HEADER.pack(
            MAGIC, VERSION, 0, self.n_codebooks, self.channels, self.sample_rate, round(self.frame_rate *
            100), self.chunk_frames, bytes.fromhex(self.identity), self.file_id, len(name),
        ) + name  # fmt: skip
        return body + _CRC.pack(zlib.crc32(body))

    @classmethod
    def parse(cls, read: Callable[[int], bytes]) -> Header:
        """Parses a header through `read(n)`, which gives n bytes, or fewer at the end of the file."""
        fixed = read(_HEADER.size)
        if not fixed:
            raise BitstreamError("the file is empty")
        if fixed[:4] != MAGIC:
            raise BitstreamError(f"not a .mynah file: it starts with {fixed[:4]!r}, not {MAGIC!r}")
        if len(fixed) > 4 and fixed[4] != VERSION:
            raise BitstreamError(
                f"the file has format version {fixed[4]}, this program reads version {VERSION}"
            )
        if len(fixed) < _HEADER.size:
            raise BitstreamError("the file ends inside its header")
        (
            _,
            _,
            flags,
            n_codebooks,
            channels,
            sample_rate,
            frame_rate,
            chunk_frames,
            identity,
            file_id,
            name_size,
        ) = _HEADER.unpack(fixed)
        _check_range("bytes of codec name", name_size, 1, MAX_NAME)
        rest = read(name_size + _CRC.size)
        if len(rest) < name_size + _CRC.size:
            raise BitstreamError("the file ends inside its header")
        if _CRC.unpack(rest[name_size:])[0] != zlib.crc32(fixed + rest[:name_size]):
            raise BitstreamError("the header is damaged: its checksum does not match")
        if flags:
            raise BitstreamError(f"the header has the flags {flags:#04x}, this program knows none")
        _check_range("frames per chunk", chunk_frames, 1, 255)
        return cls(
            rest[:name_size].decode("latin-1"), identity.hex(), sample_rate, channels, n_codebooks,
            frame_rate / 100, chunk_frames, file_id,
        )  # fmt: skip

    def with_file_id(self, first_chunk: bytes) -> Header:
        """The header with the id derived from the other fields and the first chunk's payload."""
        return replace(self, file_id=zlib.crc32(first_chunk, zlib.crc32(replace(self, file_id=0).pack())))


def one_bit_away(start: bytes) -> Iterator[bytes]:
    """What differs in one bit from how a file begins and has a header's right checksum; chance makes one in 8
    million files."""
    if len(start) < _HEADER.size:
        return
    place = _HEADER.size - 1  # of the name's length, which says where the checksum is
    for changed in (0, *(1 << bit for bit in range(8))):
        tried = bytearray(start)
        tried[place] ^= changed
        end = _HEADER.size + tried[place]
        stored = bytes(tried[end : end + _CRC.size])
        if tried[place] > MAX_NAME or len(stored) < _CRC.size:
            continue
        syndrome = zlib.crc32(tried[:end]) ^ _CRC.unpack(stored)[0]
        if changed:
            if not syndrome:
                yield bytes(tried)
        elif syndrome.bit_count() == 1:  # in the checksum itself
            yield bytes(tried[:end]) + _CRC.pack(zlib.crc32(tried[:end]))
        elif syndrome in _syndromes(end):
            bit = _syndromes(end)[syndrome]
            tried[bit // 8] ^= 1 << bit % 8
            yield bytes(tried)


@lru_cache(MAX_NAME + 1)
def _syndromes(size: int) -> dict[int, int]:
    """What each wrong bit changes in the CRC of so many bytes, which is linear."""
    nothing = zlib.crc32(bytes(size))
    return {zlib.crc32((1 << bit).to_bytes(size, "little")) ^ nothing: bit for bit in range(8 * size)}


class ChunkHead(NamedTuple):
    """The head of a chunk."""

    number: int
    n_frames: int
    payload_size: int
    crc: int

    @classmethod
    def parse(cls, head: bytes, header: Header) -> ChunkHead:
        """Parses CHUNK_HEAD_SIZE bytes; sizes are checked against what the header allows."""
        mark, number, n_frames, size = _CHUNK.unpack_from(head)
        if mark != CHUNK_MARK:
            raise BitstreamError(
                f"damaged: found {mark.hex()} where a chunk should start with {CHUNK_MARK.hex()}"
            )
        _check_range("frames of a chunk", n_frames, 1, header.chunk_frames)
        _check_range("payload bytes of a chunk", size, header.mask_size, header.max_payload(n_frames))
        return cls(int.from_bytes(number, "little"), n_frames, size, _CRC.unpack_from(head, _CHUNK.size)[0])

    def matches(self, header: Header, head: bytes, payload: bytes) -> bool:
        """Whether the CRC fits the file's id, this head and its payload."""
        return self.crc == _seeded_crc(header, head[: _CHUNK.size] + payload)


def pack_chunk(header: Header, number: int, n_frames: int, payload: bytes) -> bytes:
    if number >= MAX_CHUNKS:
        raise BitstreamError(f"a file holds at most {MAX_CHUNKS} chunks")
    head = _CHUNK.pack(CHUNK_MARK, number.to_bytes(3, "little"), n_frames, len(payload))
    return head + _CRC.pack(_seeded_crc(header, head + payload)) + payload


class Trailer(NamedTuple):
    """The index and the exact length, at the end of a file."""

    payload_sizes: array  # of type "H"
    length: int  # samples per channel

    def pack(self, header: Header) -> bytes:
        n = len(self.payload_sizes)
        body = TRAILER_MARK + (header.pack() if n >= HEADER_COPY_CHUNKS else b"")
        body += _little_endian(self.payload_sizes).tobytes() + struct.pack("<IQ", n, self.length)
        return body + _CRC.pack(_seeded_crc(header, body)) + END_MAGIC

    @staticmethod
    def size(header: Header, n_chunks: int) -> int:
        copy = len(header.pack()) if n_chunks >= HEADER_COPY_CHUNKS else 0
        return len(TRAILER_MARK) + copy + 2 * n_chunks + _TAIL.size

    @classmethod
    def parse(cls, data: bytes, header: Header) -> Trailer:
        """Parses the whole trailer, whose size `tail_of` and `size` tell."""
        n, length, crc, _ = tail_of(data)
        if len(data) != cls.size(header, n) or not data.startswith(TRAILER_MARK):
            raise BitstreamError("the index is damaged: its size does not match")
        if crc != _seeded_crc(header, data[:-8]):
            raise BitstreamError("the index is damaged: its checksum does not match")
        if n >= HEADER_COPY_CHUNKS and not data.startswith(header.pack(), len(TRAILER_MARK)):
            raise BitstreamError("the header's copy in the index differs from the header")
        return cls(_little_endian(array("H", data[len(data) - _TAIL.size - 2 * n : -_TAIL.size])), length)

    def check_length(self, header: Header, n_frames: int) -> None:
        """Raises BitstreamError where n_frames cannot hold the stated samples (2 %, 2 frames are spare)."""
        most = int(1.02 * (n_frames + 2) * header.sample_rate / header.frame_rate) if n_frames else 0
        if not 0 <= self.length <= most:
            raise BitstreamError(
                f"the file states {self.length} samples, its {n_frames} frames hold {most} at most"
            )


def tail_of(data: bytes) -> tuple[int, int, int, bytes]:
    """Number of chunks, length, CRC and end magic, from the last TAIL_SIZE bytes of a file or trailer."""
    if len(data) < _TAIL.size or data[-4:] != END_MAGIC:
        raise BitstreamError("the file is cut short or damaged: its index is missing")
    found = _TAIL.unpack(data[-_TAIL.size :])
    _check_range("chunks", found[0], 0, MAX_CHUNKS)
    return found


def read_fully(fileobj: BinaryIO, size: int) -> bytes:
    """Reads `size` bytes, fewer only at the end: a pipe may give less per call."""
    parts, missing = [], size
    while missing:
        part = fileobj.read(missing)
        if not part:
            break
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


def _little_endian(values: array) -> array:
    """Between the machine's order of bytes and the file's, both ways."""
    if sys.byteorder == "big":
        values = values[:]
        values.byteswap()
    return values


def _seeded_crc(header: Header, data: bytes) -> int:
    return zlib.crc32(data, zlib.crc32(_CRC.pack(header.file_id)))


def _check_range(what: str, found: float, low: float, high: float) -> None:
    if not low <= found <= high:
        raise BitstreamError(f"{what}: found {found}, allowed are {low} to {high}")
