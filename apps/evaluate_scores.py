"""Scores of sound by name: which can be taken here, and how they are summed up."""

import statistics
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ..data import metrics
from ..data.errors import MynahError

METRICS = ("pesq_wb", "estoi", "si_sdr", "mel_distance", "dnsmos")

Wav = NDArray[np.float32]
Tell = Callable[[str], None]


def usable(scored: Sequence[str], note: Tell) -> list[str]:
    """The scores whose package is installed; a note for each that is left out."""
    kept = []
    for name in scored:
        try:
            silence = np.zeros(metrics.SAMPLE_RATE, np.float32)
            score(name, silence, silence)
        except MynahError as error:
            note(f"{name} is left out: {error}")
        else:
            kept.append(name)
    return kept


def score(name: str, ref: Wav, deg: Wav) -> dict[str, float]:
    """A score by name, or the four of DNSMOS; NaN where it is not defined."""
    if name == "dnsmos":
        return {f"dnsmos_{part}": value for part, value in metrics.dnsmos(deg)._asdict().items()}
    return {name: getattr(metrics, name)(ref, deg)}


def spread(values: Sequence[float]) -> dict[str, float | int | None]:
    """Mean and standard deviation of the finite values, and how many were not: they are never hidden."""
    finite = [value for value in values if np.isfinite(value)]
    return {
        "mean": round(statistics.fmean(finite), 5) if finite else None,
        "std": round(statistics.pstdev(finite), 5) if finite else None,
        "undefined": len(values) - len(finite),
    }
