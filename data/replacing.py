"""Writing a file so that a reader finds the old one or the new one, never a part."""

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name beside `path` that no other process has, to be written to: renamed to `path` when the
    block ends well, and removed when it does not."""
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(6)}.part")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def replace_text(path: Path, text: str) -> None:
    """Write JSON `text` in UTF-8 to a temporary name beside `path`, then rename it.

    What is not UTF-8, as in names of files, becomes an escape of JSON, which gives the same name back.
    """
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def is_stream(path: Path) -> bool:
    """Whether this is a device or a pipe, which is written to and never replaced."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))
