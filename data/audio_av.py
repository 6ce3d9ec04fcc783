"""Sound out of m4a, mp4, webm, mkv, wma and whatever else FFmpeg reads, through PyAV, which carries it."""

import io
from typing import Any

import numpy as np

from .audio_types import AudioInfo, Samples
from .errors import AudioError

# A playlist or a subtitle file can name other files and addresses for FFmpeg to open: none may.
_OPTIONS = {"protocol_whitelist": "none"}


class _File(io.BufferedReader):
    """A file in which a damaged container may send FFmpeg anywhere: PyAV would print a traceback."""

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        try:
            return super().seek(offset, whence)
        except (OSError, ValueError, OverflowError):
            return -1  # FFmpeg takes it for an error


class AvSource:
    """Decodes the first audio stream of a file with FFmpeg.

    What is delivered: every sample FFmpeg decodes, less the encoder delay where the container states it (mp4
    edit lists, Opus pre-skip); other lossy files may be longer than the sound that went in by up to a few
    thousand samples. The length is not known before the end.

    Args:
        path: a file.
        name: what to call it in messages.

    Raises:
        AudioError: no sound in it that FFmpeg can decode.
    """

    def __init__(self, path: str, name: str) -> None:
        import av  # 40 MB of codecs: only for files that libsndfile does not read

        av.logging.set_level(av.logging.PANIC)  # the errors raised here say it once, and with the name
        self._name = name
        self._errors = (av.error.FFmpegError, OSError, EOFError)
        self._file = _File(io.FileIO(path))
        self._container: Any = None
        try:
            self._container = av.open(self._file, options=_OPTIONS)
            streams = self._container.streams.audio
            if not streams:
                raise AudioError(f"{name}: holds no sound ({self._container.format.name})")
            stream = streams[0]
            codec = stream.codec_context
            self._resampler = av.AudioResampler(format="fltp", layout=stream.layout, rate=stream.rate)
            self.info = AudioInfo(
                stream.rate, stream.layout.nb_channels, None, self._container.format.name, codec.name
            )
        except AudioError:
            self.close()
            raise
        except (*self._errors, ValueError, AttributeError) as error:
            self.close()
            raise AudioError(f"{name}: not a sound file that can be read") from error
        self._frames = self._container.decode(stream)
        self._pending: list[Samples] = []
        self._held = 0
        self._finished = False

    def read(self, frames: int) -> Samples:
        """Return the next [T, C] samples, T less than `frames` only at the end."""
        while self._held < frames and not self._finished:
            for part in self._next_parts():
                self._pending.append(part)
                self._held += part.shape[0]
        if not self._pending:
            return np.zeros((0, self.info.channels), np.float32)
        joined = np.concatenate(self._pending)
        self._pending, self._held = [joined[frames:]], max(self._held - frames, 0)
        return joined[:frames]

    def close(self) -> None:
        """Close the file."""
        if self._container is not None:
            self._container.close()
        self._file.close()

    def _next_parts(self) -> list[Samples]:
        """The next decoded frame as [T, C] pieces; at the end what the converter still held."""
        try:
            frame = next(self._frames, None)
            self._finished = frame is None
            return [
                part.to_ndarray().T.astype(np.float32, copy=False) for part in self._resampler.resample(frame)
            ]
        except (*self._errors, ValueError) as error:
            raise AudioError(f"{self._name}: damaged ({_reason(error)})") from error


def _reason(error: BaseException) -> str:
    """FFmpeg's words without PyAV's error number and file name."""
    return str(getattr(error, "strerror", None) or error).splitlines()[0]
