"""What lies below a folder."""

import os
from collections.abc import Iterable
from typing import NoReturn

from .errors import MynahError


def find(folder: str, suffixes: Iterable[str]) -> list[str]:
    """Files below `folder` with one of the suffixes (lower case), sorted, each beginning with it; without
    hidden ones, such as macOS's ._ companions, and what lies in hidden folders.

    Raises:
        MynahError: a folder in it cannot be read.
    """
    wanted = frozenset(suffixes)
    found = []
    for place, inside, names in os.walk(folder, onerror=_unreadable):
        inside[:] = [name for name in inside if not name.startswith(".")]
        found += [
            os.path.join(place, name)
            for name in names
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in wanted
        ]
    return sorted(found)


def _unreadable(error: OSError) -> NoReturn:
    raise MynahError(f"{error.filename}: cannot be read ({error.strerror})")
