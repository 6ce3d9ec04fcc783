"""`mynah truncate`: a `.mynah` file at a lower bitrate, without coding it again."""

from dataclasses import dataclass

from ..codec.bitstream import Header, truncate
from ..data.errors import BitstreamError
from .codecs import codebooks_for, codec_of, nominal_bitrate
from .files import about, open_input, open_output
from .progress import Advance, ignore


@dataclass(frozen=True)
class Truncate:
    """Truncates one file after the other.

    Attributes:
        bitrate: kbit/s per channel, lower than that of the files.
        codec: name or folder; None takes the codec that the file names.
        force: replace an existing file.
    """

    bitrate: float
    codec: str | None = None
    force: bool = False

    def __call__(self, source: str, target: str, advance: Advance = ignore) -> list[str]:
        """Truncate `source` into `target`, "-" for standard input and output.

        Raises:
            MynahError: the file is damaged, of another codec, or not of a higher bitrate.
        """
        with open_input(source, seekable=True) as file, about(source):
            header = Header.parse(file.read)
            file.seek(0)
            codec = codec_of(header, self.codec)
            wanted = codebooks_for(codec, self.bitrate)
            if wanted >= header.n_codebooks:
                has = nominal_bitrate(codec, header.n_codebooks)
                raise BitstreamError(f"has {has:g} kbit/s, it cannot be truncated to {self.bitrate:g}")
            with open_output(target, self.force) as output:
                truncate(file, output, wanted, codec.tables)
        return []
