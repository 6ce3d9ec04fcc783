"""Views of a recording: the same sound begun a part of a frame later, to train language models on.

A sound that begins a few milliseconds later has quite other codes and says the same. A model on little
speech learns the codes of its recordings by heart; in several views of each it finds what they have in
common. View k of n begins k / n of a frame into the recording ID and is the recording `ID@k/n` of the tokens.
"""

import re
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

VIEW = re.compile(r"@[0-9]+/[0-9]+$")


def view_id(id_: str, part: Fraction) -> str:
    """Name of the view that begins `part` of a frame, 0 to 1, into a recording; 0 is the recording itself."""
    return f"{id_}@{part}" if part else id_


def recording_of(id_: str) -> str:
    """The recording that a view shows; a recording's own name stays what it is."""
    return VIEW.sub("", id_)


def part_of(id_: str) -> Fraction:
    """Where in a frame of its recording a view begins; 0 for a recording."""
    found = VIEW.search(id_)
    return Fraction(found[0][1:]) if found else Fraction(0)


def seen_durations(durations: NDArray[np.int64], part: Fraction, n_frames: int) -> NDArray[np.int64]:
    """Frames of each symbol of a recording in its view of `n_frames`, to half a frame.

    Where the view begins half a frame later or more, the first symbol that has two frames loses one; at the
    end, the last symbols last until the view ends.
    """
    found = durations.copy()
    if part >= Fraction(1, 2) and (found > 1).any():
        found[np.argmax(found > 1)] -= 1
    beyond = n_frames - int(found.sum())
    if beyond > 0:
        found[-1] += beyond
    for i in reversed(range(len(found))):
        taken = min(max(-beyond, 0), int(found[i]))
        found[i] -= taken
        beyond += taken
    return found
