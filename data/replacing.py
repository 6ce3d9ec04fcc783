"""Writing a file so that a reader finds the old one or the new one, never a part."""

import os
import stat
from pathlib import Path


def replace_text(path: Path, text: str) -> None:
    """Write UTF-8 `text` to a temporary name beside `path`, then rename it."""
    temporary = path.with_name(path.name + ".part")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


def is_stream(path: Path) -> bool:
    """Whether this is a device or a pipe, which is written to and never replaced."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))
