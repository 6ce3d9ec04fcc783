"""Pictures, as PNG files: sounds side by side as spectrograms, tokens, and the curves of a training run.

Matplotlib is imported where it is used, through its objects alone: no window, no global state, safe in
threads.
"""

import itertools
import math
import os
import secrets
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .errors import AudioError, MynahError
from .json_text import parse_json
from .stft import stft_magnitude

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DYNAMIC_RANGE = 70.0  # dB shown
_LOUD = 0.998  # share of the points that lie below 0 dB: single peaks would darken the rest
_WINDOW_SECONDS = 0.032  # shows the harmonics of a voice and its syllables
_COLUMNS = 1600  # frames drawn at most: about the pixels across
_NARROW = 0.05  # share of a row below which a segment's label may be wider than itself
_FEW = 5  # segments whose borders are drawn boldly
_SMOOTHED_FROM = 60  # points from which on a curve is drawn as its running mean over the pale raw one


class PictureError(MynahError, ValueError):
    """A picture that cannot be drawn or written."""


def plot_comparison(
    sounds: Sequence[tuple[str, NDArray[np.floating], int]],
    path: str | os.PathLike[str],
    dpi: float = 110,
    width: float = 10.0,
) -> None:
    """Write spectrograms of several sounds, one below the other on one time, frequency and loudness scale.

    Loudness is in dB relative to the level that 0.2 % of the loudest sound's points exceed, from -70 to 0; so
    a sound that lost level or its high band shows it. Time runs to the longest sound, frequency to half of
    the highest sample rate; what a sound does not have is grey.

    Args:
        sounds: (title, wav, sample_rate in Hz) each; wav is [T] or [C, T] floating point (channels are
            averaged).
        path: the PNG file; an existing one is replaced, when the new one is complete.
        dpi: pixels per inch.
        width: of the picture, in inches; the smaller, the larger the letters beside it.

    Raises:
        AudioError: no sounds, or one without samples or with another shape.
        PictureError: matplotlib is not installed, or the file cannot be written.
    """
    if not sounds:
        raise AudioError("no sounds to draw")
    pictures = [_power(title, np.asarray(wav), sample_rate) for title, wav, sample_rate in sounds]
    loudest = max(float(np.quantile(power, _LOUD)) for power, _ in pictures) or 1.0  # all silent: all dark
    top = max(sample_rate for _, _, sample_rate in sounds) / 2000
    longest = max(seconds for _, seconds in pictures)

    figure = _figure(dpi)
    figure.set_size_inches(width, 0.9 + 1.75 * len(sounds))
    panels = figure.subplots(len(sounds), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    for panel, (title, _, sample_rate), (power, seconds) in zip(panels, sounds, pictures, strict=True):
        level = 10 * np.log10(np.maximum(power / loudest, 10 ** (-DYNAMIC_RANGE / 10)))
        image = panel.imshow(
            level,
            origin="lower",
            aspect="auto",
            extent=(0, seconds, 0, sample_rate / 2000),
            cmap="magma",
            vmin=-DYNAMIC_RANGE,
            vmax=0,
            interpolation="nearest",
        )
        panel.set_title(title, loc="left", fontsize=11)
        panel.set_facecolor("0.85")  # where a shorter sound, or one of a lower rate, has nothing
        panel.set(xlim=(0, longest), ylim=(0, top))
        panel.set_ylabel("kHz")
    panels[-1].set_xlabel("seconds")
    figure.colorbar(image, ax=list(panels), label="dB", pad=0.015, fraction=0.03, aspect=40)
    _save(figure, path)


def plot_segments(
    wav: NDArray[np.floating],
    sample_rate: int,
    segments: Sequence[tuple[str, float, float]],
    path: str | os.PathLike[str],
    row_seconds: float = 3.0,
    max_rows: int = 8,
    dpi: float = 110,
    width: float = 12.0,
) -> None:
    """Write a spectrogram in rows like lines of text, with a line at every border between segments.

    Labels stand above their segments, those of short ones at two heights in turn, to keep them apart.
    Loudness is as in `plot_comparison`.

    Args:
        wav: [T] or [C, T], floating point.
        sample_rate: Hz.
        segments: (label, start, end in seconds) each, in order.
        path: the PNG file; an existing one is replaced, when the new one is complete.
        row_seconds: the longest row; all rows are of one length.
        max_rows: what is beyond them is not drawn, and the axis says how much.
        dpi: pixels per inch.
        width: of the picture, in inches.

    Raises:
        AudioError: no samples, or another shape.
        PictureError: matplotlib is not installed, or the file cannot be written.
    """
    total = np.shape(wav)[-1] / sample_rate if np.size(wav) else 0.0
    shown = min(total, max_rows * row_seconds)
    rows = max(1, math.ceil(shown / row_seconds))
    cuts = [round(row * shown * sample_rate / rows) for row in range(rows + 1)]
    pieces = [np.asarray(wav)[..., first:last] for first, last in itertools.pairwise(cuts)]
    powers = [_power("sound", piece, sample_rate)[0] for piece in pieces]
    loudest = max(float(np.quantile(power, _LOUD)) for power in powers) or 1.0
    figure = _figure(dpi)
    figure.set_size_inches(width, 0.4 + 1.45 * rows)
    panels = figure.subplots(rows, 1, squeeze=False)[:, 0]
    for panel, power, first, last in zip(panels, powers, cuts, cuts[1:]):
        start, end = first / sample_rate, last / sample_rate
        panel.imshow(
            10 * np.log10(np.maximum(power / loudest, 10 ** (-DYNAMIC_RANGE / 10))),
            origin="lower",
            aspect="auto",
            extent=(start, end, 0, sample_rate / 2000),
            cmap="magma",
            vmin=-DYNAMIC_RANGE,
            vmax=0,
            interpolation="nearest",
        )
        panel.set_ylabel("kHz")
        _label(panel, segments, start, end)
    cut = "" if shown == total else f" (the first {shown:g} of {total:.1f})"
    panels[-1].set_xlabel(f"seconds{cut}")
    _save(figure, path)


def plot_tokens(
    shades: NDArray[np.floating],
    frame_rate: float,
    path: str | os.PathLike[str],
    dpi: float = 110,
    width: float = 10.0,
) -> None:
    """Write a map of tokens: time from left to right, codebooks from top to bottom, one shade for each token.

    Args:
        shades: [C, K, N] in [0, 1], a panel for each channel.
        frame_rate: frames per second, Hz.
        path: the PNG file; an existing one is replaced, when the new one is complete.
        dpi: pixels per inch.
        width: of the picture, in inches.

    Raises:
        AudioError: no tokens, or another shape.
        PictureError: matplotlib is not installed, or the file cannot be written.
    """
    if shades.ndim != 3 or 0 in shades.shape:
        raise AudioError(f"tokens of shape {list(shades.shape)}: [channels, codebooks, frames] is expected")
    channels, n_codebooks, n_frames = shades.shape
    figure = _figure(dpi)
    figure.set_size_inches(width, 0.7 + channels * (0.45 + 0.14 * n_codebooks))
    panels = figure.subplots(channels, 1, sharex=True, squeeze=False)[:, 0]
    for number, (panel, shade) in enumerate(zip(panels, shades, strict=True), start=1):
        panel.imshow(
            shade,
            aspect="auto",
            extent=(0, n_frames / frame_rate, n_codebooks + 0.5, 0.5),
            cmap="viridis",
            vmin=0,
            vmax=1,
            interpolation="nearest",
        )
        panel.set_yticks([1, n_codebooks] if n_codebooks > 1 else [1])
        panel.set_ylabel("codebook")
        channel = f", channel {number}" if channels > 1 else ""
        panel.set_title(f"{n_codebooks} x {n_frames} tokens{channel}", loc="left", fontsize=11)
    panels[-1].set_xlabel("seconds")
    _save(figure, path)


def plot_curves(
    progress_path: str | os.PathLike[str], path: str | os.PathLike[str], *panels: Sequence[str]
) -> None:
    """Write the curves of a training run: losses and scores over steps, from a JSON-lines file.

    Each line of the file is an object with "step" (an integer) and numbers under any keys; nested objects are
    named with dots, as "val.pesq". Lines need not all have the same keys. Where a step occurs again (a run
    that was resumed), its last line counts; a last line cut short by a kill is left out. Numbers that are not
    finite leave gaps. Curves of 60 points and more are drawn as their running mean over the pale points.

        plot_curves("progress.jsonl", "curves.png", ["loss.mel", "loss.stft"], ["val.pesq_1.5", "val.pesq_3"])

    Args:
        progress_path: the JSON-lines file.
        path: the PNG file; an existing one is replaced, when the new one is complete.
        panels: the keys drawn together in one panel, for each panel; none given: a panel for every key.

    Raises:
        PictureError: the file is missing, a line is malformed (named by its number), it holds nothing to
            draw, or not a key that was asked for; matplotlib is not installed, or the picture cannot be
            written.
    """
    records = _read_progress(Path(progress_path))
    keys = sorted({key for record in records.values() for key in record})
    if not keys:
        raise PictureError(f"{progress_path}: no numbers to draw")
    for key in (key for panel in panels for key in panel):
        if key not in keys:
            raise PictureError(f"{progress_path}: no {key!r} in it, only {', '.join(keys)}")
    groups: list[Sequence[str]] = list(panels) or [[key] for key in keys]

    figure = _figure(110)
    from matplotlib.ticker import EngFormatter, MaxNLocator

    columns = 1 if len(groups) == 1 else 2 if len(groups) <= 4 else 3
    rows = math.ceil(len(groups) / columns)
    figure.set_size_inches(max(7, 4.6 * columns), 0.4 + 2.6 * rows)
    axes = figure.subplots(rows, columns, sharex=True, squeeze=False).flatten()
    for axis, group in zip(axes, groups, strict=False):
        for number, key in enumerate(group):
            points = [(step, record[key]) for step, record in sorted(records.items()) if key in record]
            steps, values = np.array(points, float).T
            _curve(axis, steps, values, key, f"C{number % 10}")
        axis.grid(alpha=0.3)
        axis.xaxis.set_major_locator(MaxNLocator(5))
        axis.xaxis.set_major_formatter(EngFormatter(sep=""))  # 20k
        if len(group) == 1:
            axis.set_title(group[0], loc="left", fontsize=11)
        else:
            axis.legend(fontsize=9)
    for number, axis in enumerate(axes):
        if number >= len(groups):
            axis.set_visible(False)
        elif number + columns >= len(groups):  # nothing below it
            axis.set_xlabel("step")
            axis.tick_params(labelbottom=True)
    _save(figure, path)


def _power(title: str, wav: NDArray[np.floating], sample_rate: int) -> tuple[NDArray[np.float32], float]:
    """The power spectrogram [bins, frames], thinned to what can be seen, and the duration in seconds."""
    if wav.ndim == 2 and wav.shape[0]:
        wav = wav.mean(axis=0)
    if wav.ndim != 1 or not np.issubdtype(wav.dtype, np.floating):
        raise AudioError(
            f"{title}: {wav.dtype} of shape {list(wav.shape)}, expected floating point [T] or [C, T]"
        )
    if not len(wav):
        raise AudioError(f"{title}: holds no samples")
    n_fft = max(64, 2 * round(_WINDOW_SECONDS * sample_rate / 2))
    hop_length = max(n_fft // 8, math.ceil(len(wav) / (4 * _COLUMNS)))
    power = stft_magnitude(wav, n_fft, hop_length) ** 2 / (n_fft / 4) ** 2
    thin = math.ceil(power.shape[1] / _COLUMNS)
    frames = power.shape[1] // thin * thin
    return power[:, :frames].reshape(len(power), -1, thin).mean(axis=2), len(wav) / sample_rate


def _label(panel: Any, segments: Sequence[tuple[str, float, float]], start: float, end: float) -> None:
    """Borders and labels of the segments that are seen from `start` to `end`, in seconds."""
    line = {"linewidth": 0.8, "color": "white", "alpha": 0.7}
    if len(segments) < _FEW:
        line = {"linewidth": 2.5, "color": "cyan"}
    for number, (label, begins, ends) in enumerate(segments):
        if begins >= end or ends <= start:
            continue
        if begins > start:
            panel.axvline(begins, **line)
        raised = 9 * (number % 2) if ends - begins < _NARROW * (end - start) else 0
        middle = (max(begins, start) + min(ends, end)) / 2
        place = {"xytext": (0, 2 + raised), "textcoords": "offset points", "ha": "center", "fontsize": 9}
        panel.annotate(label, (middle, 1), xycoords=("data", "axes fraction"), **place)


def _read_progress(path: Path) -> dict[int, dict[str, float]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    except (OSError, UnicodeDecodeError) as error:
        raise PictureError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error
    records: dict[int, dict[str, float]] = {}
    for number, line in enumerate(lines, start=1):
        try:
            entry = parse_json(line)
            if not isinstance(entry, dict) or not isinstance(entry.get("step"), int):
                raise ValueError("not a JSON object with an integer 'step'")
        except ValueError as error:
            if number == len(lines) and not line.endswith("\n"):
                break
            raise PictureError(f"{path}, line {number}: {error}") from error
        records.setdefault(entry["step"], {}).update(_numbers(entry))
    return records


def _numbers(entry: dict[str, Any], prefix: str = "") -> Iterable[tuple[str, float]]:
    for key, value in entry.items():
        if isinstance(value, dict):
            yield from _numbers(value, f"{prefix}{key}.")
        elif isinstance(value, int | float) and not isinstance(value, bool) and prefix + key != "step":
            yield prefix + key, float(value)


def _curve(axis: Any, steps: NDArray, values: NDArray, label: str, colour: str) -> None:
    values = np.where(np.isfinite(values), values, np.nan)
    if len(values) < _SMOOTHED_FROM:
        axis.plot(steps, values, color=colour, label=label, marker=".", markersize=4, linewidth=1.4)
        return
    axis.plot(steps, values, color=colour, alpha=0.25, linewidth=0.7)
    width = len(values) // 30
    known = np.isfinite(values)
    kernel = np.ones(2 * width + 1)
    count = np.convolve(known, kernel, "full")[width:-width]
    total = np.convolve(np.where(known, values, 0), kernel, "full")[width:-width]
    mean = np.divide(total, count, out=np.full(len(values), np.nan), where=known & (count > 0))
    axis.plot(steps, mean, color=colour, label=label, linewidth=1.6)


def _figure(dpi: float) -> "Figure":
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise PictureError("pictures need the package matplotlib: pip install matplotlib") from error
    figure = Figure(dpi=dpi, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _save(figure: "Figure", path: str | os.PathLike[str]) -> None:
    target = Path(path)
    partial = target.with_name(f".mynah-{secrets.token_hex(6)}.part")
    try:
        figure.savefig(partial, format="png")
        os.replace(partial, target)
    except OSError as error:
        raise PictureError(f"{target}: cannot be written ({error.strerror or error})") from error
    finally:
        partial.unlink(missing_ok=True)
