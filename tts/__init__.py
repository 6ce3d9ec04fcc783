"""Text to speech: how long each phoneme lasts, in whose voice, and the synthesis itself."""

from .cloning import clone
from .durations import Durations
from .synthesizer import Piece, Synthesizer
from .voice import Voice, VoiceError

__all__ = ["Synthesizer", "Piece", "Durations", "Voice", "VoiceError", "clone"]
