"""The fixed list of sentences that speech synthesis is evaluated on. Nothing is ever trained on them."""

from functools import cache
from pathlib import Path
from typing import NamedTuple


class Sentence(NamedTuple):
    """One of them.

    Attributes:
        id: such as "numbers-03".
        set: "plain" or "hard", 50 each.
        kind: "plain", or what makes it hard: "numbers", "names", "twisters", "repeats", "words" (a single
            one), "long" (some 60 words).
        text: as a person would write it.
    """

    id: str
    set: str
    kind: str
    text: str


@cache
def sentences() -> tuple[Sentence, ...]:
    """All of them, the plain ones first."""
    lines = Path(__file__).with_name("sentences.tsv").read_text(encoding="utf-8").splitlines()
    assert lines[0].split("\t") == list(Sentence._fields)
    return tuple(Sentence(*line.split("\t")) for line in lines[1:])
