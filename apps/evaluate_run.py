"""What every evaluation tells of itself, and its report as a file."""

import json
import platform
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from ..codec import Codec
from .evaluate_scores import Tell
from .files import open_output

PACKAGES = ("mynah", "torch", "numpy", "soundfile", "soxr", "pesq", "pystoi", "speechmos", "transformers")


class Notes:
    """Takes notes: each is told when it comes, and kept in `lines` for the report."""

    def __init__(self, tell: Tell):
        self.lines: list[str] = []
        self._tell = tell

    def __call__(self, line: str) -> None:
        self.lines.append(line)
        self._tell(f"note: {line}")


def about(codec: Codec, **chosen: Any) -> dict[str, Any]:
    """The beginning of a report: the command, what was `chosen` (data, split ...), codec, machine."""
    return {
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        **chosen,
        "codec": {
            "name": codec.config.name,
            "weights_sha256": codec.weights_hash,
            "tables_sha256": codec.tables.hash,
            "identity": codec.identity,
        },
        "versions": versions(),
        "machine": {"processor": processor(), "threads": torch.get_num_threads()},
    }


def write(report: dict[str, Any], out: str | None) -> None:
    """The report as a JSON file, complete or as it was before; nothing for None.

    Raises:
        MynahError: it cannot be written.
    """
    if out is not None:
        with open_output(out) as file:
            text = json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
            file.write(text.encode(errors="backslashreplace"))  # names that are not UTF-8 as escapes of JSON


def versions() -> dict[str, str]:
    """Of Python, the packages that are installed, and opusenc (c2enc does not tell its own)."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    try:
        said = subprocess.run(["opusenc", "--version"], capture_output=True, text=True, check=False).stdout
        found["opusenc"] = said.splitlines()[0]
    except (OSError, IndexError):
        pass
    return found


def processor() -> str:
    """The processor's name, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())
