"""`mynah encode`: a sound file to a `.mynah` file."""

from collections.abc import Iterator
from dataclasses import dataclass

from ..codec.bitstream import BitstreamWriter, Header
from ..data.audio import AudioReader
from .codecs import DEFAULT, codebooks_for, load
from .coding import Samples, encode_blocks
from .files import about, open_output
from .progress import Advance, ignore


@dataclass(frozen=True)
class Encode:
    """Encodes one file after the other.

    Attributes:
        codec: name or folder.
        bitrate: kbit/s per channel.
        force: replace an existing file.
    """

    codec: str = DEFAULT
    bitrate: float = 3.0
    force: bool = False

    def check(self) -> None:
        """Raise MynahError before any file is touched: no such codec or bitrate."""
        codebooks_for(load(self.codec), self.bitrate)

    def __call__(self, source: str, target: str, advance: Advance = ignore) -> list[str]:
        """Encode `source` into `target`, "-" for standard input and output; returns what to tell the user.

        Raises:
            MynahError: the sound cannot be read or the file not written.
        """
        codec = load(self.codec)
        with AudioReader(source) as reader, about(source):
            info = reader.info
            n_codebooks = codebooks_for(codec, self.bitrate)
            header = Header(
                codec.config.name,
                codec.identity,
                info.sample_rate,
                info.channels,
                n_codebooks,
                codec.config.frame_rate,
            )
            length = 0

            def counted() -> Iterator[Samples]:
                nonlocal length
                for block in reader:
                    length += block.shape[1]
                    yield block
                    advance(block.shape[1] / info.sample_rate)

            with open_output(target, self.force) as file:
                writer = BitstreamWriter(file, header, codec.tables)
                for codes in encode_blocks(codec, counted(), info.sample_rate, info.channels, n_codebooks):
                    writer.write(codes)
                writer.close(length)
        return []
