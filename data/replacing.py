"""Writing a file so that a reader finds the old one or the new one, never a part."""

import os
from pathlib import Path


def replace_text(path: Path, text: str) -> None:
    """Write UTF-8 `text` to a temporary name beside `path`, then rename it."""
    temporary = path.with_name(path.name + ".part")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)
