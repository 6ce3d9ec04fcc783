"""Text to speech: how long each phoneme lasts, in whose voice, and the synthesis itself."""

from .durations import Durations

__all__ = ["Durations"]
