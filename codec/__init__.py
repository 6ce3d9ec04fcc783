"""Waveform to tokens and back: the codec, its file format and its entropy coder."""

from .codec import Codec, Encoded

__all__ = ["Codec", "Encoded"]
