"""`mynah decode`: a `.mynah` file, a part of it or what damage left of it, to a sound file."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import BinaryIO

from ..codec import Codec
from ..codec.bitstream import Header
from ..codec.salvage import inspect, salvage
from ..data.audio import AudioWriter, resampled_length
from ..data.errors import BitstreamError, MynahError
from .codecs import codec_of, open_codes
from .coding import Samples, decode_blocks, restore
from .files import about, display_name, open_input
from .parts import LONGEST, range_blocks, salvaged_blocks
from .progress import Advance, ignore


@dataclass(frozen=True)
class Decode:
    """Decodes one file after the other.

    Attributes:
        codec: name or folder; None takes the codec that the file names.
        force: replace existing files.
        start: where to begin, in seconds.
        duration: seconds to decode, at most up to the end; None for all.
        salvage: decode what is intact of a damaged file, with silence for the rest.
    """

    codec: str | None = None
    force: bool = False
    start: float = 0.0
    duration: float | None = None
    salvage: bool = False

    def check(self) -> None:
        """Raise MynahError before any file is touched: times that mean nothing."""
        if not 0 <= self.start <= LONGEST:
            raise MynahError(f"--start {self.start:g}: a time in seconds, 0 to {LONGEST:g}, is expected")
        if self.duration is not None and not 0 < self.duration <= LONGEST:
            raise MynahError(
                f"--duration {self.duration:g}: a time in seconds above 0, at most {LONGEST:g}, is expected"
            )
        if self.salvage and self.is_part:
            raise MynahError("--salvage decodes the whole file: leave --start and --duration out")

    @property
    def is_part(self) -> bool:
        """Whether less than the whole file is wanted."""
        return self.start > 0 or self.duration is not None

    def __call__(self, source: str, target: str, advance: Advance = ignore) -> list[str]:
        """Decode `source` into `target`, "-" for standard input and output; returns what to tell the user.

        Raises:
            MynahError: the file is damaged or of another codec, or the sound cannot be written.
        """
        with open_input(source, seekable=self.salvage or self.is_part) as file, about(source):
            if self.salvage:
                return self._salvage(file, source, target, advance)
            reader, codec = open_codes(file, self.codec)
            if reader.length == 0:
                raise BitstreamError("holds no samples")
            header = reader.header
            if self.is_part:
                assert reader.length is not None
                start = round(self.start * header.sample_rate)
                stop = reader.length
                if self.duration is not None:
                    stop = min(stop, start + max(1, round(self.duration * header.sample_rate)))
                if start >= reader.length:
                    seconds = reader.length / header.sample_rate
                    raise MynahError(
                        f"{display_name(source)}: --start {self.start:g} lies behind its end at {seconds:g} s"
                    )
                self._write(range_blocks(codec, reader, start, stop), header, stop - start, target, advance)
                return []

            def length() -> int:
                if not reader.length:  # a pipe tells at its end
                    raise BitstreamError("holds no samples")
                return reader.length

            wavs = decode_blocks(codec, (piece.codes for piece in reader))
            self._write(_restored(codec, wavs, header, length), header, reader.length, target, advance)
        return []

    def _salvage(self, file: BinaryIO, source: str, target: str, advance: Advance) -> list[str]:
        state = inspect(file)
        codec = codec_of(state.header, self.codec)
        found = salvage(file, codec.tables)
        if not found.n_chunks:
            raise BitstreamError("nothing is left of it: no chunk is intact")
        own, rate = codec.config.sample_rate, found.header.sample_rate
        length = found.length
        if length is None:
            length = resampled_length((found.n_frames - 1) * codec.config.hop_length, own, rate)
        wavs = _restored(codec, salvaged_blocks(codec, found), found.header, lambda: length)
        self._write(wavs, found.header, length, target, advance)
        name, frame_rate = display_name(source), found.header.frame_rate
        notes = [f"{name}: {state.problem}"] if state.problem else []
        for span in found.lost:
            begin, end = span.start_frame / frame_rate, (span.start_frame + span.n_frames) / frame_rate
            notes.append(f"{name}: {begin:.2f} to {end:.2f} s are lost, and silent in the output")
        if found.length is None:
            notes.append(f"{name}: its end is lost, the output ends with the last intact chunk")
        return notes

    def _write(
        self, wavs: Iterable[Samples], header: Header, length: int | None, target: str, advance: Advance
    ) -> None:
        try:
            with AudioWriter(
                target, header.sample_rate, header.channels, force=self.force, length=length
            ) as writer:
                for wav in wavs:
                    writer.write(wav)
                    advance(wav.shape[1] / header.sample_rate)
        except BrokenPipeError:
            raise MynahError(
                f"{display_name(target, output=True)}: closed by its reader before the end"
            ) from None


def _restored(
    codec: Codec, wavs: Iterable[Samples], header: Header, length: Callable[[], int]
) -> Iterable[Samples]:
    return restore(codec, wavs, header.sample_rate, header.channels, length)
