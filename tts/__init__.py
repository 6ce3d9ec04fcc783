"""Text to speech: when each phoneme is spoken, and for how long."""

from .align import Alignment, AlignmentError, Segment, align, align_batch

__all__ = ["align", "align_batch", "Alignment", "AlignmentError", "Segment"]
