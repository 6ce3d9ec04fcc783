"""How good decoded speech is: PESQ, STOI, ESTOI, SI-SDR, mel distance and DNSMOS; and how much is silence.

All take 1-D floating-point arrays at 16 kHz with full scale 1. Scores of pairs take the reference first, both
of one length and aligned in time. A score that is not defined for a pair (silence, too short) is NaN, as each
function says: average with `numpy.nanmean` and report how many were left out. The packages come with `pip
install 'mynah[metrics]'`.
"""

import importlib
import warnings
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .errors import AudioError, MynahError
from .stft import mel_filterbank, stft_magnitude

SAMPLE_RATE = 16_000
MEL_FLOOR = 1e-5
SILENCE = 2.0**-16  # a sound that stays below half a step of 16 bits is silent
_TOO_SHORT_FOR_STOI = 1e-5  # what pystoi returns, exactly, instead of a score
_DNSMOS_MIN_SECONDS = 1.0
# PESQ's C code writes behind its arrays from the 50th utterance on. One lasts 50 frames of 4 ms at least, 47
# lie between two, and 150 of silence are put around the sound: fewer than 50 fit into 18.6 s of anything.
_PESQ_LONGEST = 18 * SAMPLE_RATE
_PIECE = 320  # samples
_SILENT_PIECE = 0.01

Wav = NDArray[np.floating]


class DnsMos(NamedTuple):
    """Predicted opinion scores, 1 to 5: overall, signal, background (P.835), and overall (P.808)."""

    ovrl: float
    sig: float
    bak: float
    p808: float


