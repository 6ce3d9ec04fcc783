"""Reading sound in blocks: files that libsndfile reads, files that FFmpeg reads, and streams from a pipe."""

import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import numpy as np
import soundfile

from .audio_av import AvSource
from .audio_extent import missing_samples
from .audio_types import AudioInfo, Samples, Source, check_channels, check_finite, check_rate, native_path
from .audio_wav import Unsupported, WavPipe
from .errors import AudioError

BLOCK_LENGTH = 65_536  # samples per channel: 4 s at 16 kHz
_LOSSY = frozenset({"VORBIS", "OPUS", "MPEG_LAYER_I", "MPEG_LAYER_II", "MPEG_LAYER_III"})


class SoundFileSource:
    """Decodes a file with libsndfile: wav, flac, ogg, opus, mp3, aiff, au, caf, w64 and more."""

    def __init__(self, path: str, name: str) -> None:
        self._name = name
        self._file = soundfile.SoundFile(native_path(path))
        self._left = self._file.frames
        kind = (self._file.format, self._file.subtype)
        self.info = AudioInfo(self._file.samplerate, self._file.channels, self._file.frames, *kind)

    def read(self, frames: int) -> Samples:
        """Return the next [T, C] samples; a lossless file that ends before its header said is an error."""
        try:
            block = self._file.read(frames, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise AudioError(f"{self._name}: damaged ({error.error_string.rstrip('.')})") from error
        self._left -= len(block)
        if len(block) < frames and self._left > 0 and self.info.subtype not in _LOSSY:
            raise AudioError(
                f"{self._name}: damaged, the last {self._left} of {self.info.length} samples are missing"
            )
        return block

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class AudioReader:
    """A sound, read block by block in constant memory.

    Iterating yields [C, T] float32 blocks, `block_length` samples each but the last. Integer samples are
    scaled to [-1, 1); floating-point files keep what they hold, also beyond 1. Lossless files deliver every
    sample they hold; lossy ones what the decoder delivers after removing the encoder's delay where the file
    states it.

        with AudioReader("talk.flac") as reader:
            for block in reader:
                ...

    Args:
        path: a file, or "-" for standard input. Standard input and named pipes are read in order where they
            carry WAV (PCM or float); anything else that comes through them is first stored in a temporary
            file.
        block_length: samples per channel of a block.

    Attributes:
        name: the path as messages give it ("standard input" for "-").
        info: `AudioInfo` of the header.

    Raises:
        AudioError: missing, unreadable, empty, of no known format, no samples; while iterating: damaged, or a
            sample that is NaN or infinite (naming its position).
    """

    def __init__(self, path: str | os.PathLike[str], block_length: int = BLOCK_LENGTH) -> None:
        if block_length < 1:
            raise AudioError(f"a block of {block_length} samples, 1 is the least")
        self.name = "standard input" if str(path) == "-" else str(path)
        self._block_length = block_length
        self._position = 0
        self._stream: BinaryIO | None = None
        self._spooled: str | None = None
        self._source: Source | None = None
        try:
            self._source = self._open(path)
            self.info: AudioInfo = self._source.info
            check_rate(self.info.sample_rate, self.name)
            check_channels(self.info.channels, self.name)
            if self.info.length == 0:
                raise AudioError(f"{self.name}: holds no samples")
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Samples]:
        while self._source is not None:
            try:
                block = self._source.read(self._block_length)
            except OSError as error:
                raise AudioError(f"{self.name}: cannot be read ({error.strerror})") from error
            wav = np.ascontiguousarray(block.T, np.float32)
            check_finite(wav, self.name, self._position)
            self._position += wav.shape[1]
            if not self._position:
                raise AudioError(f"{self.name}: holds no samples")
            if wav.shape[1]:
                yield wav
            if wav.shape[1] < self._block_length:
                return

    def close(self) -> None:
        """Close the file and remove the temporary one; standard input stays open."""
        if self._source is not None:
            self._source.close()
            self._source = None
        if self._stream is not None and self._stream is not getattr(sys.stdin, "buffer", None):
            self._stream.close()
        if self._spooled is not None:
            os.unlink(self._spooled)
            self._spooled = None

    def _open(self, path: str | os.PathLike[str]) -> Source:
        if str(path) == "-":
            if sys.stdin is None or sys.stdin.isatty():
                raise AudioError("standard input: nothing is piped in")
            return self._open_stream(sys.stdin.buffer)
        try:
            status = os.stat(path)
            if stat.S_ISDIR(status.st_mode):
                raise AudioError(f"{self.name}: is a folder, expected a sound file")
            file = open(path, "rb")  # noqa: SIM115 - may be a pipe that stays open
        except OSError as error:
            raise AudioError(f"{self.name}: cannot be read ({error.strerror})") from error
        except ValueError as error:
            raise AudioError(f"{self.name!r}: not a path ({error})") from error
        if not stat.S_ISREG(status.st_mode):
            return self._open_stream(file)
        file.close()
        if status.st_size == 0:
            raise AudioError(f"{self.name}: is empty")
        return self._open_file(os.fspath(path))

    def _open_stream(self, stream: BinaryIO) -> Source:
        self._stream = stream
        try:
            return WavPipe(stream, self.name)
        except Unsupported as other:
            return self._open_file(self._spool(stream, other.consumed))
        except OSError as error:
            raise AudioError(f"{self.name}: cannot be read ({error.strerror})") from error

    def _spool(self, stream: BinaryIO, consumed: bytes) -> str:
        """Store what the pipe carries: FLAC, Ogg and the rest need seeking."""
        handle, self._spooled = tempfile.mkstemp(prefix="mynah-")
        try:
            with open(handle, "wb") as file:
                file.write(consumed)
                shutil.copyfileobj(stream, file)
        except OSError as error:
            raise AudioError(
                f"{self.name}: cannot be stored in {tempfile.gettempdir()} ({error.strerror})"
            ) from error
        return self._spooled

    def _open_file(self, path: str) -> Source:
        gap = missing_samples(path)
        if gap is not None:
            missing = f"{gap.missing} of the {gap.promised} bytes of its samples are missing"
            raise AudioError(f"{self.name}: ends early, {missing}")
        try:
            return SoundFileSource(path, self.name)
        except soundfile.LibsndfileError as first:
            try:
                return AvSource(path, self.name)
            except AudioError as second:
                if Path(path).suffix.lower() in KNOWN_SUFFIXES:  # libsndfile knows more about its own formats
                    reason = first.error_string.rstrip(".")
                    raise AudioError(f"{self.name}: not a sound file that can be read ({reason})") from second
                raise


KNOWN_SUFFIXES = frozenset(
    {".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".aif", ".au", ".caf", ".w64", ".rf64"}
)
