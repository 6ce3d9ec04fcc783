"""The codec that a file or an option names, loaded once."""

import io
from functools import lru_cache, partial
from pathlib import Path
from typing import BinaryIO, cast

from ..codec import Codec, checkpoint
from ..codec.bitstream import BitstreamReader, Header
from ..codec.framing import read_fully
from ..data.errors import BitstreamError, CheckpointError, MynahError

DEFAULT = "mynah-16k"


def load(name_or_folder: str | Path) -> Codec:
    """A codec by its name or folder; CheckpointError lists the shipped ones."""
    return _load(checkpoint.resolve(name_or_folder))


@lru_cache(maxsize=2)
def _load(folder: Path) -> Codec:
    return Codec.from_pretrained(folder)


def codebooks_for(codec: Codec, bitrate: float) -> int:
    """Codebooks of a bitrate in kbit/s; MynahError lists the offered ones."""
    try:
        return codec.codebooks_for(bitrate)
    except ValueError as error:
        raise MynahError(str(error)) from None


def nominal_bitrate(codec: Codec, n_codebooks: int) -> float:
    """kbit/s of a channel without entropy coding."""
    return n_codebooks * codec.config.frame_rate * codec.config.bits_per_code / 1000


def codec_of(header: Header, chosen: str | None) -> Codec:
    """The codec to read a file with: the chosen one, or the shipped one that the file names.

    Raises:
        BitstreamError: the file was made by another codec, with other codes or tables, or by one that is not
            here; it has a number of codebooks that this codec does not offer.
        CheckpointError: the chosen one does not exist.
    """
    try:
        codec = load(chosen or checkpoint.shipped(header.codec))
    except CheckpointError as error:
        if chosen is not None:
            raise
        raise BitstreamError(f"made by another codec, --codec names its folder ({error})") from None
    header.require(codec.config.name, codec.identity)
    if header.n_codebooks not in codec.operating_points:
        offered = ", ".join(map(str, codec.operating_points))
        raise BitstreamError(f"found {header.n_codebooks} codebooks, this codec decodes {offered}")
    return codec


def open_codes(file: BinaryIO, chosen: str | None) -> tuple[BitstreamReader, Codec]:
    """A `.mynah` file or pipe at its start, and the codec that made it."""
    if file.seekable():
        start = file.tell()
        codec = codec_of(Header.parse(partial(read_fully, file)), chosen)
        file.seek(start)
    else:
        codec, file = _open_pipe(file, chosen)
    return BitstreamReader(file, codec.tables), codec


def _open_pipe(file: BinaryIO, chosen: str | None) -> tuple[Codec, BinaryIO]:
    """Which codec is needed stands in the header, which has to be read again with it."""
    taken = bytearray()

    def read(size: int) -> bytes:
        part = read_fully(file, size)
        taken.extend(part)
        return part

    codec = codec_of(Header.parse(read), chosen)
    return codec, cast(BinaryIO, io.BufferedReader(_Rejoined(bytes(taken), file)))


class _Rejoined(io.RawIOBase):
    """What was already taken from a pipe, then the rest of it."""

    def __init__(self, taken: bytes, rest: BinaryIO) -> None:
        self._taken = taken
        self._read = getattr(rest, "read1", rest.read)  # what there is, without waiting for as much as asked

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        part = self._taken[: len(buffer)] or self._read(len(buffer))
        self._taken = self._taken[len(part) :]
        buffer[: len(part)] = part
        return len(part)
