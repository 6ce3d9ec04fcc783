"""What is missing at the end of a sound file: the bytes of samples that its header promises and that are not
there. libsndfile and FFmpeg take what there is and say nothing.

Known are WAV (RIFF, RIFX, RF64), AIFF, Sony W64, Apple CAF and Sun AU, whose headers say how many bytes their
samples take.
"""

import os
import struct
from typing import BinaryIO, NamedTuple

# Sizes from here on (sox writes 0x7F000000 and a little, others all ones) and 0 mean "until the end".
_UNKNOWN_FROM = 0x7EFF0000
_UNKNOWN_LARGE = 1 << 62
_PLACEHOLDER = 0xFFFFFFFF  # the size of an RF64 stands in its chunk ds64
_W64_HEADER = 24  # bytes of tag and size, which W64 counts as part of the chunk


class Missing(NamedTuple):
    """`missing` of the `promised` bytes of samples."""

    missing: int
    promised: int


class _Chunks(NamedTuple):
    """How a format keeps its chunks: where the first begins, tag and size, and what they are aligned to."""

    start: int
    header: struct.Struct
    align: int
    samples: bytes


_FORMATS = {
    (b"RIFF", b"WAVE"): _Chunks(12, struct.Struct("<4sI"), 2, b"data"),
    (b"RF64", b"WAVE"): _Chunks(12, struct.Struct("<4sI"), 2, b"data"),
    (b"RIFX", b"WAVE"): _Chunks(12, struct.Struct(">4sI"), 2, b"data"),
    (b"FORM", b"AIFF"): _Chunks(12, struct.Struct(">4sI"), 2, b"SSND"),
    (b"FORM", b"AIFC"): _Chunks(12, struct.Struct(">4sI"), 2, b"SSND"),
    (b"riff", b"wave"): _Chunks(40, struct.Struct("<4s12xQ"), 8, b"data"),
    (b"caff", b""): _Chunks(8, struct.Struct(">4sQ"), 1, b"data"),
}


def missing_samples(path: str | bytes) -> Missing | None:
    """How much of the samples of a file is missing.

    None where all are there, the header leaves open how many there are, or the format is another.

    Raises:
        OSError: the file cannot be read.
    """
    with open(path, "rb") as file:
        length = os.fstat(file.fileno()).st_size
        found = _samples(file, length)
    if found is None:
        return None
    start, size = found
    return Missing(start + size - length, size) if start + size > length else None


def _samples(file: BinaryIO, length: int) -> tuple[int, int] | None:
    """Where the samples begin, and their bytes; None where the header does not say so."""
    head = file.read(40)
    if head[:4] in (b".snd", b"dns."):
        if len(head) < 12:
            return None
        start, size = struct.unpack(">II" if head[:1] == b"." else "<II", head[4:12])
        return None if _is_open(size, large=False) else (start, size)
    kind = b"" if head[:4] == b"caff" else head[24:28] if head[:4] == b"riff" else head[8:12]
    chunks = _FORMATS.get((head[:4], kind))
    return None if chunks is None else _walk(file, length, chunks)


def _walk(file: BinaryIO, length: int, chunks: _Chunks) -> tuple[int, int] | None:
    """Go from chunk to chunk up to the samples."""
    at, stated = chunks.start, None
    while at + chunks.header.size <= length:
        file.seek(at)
        tag, size = chunks.header.unpack(file.read(chunks.header.size))
        at += chunks.header.size
        if chunks.header.size == _W64_HEADER:
            size = max(size - _W64_HEADER, 0)
        if tag == b"ds64":
            stated = int.from_bytes(file.read(16)[8:], "little")
        elif tag == chunks.samples:
            if stated is not None and size == _PLACEHOLDER:
                return None if _is_open(stated, large=True) else (at, stated)
            return None if _is_open(size, large=chunks.header.size > 8) else (at, size)
        at += size + -size % chunks.align
    return None


def _is_open(size: int, large: bool) -> bool:
    """Whether a size of 4 or (`large`) 8 bytes means that the samples go on until the end."""
    return size == 0 or size >= (_UNKNOWN_LARGE if large else _UNKNOWN_FROM)
