"""One writer at a time in a folder."""

import sys
from pathlib import Path
from typing import BinaryIO

if sys.platform != "win32":
    import fcntl

LOCK = ".lock"


def lock_folder(folder: Path) -> BinaryIO:
    """Keep a folder for this process until the file that is returned is closed, or the process ends.

    The lock is on a file `.lock` in the folder, which stays there: whoever removed it could remove another's.
    On Windows, and on a file system without locks, nothing is kept.

    Raises:
        BlockingIOError: another writer has it.
        OSError: the file cannot be made.
    """
    file = open(folder / LOCK, "ab")  # noqa: SIM115 - closed by whoever gets it
    if sys.platform != "win32":
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            raise
        except OSError:  # no locks here
            pass
    return file
