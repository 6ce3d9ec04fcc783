"""WAV as it travels through pipes: read and written in order, without seeking.

A program that writes WAV to a pipe cannot go back to fill in the sizes, so it leaves 0, 0xFFFFFFFF or a
number near 2 GiB there: such a sound lasts until the stream ends. Format: Microsoft RIFF WAVE (PCM, IEEE
float, extensible) and EBU Tech 3306 (RF64).
"""

import struct
from typing import BinaryIO, NamedTuple

import numpy as np

from .audio_types import AudioInfo, Samples
from .errors import AudioError

# Sizes from here on (sox writes 0x7FFFF000 and a little, others 0x80000000 or all ones) mean "not known".
_UNKNOWN_FROM = 0x7FFFF000
_MAX_UNSIZED = 0xFFFFFFFF
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_HEADER_LIMIT = 1 << 20  # bytes of chunks kept before the "fmt " chunk, which real files start with
_SUBTYPES = {
    (_PCM, 8): "PCM_U8",
    (_PCM, 16): "PCM_16",
    (_PCM, 24): "PCM_24",
    (_PCM, 32): "PCM_32",
    (_FLOAT, 32): "FLOAT",
    (_FLOAT, 64): "DOUBLE",
}
_CODES = {subtype: code for code, subtype in _SUBTYPES.items()}
PIPE_SUBTYPES = tuple(_CODES)


class Unsupported(Exception):
    """The stream is no WAV this module decodes; `consumed` holds the bytes already taken from it."""

    def __init__(self, consumed: bytes) -> None:
        super().__init__("not a plain WAV stream")
        self.consumed = consumed


class _Format(NamedTuple):
    subtype: str
    channels: int
    sample_rate: int
    frame_bytes: int


