"""`mynah info`: what a `.mynah` file says about itself, and whether it is intact."""

from typing import NamedTuple

from ..codec import checkpoint
from ..codec.salvage import Info, inspect
from ..data.errors import BitstreamError, CheckpointError
from .codecs import codec_of, load, nominal_bitrate
from .files import about, open_input


class Report(NamedTuple):
    """Lines to print, and whether every checksum of the file is right."""

    lines: list[str]
    intact: bool


def describe(source: str, codec: str | None = None) -> Report:
    """All about one file.

    Raises:
        MynahError: it cannot be read, or its header is lost.
    """
    with open_input(source, seekable=True) as file, about(source):
        info = inspect(file)
    rows = {"file": f"{source}, {info.n_bytes} bytes"} | facts(info, codec)
    lines = [f"{name + ':':17}{value}" for name, value in rows.items()]
    return Report(lines, info.problem is None)


def facts(info: Info, codec: str | None = None) -> dict[str, str]:
    """What is known of a file: a value in words for each name."""
    header = info.header
    length = "unknown" if info.length is None else f"{info.length} samples"
    channels = "1 channel" if header.channels == 1 else f"{header.channels} channels"
    return {
        "recording": f"{header.sample_rate} Hz, {channels}, {length} ({info.seconds:.2f} s)",
        "operating point": f"{_operating_point(info, codec)}{header.n_codebooks} codebooks at "
        f"{header.frame_rate:g} frames/s",
        "real rate": f"{info.bitrate:.3f} kbit/s in all" if info.seconds else "no sound",
        "codec": f"{header.codec}, identity {header.identity} ({_known(info, codec)})",
        "integrity": _integrity(info),
    }


def summarise(source: str, codec: str | None = None) -> Report:
    """One line about one file of many; with a codec, also whether that can decode it."""
    with open_input(source, seekable=True) as file, about(source):
        info = inspect(file)
    state = "intact" if info.problem is None else f"DAMAGED: {info.problem}"
    if codec is not None:
        state += f"; {_known(info, codec)}"
    return Report(
        [f"{info.seconds:9.2f} s {info.bitrate:7.3f} kbit/s  {source}  {state}"], info.problem is None
    )


def _operating_point(info: Info, chosen: str | None) -> str:
    """The nominal bitrate, which depends on the codec's codebook size."""
    try:
        codec = load(chosen or checkpoint.shipped(info.header.codec))
    except CheckpointError:
        return ""
    return f"{nominal_bitrate(codec, info.header.n_codebooks):g} kbit/s a channel, "


def _known(info: Info, chosen: str | None) -> str:
    try:
        codec_of(info.header, chosen)
    except BitstreamError as error:
        return str(error)
    return "installed, can be decoded"


def _integrity(info: Info) -> str:
    if info.problem is None:
        return f"intact: the index and all chunks ({info.n_chunks})"
    lost = [
        f"{span.start_frame / info.header.frame_rate:.2f} to "
        f"{(span.start_frame + span.n_frames) / info.header.frame_rate:.2f} s"
        for span in info.lost
    ]
    what = f"lost: {', '.join(lost)}" if lost else "no chunk in between is lost"
    return f"DAMAGED ({info.problem}); intact chunks: {info.n_chunks}; {what}"
