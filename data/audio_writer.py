"""Writing sound in blocks: complete or not at all, never over an existing file unasked, clipping counted."""

import contextlib
import errno
import os
import secrets
import shutil
import sys
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import numpy as np
import soundfile

from .audio_types import Samples, as_wav, check_channels, check_finite, check_rate, native_path
from .audio_wav import PIPE_SUBTYPES, wav_bytes, wav_header
from .errors import AudioError
from .replacing import is_stream

# suffix -> libsndfile's container and the subtype written unless asked otherwise
FORMATS = {
    ".wav": ("WAV", "PCM_16"),
    ".flac": ("FLAC", "PCM_16"),
    ".ogg": ("OGG", "VORBIS"),
    ".opus": ("OGG", "OPUS"),
    ".mp3": ("MP3", "MPEG_LAYER_III"),
    ".aiff": ("AIFF", "PCM_16"),
    ".aif": ("AIFF", "PCM_16"),
    ".au": ("AU", "PCM_16"),
    ".caf": ("CAF", "PCM_16"),
    ".w64": ("W64", "PCM_16"),
    ".rf64": ("RF64", "PCM_16"),
}
COMMENTED = tuple(suffix for suffix in FORMATS if suffix not in (".au", ".w64"))  # they hold a comment
_BITS = {"PCM_U8": 8, "PCM_S8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32}
_FLOATS = ("FLOAT", "DOUBLE")
_SYSTEM_ERROR = 2  # libsndfile's SF_ERR_SYSTEM: a call of the operating system failed
_FULL_DISK = 1 << 16  # bytes left on a disk that took no further block
_MAX_BYTES = 2**32 - 4096  # WAV and AIFF count their bytes in 32 bits, headers included
_AT_ONCE = 65_536  # samples per channel: libvorbis puts what it is given on the stack


class AudioWriter:
    """A sound file, written block by block in constant memory.

    The samples go to a temporary file in the same folder, which takes the real name when the `with` block
    ends well, and is removed when it ends with an exception (Ctrl-C included). Integer samples are rounded to
    the nearest step of 2 ** -(bits - 1), so reading a file and writing it again at its own subtype changes
    nothing.

        with AudioWriter("out.wav", 16000, channels=1) as writer:
            writer.write(block)
        print(writer.clipped)

    Args:
        path: a name ending in .wav, .flac, .ogg (Vorbis), .opus, .mp3, .aiff, .au, .caf, .w64 or .rf64; or
            "-" for standard output, which gets WAV as it comes, and so does a pipe or a device.
        sample_rate: Hz.
        channels: channels of every block.
        subtype: how samples are stored: "PCM_16" (default of the lossless formats), "PCM_24", "PCM_32",
            "PCM_U8", "FLOAT", ... as far as the format has it.
        force: replace an existing file.
        length: samples per channel that will be written, where known: standard output then gets a header with
            exact sizes instead of "until the end", and writing another number is an error.
        comment: text that is kept in the file, where the format has a place for it: `COMMENTED`.

    Attributes:
        name: the path as messages give it ("standard output" for "-").
        length_written: samples per channel so far.
        clipped: samples so far, over all channels, that lay outside [-1, 1] and were saturated; always 0 for
            floating-point subtypes, which store them as they are.

    Raises:
        AudioError: the file exists, its folder does not, the suffix, the subtype or their combination with
            the rate and channels is not known, a sample is NaN or infinite, the disk is full.
        BrokenPipeError: whoever read standard output has gone away.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        sample_rate: int,
        channels: int,
        subtype: str | None = None,
        force: bool = False,
        length: int | None = None,
        comment: str | None = None,
    ) -> None:
        self.name = "standard output" if str(path) == "-" else str(path)
        self.clipped = 0
        self.length_written = 0
        self._channels = check_channels(channels, self.name)
        self._promised = length
        self._force = force
        check_rate(sample_rate, self.name)
        self._target: Path | None = None
        self._partial: Path | None = None
        self._file: soundfile.SoundFile | None = None
        self._pipe: BinaryIO | None = None
        self._limit: int | None = None
        if str(path) == "-":
            self._subtype = self._check_subtype(subtype, "PCM_16", PIPE_SUBTYPES)
            if sys.__stdout__ is None or sys.stdout is None or sys.stdout.isatty():
                raise AudioError(
                    "standard output: sound is not written to a terminal, pipe it or name a file"
                )
            self._open_pipe(sys.stdout.buffer, sample_rate, comment)
        elif is_stream(Path(path)):
            self._subtype = self._check_subtype(subtype, "PCM_16", PIPE_SUBTYPES)
            try:
                pipe = open(path, "wb")  # noqa: SIM115 - closed in close()
            except OSError as error:
                raise _clear(error, self.name) from error
            self._open_pipe(pipe, sample_rate, comment)
        else:
            self._open_file(Path(path), sample_rate, subtype, comment)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()

    def write(self, wav: Samples) -> None:
        """Append a block [C, T] (or [T] for mono), floating point.

        Raises:
            AudioError: wrong shape, NaN or infinite samples, or the disk is full; the file is then removed.
        """
        try:
            wav = as_wav(wav, self.name)
            if wav.shape[0] != self._channels:
                raise AudioError(
                    f"{self.name}: a block of {wav.shape[0]} channels, the file has {self._channels}"
                )
            check_finite(wav, self.name, self.length_written)
            samples = self._quantise(wav)
            self.length_written += wav.shape[1]
            if self._limit is not None and self.length_written > self._limit:
                raise AudioError(
                    f"{self.name}: {self._container} holds at most 4 GiB; name it .flac, .w64 or .rf64"
                )
            self._put(samples)
        except BaseException:
            self.discard()
            raise

    def close(self) -> None:
        """Finish the file and give it its name. Called by the `with` block."""
        if self._promised is not None and self.length_written != self._promised:
            written = self.length_written
            self.discard()
            raise AudioError(f"{self.name}: {written} samples were written, {self._promised} were promised")
        try:
            if self._pipe is not None:
                pipe, self._pipe = self._pipe, None
                pipe.flush()
                if pipe is not sys.stdout.buffer:
                    pipe.close()
            if self._file is not None:
                self._file.close()
                self._file = None
                self._rename()
        except BaseException as error:
            self.discard()
            raise _clear(error, self.name) from error

    def discard(self) -> None:
        """Drop everything written so far; no file is left. (What went to standard output stays there.)"""
        self._pipe = None
        if self._file is not None:
            file, self._file = self._file, None
            with contextlib.suppress(soundfile.SoundFileError, OSError):
                file.close()  # on a full disk it fails again, at the header: the file goes anyway
        if self._partial is not None:
            self._partial.unlink(missing_ok=True)
            self._partial = None

    def _check_subtype(self, subtype: str | None, default: str, allowed: tuple[str, ...]) -> str:
        chosen = default if subtype is None else subtype
        if chosen not in allowed:
            raise AudioError(f"{self.name}: subtype {chosen!r} is not one of {', '.join(allowed)}")
        return chosen

    def _open_pipe(self, pipe: BinaryIO, sample_rate: int, comment: str | None) -> None:
        self._pipe = pipe
        try:
            self._pipe.write(wav_header(sample_rate, self._channels, self._subtype, self._promised, comment))
        except OSError as error:
            raise _clear(error, self.name) from error

    def _open_file(self, target: Path, sample_rate: int, subtype: str | None, comment: str | None) -> None:
        suffix = target.suffix.lower()
        if suffix not in FORMATS:
            raise AudioError(f"{self.name}: suffix {suffix!r} is not one of {', '.join(FORMATS)}")
        container, default = FORMATS[suffix]
        if suffix in (".ogg", ".opus", ".mp3"):
            allowed: tuple[str, ...] = (default,)
        else:
            allowed = tuple(s for s in (*_BITS, *_FLOATS) if soundfile.check_format(container, s))
        self._subtype = self._check_subtype(subtype, default, allowed)
        self._container = container
        if container in ("WAV", "AIFF"):
            width = _BITS.get(self._subtype, 64 if self._subtype == "DOUBLE" else 32) // 8
            self._limit = _MAX_BYTES // (width * self._channels)
        if target.is_dir():
            raise AudioError(f"{self.name}: is a folder, expected the name of a file")
        if os.path.lexists(target) and not self._force:
            raise AudioError(f"{self.name}: exists already (force replaces it)")
        self._target = target
        partial = target.with_name(f".mynah-{secrets.token_hex(6)}.part")
        try:
            # Exclusive, with the permissions a plain open() would give: tempfile's would be the owner's
            # alone.
            os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
            self._partial = partial
            self._file = soundfile.SoundFile(
                native_path(partial), "w", sample_rate, self._channels, self._subtype, format=container
            )
            if comment is not None:
                with contextlib.suppress(soundfile.LibsndfileError):  # the format has no place for it
                    self._file.comment = comment
        except soundfile.LibsndfileError as error:
            self.discard()
            kind = f"{container}/{self._subtype} at {sample_rate} Hz with {self._channels} channels"
            raise AudioError(
                f"{self.name}: {kind} cannot be written ({_reason(error, self.name)})"
            ) from error
        except OSError as error:
            self.discard()
            folder = f"{target.parent}: " if isinstance(error, FileNotFoundError | NotADirectoryError) else ""
            raise AudioError(f"{self.name}: cannot be written ({folder}{error.strerror})") from error
        except BaseException:
            self.discard()
            raise

    def _quantise(self, wav: Samples) -> np.ndarray:
        """[C, T] in [-1, 1] -> [T, C] as libsndfile takes it, saturated (except floating-point subtypes)."""
        if self._subtype in _FLOATS:
            return np.ascontiguousarray(wav.T)
        self.clipped += int(np.count_nonzero(np.abs(wav) > 1))
        if self._subtype not in _BITS:
            return np.ascontiguousarray(np.clip(wav, -1, 1).T)
        bits = _BITS[self._subtype]
        width = 16 if bits <= 16 else 32
        top = 2 ** (bits - 1)
        steps = np.clip(np.rint(wav.T.astype(np.float64) * top), -top, top - 1)
        return np.ascontiguousarray((steps * 2 ** (width - bits)).astype(f"int{width}"))

    def _put(self, samples: np.ndarray) -> None:
        try:
            if self._pipe is not None:
                self._pipe.write(wav_bytes(samples, self._subtype))
                self._pipe.flush()
            elif self._file is not None:
                for start in range(0, len(samples), _AT_ONCE):
                    self._file.write(samples[start : start + _AT_ONCE])
            else:
                raise AudioError(f"{self.name}: is closed")
        except (OSError, soundfile.SoundFileError, AssertionError) as error:
            raise _clear(error, self.name) from error

    def _rename(self) -> None:
        assert self._partial is not None and self._target is not None
        if not self._force and os.path.lexists(self._target):
            raise AudioError(f"{self.name}: exists already (it came while this one was being written)")
        os.replace(self._partial, self._target)
        self._partial = None


def _clear(error: BaseException, name: str) -> BaseException:
    """The error as one line for the user; a broken pipe and what is not about writing stay what they are."""
    if isinstance(error, BrokenPipeError):
        return error
    if isinstance(error, OSError):
        return AudioError(f"{name}: cannot be written ({error.strerror or error})")
    if isinstance(error, soundfile.LibsndfileError):
        return AudioError(f"{name}: cannot be written ({_reason(error, name)})")
    if isinstance(error, AssertionError):  # soundfile's: libsndfile took fewer samples and gave no reason
        return AudioError(f"{name}: cannot be written completely")
    return error


def _reason(error: soundfile.LibsndfileError, name: str) -> str:
    """What libsndfile says, or, as it says "System error" to that, that the disk is full."""
    if error.code == _SYSTEM_ERROR and shutil.disk_usage(Path(name).parent).free < _FULL_DISK:
        return os.strerror(errno.ENOSPC)
    return str(error.error_string).strip().rstrip(".")
