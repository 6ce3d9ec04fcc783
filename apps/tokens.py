"""`mynah tokens`: the codes of a `.mynah` file as a NumPy array, and back.

`talk.npy` holds int16 [C, K, N]: channels, codebooks, frames. What decoding needs besides stands in
`talk.npy.json` beside it: `codec`, `identity` (of its codes and tables), `sample_rate` in Hz and `length` in
samples per channel of the recording. An array without that file, as a language model makes it, is taken for
sound at the codec's own rate that lasts N - 1 frames.
"""

import json
import os
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..codec import Codec, checkpoint
from ..codec.bitstream import BitstreamWriter, Header
from ..data.errors import MynahError
from ..data.json_text import parse_json
from ..data.walking import find
from .codecs import DEFAULT, load, nominal_bitrate, open_codes
from .files import SUFFIX, about, check_target, display_name, open_input, open_output
from .progress import Advance, ignore

_NPY = b"\x93NUMPY"
_KEYS = {"codec": str, "identity": str, "sample_rate": int, "length": int}


def from_arrays(source: str, target: str | None) -> bool:
    """Whether arrays are to become `.mynah` files: after the name of the source, or of the result where that
    says nothing, or what a folder holds."""
    if os.path.isdir(source):
        return not find(source, [SUFFIX])
    named = Path(source).suffix.lower()
    return named == ".npy" or (named != SUFFIX and (target or "").endswith(SUFFIX))


@dataclass(frozen=True)
class Tokens:
    """Turns `.mynah` files into `.npy` files and the other way round, after the name of the source.

    Attributes:
        codec: name or folder; None takes the codec that the file names, or the shipped one.
        force: replace existing files.
    """

    codec: str | None = None
    force: bool = False

    def __call__(self, source: str, target: str, advance: Advance = ignore) -> list[str]:
        """Convert `source` into `target`.

        Raises:
            MynahError: the source is damaged, of another codec, or holds no such codes.
        """
        with open_input(source, seekable=True) as file, about(source):
            if file.read(len(_NPY)) == _NPY:
                file.seek(0)
                self._from_array(file, source, target)
            elif Path(target).suffix == SUFFIX:
                raise MynahError(f"{display_name(source)}: not a NumPy array (.npy)")
            else:
                file.seek(0)
                self._to_array(file, target)
        return []

    def _to_array(self, file: BinaryIO, target: str) -> None:
        reader, codec = open_codes(file, self.codec)
        header = reader.header
        codes = np.concatenate(
            [np.zeros((header.channels, header.n_codebooks, 0), np.int16)]
            + [piece.codes.astype(np.int16) for piece in reader],
            axis=2,
        )
        needed = {
            "codec": codec.config.name,
            "identity": header.identity,
            "sample_rate": header.sample_rate,
            "length": reader.length,
        }
        with ExitStack() as stack:  # both files or none
            if target != "-":
                check_target("-", str(beside(target)), self.force)
                aside = stack.enter_context(open_output(str(beside(target)), self.force))
                aside.write((json.dumps(needed, indent=2) + "\n").encode())
            np.save(stack.enter_context(open_output(target, self.force)), codes)

    def _from_array(self, file: BinaryIO, source: str, target: str) -> None:
        name = display_name(source)
        stated = _read_beside(source)
        codec = load(self.codec or checkpoint.shipped(stated.get("codec", DEFAULT)))
        codes = _read_array(file, name, codec)
        config = codec.config
        sample_rate = stated.get("sample_rate", config.sample_rate)
        length = stated.get("length", (codes.shape[2] - 1) * config.hop_length)
        if length == 0:
            raise MynahError(f"{name}: holds no samples, 2 frames are the least without a length beside it")
        header = Header(
            config.name,
            stated.get("identity", codec.identity),
            sample_rate,
            len(codes),
            codes.shape[1],
            config.frame_rate,
        )
        header.require(config.name, codec.identity)
        with open_output(target, self.force) as output:
            writer = BitstreamWriter(output, header, codec.tables)
            writer.write(codes)
            writer.close(length)


def beside(path: str) -> Path:
    """The file with what decoding needs besides the codes."""
    return Path(path + ".json")


def _read_array(file: BinaryIO, name: str, codec: Codec) -> NDArray[np.integer]:
    """The array, checked: integer codes [C, K, N] of an operating point of the codec."""
    try:
        version = np.lib.format.read_magic(file)
        shape, _, dtype = (
            np.lib.format.read_array_header_1_0(file)
            if version == (1, 0)
            else np.lib.format.read_array_header_2_0(file)
        )
        stored = os.fstat(file.fileno()).st_size - file.tell()
        if dtype.hasobject or int(np.prod(shape, dtype=object)) * dtype.itemsize != stored:
            raise ValueError(f"{stored} bytes for {dtype} {list(shape)}")
        file.seek(0)
        codes = np.load(file, allow_pickle=False)
    except (ValueError, OSError, EOFError, TypeError, SyntaxError, TokenError, RecursionError) as error:
        raise MynahError(f"{name}: not a NumPy array that can be read ({_line(error)})") from error
    if codes.ndim != 3 or codes.dtype.kind not in "iu" or 0 in codes.shape:
        raise MynahError(f"{name}: {codes.dtype} {list(codes.shape)}, expected integer codes [C, K, N]")
    offered = [codec.codebooks_for(bitrate) for bitrate in codec.config.bitrates]
    if codes.shape[1] not in offered:
        rate = nominal_bitrate(codec, codes.shape[1])
        numbers = ", ".join(map(str, offered))
        raise MynahError(f"{name}: {codes.shape[1]} codebooks ({rate:g} kbit/s), this codec has {numbers}")
    if codes.min() < 0 or codes.max() >= codec.config.codebook_size:
        raise MynahError(
            f"{name}: codes {codes.min()} to {codes.max()}, allowed are 0 to {codec.config.codebook_size - 1}"
        )
    return codes


def _line(error: Exception) -> str:
    """What is wrong, in a line; what a parser of Python's says goes without the place in its source."""
    parsed = isinstance(error, TokenError | SyntaxError) and error.args
    return str(error.args[0] if parsed else error).split("\n")[0]


def _read_beside(source: str) -> dict[str, Any]:
    """What stands in the file beside an array; nothing where there is none."""
    path = beside(source)
    if source == "-" or not path.exists():
        return {}
    try:
        stated = parse_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise MynahError(f"{path}: cannot be read ({error})") from error
    for key, kind in _KEYS.items():
        if not isinstance(stated, dict) or type(stated.get(key)) is not kind:
            raise MynahError(f"{path}: {key} is missing or not {'text' if kind is str else 'a whole number'}")
    return stated