def pesq_wb(ref: Wav, deg: Wav) -> float:
    """Return wide-band PESQ (ITU-T P.862.2), about 1.0 to 4.64 (4.643888 for identical sounds).

    NaN where either sound is silent, shorter than a quarter of a second, or holds nothing PESQ takes for
    speech. Sounds longer than 18 s, in which PESQ could find more utterances than it has room for, are scored
    in equal pieces of at most that: the mean, weighted by length, of those that have a score.

    Raises:
        AudioError: the arrays do not fit together or are not finite.
        MynahError: the package `pesq` is not installed.
    """
    ref, deg = _pair(ref, deg)
    pesq = _package("pesq", "PESQ")
    n_pieces = max(1, -(-len(ref) // _PESQ_LONGEST))
    pieces = list(zip(np.array_split(ref, n_pieces), np.array_split(deg, n_pieces), strict=True))
    scores = np.array([_pesq_of_piece(pesq, *piece) for piece in pieces])
    known = np.isfinite(scores)
    if not known.any():
        return float("nan")
    lengths = np.array([len(piece) for piece, _ in pieces])[known]
    return float(scores[known] @ (lengths / lengths.sum()))


def _pesq_of_piece(pesq: Any, ref: NDArray[np.float64], deg: NDArray[np.float64]) -> float:
    if _silent(ref) or _silent(deg):
        return float("nan")
    try:
        return float(pesq.pesq(SAMPLE_RATE, ref, deg, "wb"))
    except (pesq.NoUtterancesError, pesq.BufferTooShortError):
        return float("nan")


def stoi(ref: Wav, deg: Wav) -> float:
    """Return STOI (Taal et al., 2011), about 0 to 1: the share of words that would be understood grows with
    it.

    NaN where `ref` is silent or its speech shorter than 0.4 s (STOI needs 30 frames that are not silent).

    Raises:
        AudioError: the arrays do not fit together or are not finite.
        MynahError: the package `pystoi` is not installed.
    """
    return _stoi(ref, deg, extended=False)


def estoi(ref: Wav, deg: Wav) -> float:
    """Return extended STOI (Jensen and Taal, 2016), about 0 to 1; NaN and errors as `stoi`."""
    return _stoi(ref, deg, extended=True)


def si_sdr(ref: Wav, deg: Wav) -> float:
    """Return the scale-invariant signal-to-distortion ratio in dB (Le Roux et al., 2019).

    Both means are removed; `deg` is split into its projection on `ref` and the rest. Infinite where nothing
    is left over (`deg` is `ref` at any scale); NaN where either sound is constant.

    Raises:
        AudioError: the arrays do not fit together or are not finite.
    """
    ref, deg = _pair(ref, deg)
    if not len(ref) or not np.ptp(ref) or not np.ptp(deg):
        return float("nan")
    ref, deg = ref - ref.mean(), deg - deg.mean()
    target = (deg @ ref) / (ref @ ref) * ref
    rest = deg - target
    with np.errstate(divide="ignore"):
        return float(10 * np.log10((target @ target) / (rest @ rest)))


def mel_distance(ref: Wav, deg: Wav) -> float:
    """Return the mean absolute difference of two log mel spectrograms, 0 for identical sounds.

    mean over bands and frames of |log10 max(M(ref), 1e-5) - log10 max(M(deg), 1e-5)|, where M are the
    magnitudes of an STFT (1024 samples, hop 256, periodic Hann, centred, zeros outside) in 80 Slaney mel
    bands of unit area from 0 to 8 kHz. 0.1 is a difference of 2 dB in every band. NaN for empty arrays;
    silence counts as the floor.

    Raises:
        AudioError: the arrays do not fit together or are not finite.
    """
    ref, deg = _pair(ref, deg)
    if not len(ref):
        return float("nan")
    bands = mel_filterbank(SAMPLE_RATE)
    logs = [np.log10(np.maximum(bands @ stft_magnitude(wav), MEL_FLOOR)) for wav in (ref, deg)]
    return float(np.mean(np.abs(logs[0] - logs[1])))


def silence_ratio(wav: Wav, reference: Wav) -> float:
    """Return the share of `wav`, in pieces of 20 ms, that is 40 dB below the loud pieces of `reference`
    (their level is the one that a twentieth of its pieces exceed).

    The sounds need not be as long. NaN where either is shorter than a piece, or the reference is silent.

    Raises:
        AudioError: an array is not finite floating point [T].
    """
    wav, reference = _check(wav, "sound"), _check(reference, "reference")
    if min(len(wav), len(reference)) < _PIECE or _silent(reference):
        return float("nan")

    return float((_levels(wav) <= _silent_below(reference)).mean())


def sounding(wav: Wav) -> slice:
    """Return the samples from the first to the last piece of 20 ms that is not 40 dB below the loud ones, as
    `silence_ratio` has it: what is left without the silence at both ends. Empty where all is silent.

    Raises:
        AudioError: the array is not finite floating point [T].
    """
    wav = _check(wav, "sound")
    if len(wav) < _PIECE or _silent(wav):
        return slice(0, 0)
    heard = np.flatnonzero(_levels(wav) > _silent_below(wav))
    if not len(heard):  # all of it in the samples after the last whole piece
        return slice(0, 0)
    return slice(int(heard[0]) * _PIECE, (int(heard[-1]) + 1) * _PIECE)


def _silent_below(reference: NDArray[np.float64]) -> float:
    """The level of a silent piece beside this sound."""
    return float(np.quantile(_levels(reference), 0.95)) * _SILENT_PIECE


def _levels(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """RMS of each whole piece."""
    pieces = samples[: len(samples) // _PIECE * _PIECE].reshape(-1, _PIECE)
    return np.sqrt((pieces**2).mean(axis=1))


def dnsmos(wav: Wav) -> DnsMos:
    """Return DNSMOS scores (Reddy et al., 2021 and 2022), which need no reference, by the package
    `speechmos`.

    Samples beyond full scale are saturated, as a file would; sounds under 9.01 s are repeated up to there,
    longer ones averaged over windows of 9.01 s. All NaN where the sound is silent or shorter than a second.

    Raises:
        AudioError: the array is not 1-D floating point, or not finite.
        MynahError: the package `speechmos` is not installed.
    """
    wav = _check(wav, "wav")
    speechmos = _package("speechmos.dnsmos", "DNSMOS")
    if _silent(wav) or len(wav) < _DNSMOS_MIN_SECONDS * SAMPLE_RATE:
        return DnsMos(*[float("nan")] * 4)
    scores = speechmos.run(np.clip(wav, -1, 1).astype(np.float32), SAMPLE_RATE)
    return DnsMos(*(float(scores[f"{name}_mos"]) for name in DnsMos._fields))


def _stoi(ref: Wav, deg: Wav, extended: bool) -> float:
    ref, deg = _pair(ref, deg)
    pystoi = _package("pystoi", "STOI")
    if len(ref) < SAMPLE_RATE // 4 or _silent(ref):
        return float("nan")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # it warns of what becomes NaN here
        score = float(pystoi.stoi(ref, deg, SAMPLE_RATE, extended=extended))
    return float("nan") if score == _TOO_SHORT_FOR_STOI else score


def _pair(ref: Wav, deg: Wav) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    ref, deg = _check(ref, "reference"), _check(deg, "degraded sound")
    if len(ref) != len(deg):
        raise AudioError(
            f"the reference has {len(ref)} samples, the degraded sound {len(deg)}: they must be as long"
        )
    return ref, deg


def _check(wav: Wav, name: str) -> NDArray[np.float64]:
    wav = np.asarray(wav)
    if wav.ndim != 1 or not np.issubdtype(wav.dtype, np.floating):
        raise AudioError(f"{name}: {wav.dtype} of shape {list(wav.shape)}, expected floating point [T]")
    if not np.isfinite(wav).all():
        raise AudioError(f"{name}: sample {int(np.argmin(np.isfinite(wav)))} is not a finite number")
    return wav.astype(np.float64)


def _silent(wav: NDArray[np.float64]) -> bool:
    return not len(wav) or bool(np.abs(wav).max() < SILENCE)


def _package(module: str, what: str) -> Any:
    try:
        found: ModuleType = importlib.import_module(module)
    except ImportError as error:
        name = module.partition(".")[0]
        raise MynahError(f"{what} needs the package {name}: pip install 'mynah[metrics]'") from error
    return found
