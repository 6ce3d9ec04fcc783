"""Text to speech: when each phoneme is spoken and for how long, in whose voice, and the synthesis itself."""

from .align import Alignment, AlignmentError, Segment, align, align_batch
from .cloning import clone
from .durations import Durations
from .pieces import Piece
from .retakes import Retakes
from .synthesizer import Synthesizer
from .voice import Voice, VoiceError

__all__ = [
    "Synthesizer",
    "Piece",
    "Retakes",
    "Durations",
    "Voice",
    "VoiceError",
    "clone",
    "align",
    "align_batch",
    "Alignment",
    "AlignmentError",
    "Segment",
]
