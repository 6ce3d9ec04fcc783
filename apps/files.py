"""Files of the `mynah` command: where a result goes, and results that are complete or absent."""

import os
import secrets
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import BinaryIO, cast

from ..data.errors import BitstreamError, MynahError

SUFFIX = ".mynah"


def display_name(path: str, output: bool = False) -> str:
    """The path as messages give it."""
    if path != "-":
        return path
    return "standard output" if output else "standard input"


def default_target(source: str, target: str | None, suffix: str, tag: str = "") -> str:
    """Where a file's result goes: `target`, or a file of the same stem inside it where it is a folder.

    Without `target` the result lies beside the source, and what came through a pipe goes out through one.
    """
    if target == "-" or (target is None and source == "-"):
        return "-"
    name = (Path(source).stem if source != "-" else "standard-input") + tag + suffix
    if target is None:
        return str(Path(source).with_name(name))
    return str(Path(target, name)) if os.path.isdir(target) else target


def check_target(source: str, target: str, force: bool, suffixes: tuple[str, ...] = ()) -> None:
    """Raise MynahError unless `target` may be written: before any work is done.

    Args:
        source, target: paths, or "-".
        force: whether an existing file may be replaced.
        suffixes: what the name may end in; any where there are none. Devices and pipes have any name.
    """
    if target == "-":
        if sys.stdout is None or sys.stdout.isatty():
            raise MynahError("standard output: not written to a terminal, pipe it or name a file")
        return
    path = Path(target)
    if not path.parent.is_dir():
        raise MynahError(f"{target}: there is no folder {path.parent}")
    if os.path.lexists(path) and is_stream(path):
        return
    if suffixes and path.suffix.lower() not in suffixes:
        raise MynahError(f"{target}: the name has to end in {', '.join(suffixes)}")
    if not os.path.lexists(path):
        return
    if path.is_dir():
        raise MynahError(f"{target}: is a folder, the name of a file is expected")
    if source != "-" and path.exists() and os.path.exists(source) and os.path.samefile(source, path):
        raise MynahError(f"{target}: is the input as well, name another file for the output")
    if not force:
        raise MynahError(f"{target}: exists already, --force replaces it")


def is_stream(path: Path) -> bool:
    """Whether this is a device or a pipe, which is written to and never replaced."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


@contextmanager
def open_output(target: str) -> Iterator[BinaryIO]:
    """A binary file to write, renamed to `target` when the block ends well and removed when it does not.

    "-", devices and pipes are written directly. An OSError becomes one line with the name.
    """
    name = display_name(target, output=True)
    direct = target == "-" or is_stream(Path(target))
    try:
        if direct:
            with nullcontext(sys.stdout.buffer) if target == "-" else open(target, "wb") as file:
                yield file
                file.flush()
            return
        partial = Path(target).with_name(f".mynah-{secrets.token_hex(6)}.part")
        try:
            with open(partial, "xb") as file:
                yield file
            os.replace(partial, target)
        finally:
            partial.unlink(missing_ok=True)
    except BrokenPipeError:
        raise MynahError(f"{name}: closed by its reader before the end") from None
    except OSError as error:
        raise MynahError(f"{name}: cannot be written ({error.strerror or error})") from error


@contextmanager
def open_input(source: str, seekable: bool = False) -> Iterator[BinaryIO]:
    """A binary file to read; where it has to be seekable, a pipe is first stored in a temporary file."""
    name = display_name(source)
    if source == "-":
        if sys.stdin is None or sys.stdin.isatty():
            raise MynahError("standard input: nothing is piped in")
        if not seekable or sys.stdin.buffer.seekable():
            yield sys.stdin.buffer
            return
        with tempfile.TemporaryFile() as spooled:
            shutil.copyfileobj(sys.stdin.buffer, spooled)
            spooled.seek(0)
            yield cast(BinaryIO, spooled)
        return
    try:
        file = open(source, "rb")  # noqa: SIM115 (closed below, where other errors are not about opening)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise MynahError(f"{name}: cannot be read ({reason})") from error
    with file:
        if seekable and not file.seekable():
            raise MynahError(f"{name}: is a pipe, this needs a file")
        yield file


@contextmanager
def about(source: str) -> Iterator[None]:
    """Put the file's name before what is wrong with its bytes."""
    try:
        yield
    except BitstreamError as error:
        raise BitstreamError(f"{display_name(source)}: {error}") from error
