"""Alignments as files: Praat TextGrid (Boersma & Weenink) and JSON. Pauses are segments without text."""

import json
from collections.abc import Sequence

from ..data.text import SILENCE
from .align import Alignment, Segment


class Clock:
    """Frames to seconds: the last frame ends where the recording does.

    Args:
        frame_rate: Hz.
        seconds: duration of the recording.
    """

    def __init__(self, frame_rate: float, seconds: float):
        self.frame_rate, self.seconds = frame_rate, round(seconds, 6)

    def __call__(self, frame: int) -> float:
        return min(round(frame / self.frame_rate, 6), self.seconds)


def to_textgrid(alignment: Alignment, clock: Clock) -> str:
    """The tiers `words` and `phones` as a TextGrid in Praat's long text format."""
    tiers = {"words": alignment.words, "phones": alignment.phones}
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', ""]
    lines += ["xmin = 0", f"xmax = {clock.seconds}", "tiers? <exists>", f"size = {len(tiers)}", "item []:"]
    for number, (name, segments) in enumerate(tiers.items(), 1):
        lines += [f"    item [{number}]:", '        class = "IntervalTier"', f'        name = "{name}"']
        lines += ["        xmin = 0", f"        xmax = {clock.seconds}"]
        lines += [f"        intervals: size = {len(segments)}"]
        for place, segment in enumerate(segments, 1):
            text = _text(segment).replace('"', '""')
            lines += [
                f"        intervals [{place}]:",
                f"            xmin = {clock(segment.start)}",
                f"            xmax = {clock(segment.end)}",
                f'            text = "{text}"',
            ]
    return "\n".join(lines) + "\n"


def to_json(alignment: Alignment, clock: Clock, text: str) -> str:
    """`text`, `seconds`, `score`, `words` and `phones`, these with `text`, `start` and `end` in seconds."""
    document = {
        "text": text,
        "seconds": clock.seconds,
        "score": round(alignment.score, 3),
        "words": _timed(alignment.words, clock),
        "phones": _timed(alignment.phones, clock),
    }
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


def _timed(segments: Sequence[Segment], clock: Clock) -> list[dict[str, str | float]]:
    return [{"text": _text(s), "start": clock(s.start), "end": clock(s.end)} for s in segments]


def _text(segment: Segment) -> str:
    return "" if segment.label == SILENCE else segment.label
