"""Waveform to tokens and back."""