class WavPipe:
    """Decodes a WAV stream in order.

    Args:
        stream: a binary stream whose `read(n)` returns fewer than n bytes only at the end.
        name: what to call it in messages.

    Raises:
        Unsupported: the stream is of another format, or a WAV with other than PCM or float samples.
        AudioError: the stream is empty, or a WAV whose header is damaged.
    """

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self._stream, self._name = stream, name
        head = stream.read(12)
        if not head:
            raise AudioError(f"{name}: is empty")
        if len(head) < 12 or head[:4] not in (b"RIFF", b"RF64") or head[8:] != b"WAVE":
            raise Unsupported(head)
        self._format, size = self._read_chunks(head)
        frame_bytes = self._format.frame_bytes
        self._left = None if size is None else size - size % frame_bytes
        length = None if self._left is None else self._left // frame_bytes
        self.info = AudioInfo(
            self._format.sample_rate, self._format.channels, length, "WAV", self._format.subtype
        )

    def read(self, frames: int) -> Samples:
        """Return the next [T, C] samples; a stream that ends before its header said is an error."""
        frame_bytes = self._format.frame_bytes
        wanted = frames * frame_bytes
        if self._left is not None:
            wanted = min(wanted, self._left)
            self._left -= wanted
        raw = self._stream.read(wanted)
        if self._left is not None and len(raw) < wanted:
            missing = -(-(self._left + wanted - len(raw)) // frame_bytes)
            raise AudioError(
                f"{self._name}: ends early, the last {missing} of {self.info.length} samples are missing"
            )
        raw = raw[: len(raw) - len(raw) % frame_bytes]
        return _decode(raw, self._format.subtype).reshape(-1, self._format.channels)

    def close(self) -> None:
        """Nothing to release: the stream belongs to whoever opened it."""

    def _read_chunks(self, head: bytes) -> tuple[_Format, int | None]:
        """Walk the chunks up to the samples; return their format and their bytes (None: until the end)."""
        consumed, fmt, large_size = bytearray(head), None, None
        while True:
            header = self._stream.read(8)
            if len(header) < 8:
                raise AudioError(f"{self._name}: a WAV stream that ends before its samples")
            tag, size = header[:4], int.from_bytes(header[4:], "little")
            if tag == b"data":
                if fmt is None:
                    raise AudioError(f"{self._name}: a WAV stream whose samples come before their format")
                if large_size is not None and size == _MAX_UNSIZED:
                    size = large_size
                elif size == 0 or size >= _UNKNOWN_FROM:
                    return fmt, None
                return fmt, size
            if fmt is None and (size > _HEADER_LIMIT or len(consumed) + size > _HEADER_LIMIT):
                raise AudioError(f"{self._name}: a WAV stream with {size} bytes in front of its format")
            padded = size + size % 2
            if fmt is not None:
                self._skip(padded)
                continue
            body = self._stream.read(padded)
            consumed += header + body
            if tag == b"fmt ":
                fmt = self._parse_format(body, bytes(consumed))
            elif tag == b"ds64" and len(body) >= 16:
                large_size = int.from_bytes(body[8:16], "little")

    def _parse_format(self, body: bytes, consumed: bytes) -> _Format:
        if len(body) < 16:
            raise AudioError(
                f"{self._name}: a WAV stream with a format chunk of {len(body)} bytes, 16 are the least"
            )
        code, channels, sample_rate, _, frame_bytes, bits = struct.unpack("<HHIIHH", body[:16])
        if code == _EXTENSIBLE and len(body) >= 26:
            code = int.from_bytes(body[24:26], "little")
        if (code, bits) not in _SUBTYPES or frame_bytes != channels * bits // 8 or not channels:
            raise Unsupported(consumed)
        return _Format(_SUBTYPES[code, bits], channels, sample_rate, frame_bytes)

    def _skip(self, size: int) -> None:
        while size > 0:
            skipped = len(self._stream.read(min(size, _HEADER_LIMIT)))
            if not skipped:
                return
            size -= skipped


def _decode(raw: bytes, subtype: str) -> Samples:
    """Samples as float32, scaled as libsndfile scales them: full scale is 2 ** (bits - 1)."""
    if subtype == "PCM_U8":
        return (np.frombuffer(raw, np.uint8).astype(np.float32) - 128) * np.float32(2**-7)
    if subtype == "PCM_16":
        return np.frombuffer(raw, "<i2").astype(np.float32) * np.float32(2**-15)
    if subtype == "PCM_24":
        wide = np.zeros((len(raw) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(raw, np.uint8).reshape(-1, 3)
        return wide.view("<i4")[:, 0].astype(np.float32) * np.float32(2**-31)
    if subtype == "PCM_32":
        return np.frombuffer(raw, "<i4").astype(np.float32) * np.float32(2**-31)
    with np.errstate(over="ignore"):  # a double beyond float32 becomes infinite, which the reader reports
        return np.frombuffer(raw, "<f4" if subtype == "FLOAT" else "<f8").astype(np.float32)


def wav_header(
    sample_rate: int, channels: int, subtype: str, length: int | None, comment: str | None = None
) -> bytes:
    """Return the bytes that start a WAV stream: 44, and the comment's where there is one.

    With `length` None the sizes are 0xFFFFFFFF, "until the end".
    """
    code, bits = _CODES[subtype]
    frame_bytes = channels * bits // 8
    about = _comment_chunk(comment) if comment is not None else b""
    size = None if length is None else length * frame_bytes
    if size is None or size + len(about) + 36 > _MAX_UNSIZED:
        size_field, riff_field = _MAX_UNSIZED, _MAX_UNSIZED
    else:
        size_field, riff_field = size, size + size % 2 + len(about) + 36
    fmt = struct.pack("<HHIIHH", code, channels, sample_rate, sample_rate * frame_bytes, frame_bytes, bits)
    return (
        b"RIFF"
        + struct.pack("<I", riff_field)
        + b"WAVEfmt "
        + struct.pack("<I", 16)
        + fmt
        + about
        + (b"data" + struct.pack("<I", size_field))
    )


def _comment_chunk(comment: str) -> bytes:
    """The chunk LIST, of the kind INFO, with the text as ICMT, zero-terminated and padded to even bytes."""
    text = comment.encode() + b"\0"
    entry = b"ICMT" + struct.pack("<I", len(text)) + text + b"\0" * (len(text) % 2)
    return b"LIST" + struct.pack("<I", len(entry) + 4) + b"INFO" + entry


def wav_bytes(samples: np.ndarray, subtype: str) -> bytes:
    """Return samples quantised by `audio_writer` (int16, int32 or float, [T, C]) as a WAV stores them."""
    if subtype == "PCM_U8":
        return ((samples >> 8) + 128).astype(np.uint8).tobytes()
    if subtype == "PCM_24":
        return samples.astype("<i4").reshape(-1, 1).view(np.uint8)[:, 1:].tobytes()
    kind = {"PCM_16": "<i2", "PCM_32": "<i4", "FLOAT": "<f4", "DOUBLE": "<f8"}[subtype]
    return samples.astype(kind).tobytes()
