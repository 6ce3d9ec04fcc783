"""Pictures: complete PNG files that show what went in, one clear line for what cannot be drawn."""

import json
import sys

import numpy as np
import pytest

from mynah.data.errors import AudioError, MynahError
from mynah.data.spectrogram import plot_comparison, plot_curves, plot_segments, plot_tokens

pytest.importorskip("matplotlib")
TONE = (0.5 * np.sin(2 * np.pi * 2000 * np.arange(16_000) / 16_000)).astype(np.float32)


def pixels(path) -> np.ndarray:
    """[height, width, 3], 0 to 1."""
    from matplotlib.image import imread

    assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    return imread(path)[:, :, :3]


def progress(path, records, tail=""):
    path.write_text("".join(json.dumps(record) + "\n" for record in records) + tail)
    return path


def test_a_tone_is_a_line_at_its_frequency(tmp_path):
    plot_comparison([("a tone at 2 kHz", TONE, 16_000)], tmp_path / "a.png")
    middle = pixels(tmp_path / "a.png")
    middle = middle[:, middle.shape[1] // 2]  # one column, through the panel
    inside = np.flatnonzero(middle.sum(axis=1) < 2.9)  # not the white border
    brightest = middle[inside[2] : inside[-2]].sum(axis=1)[10:-40]
    height = np.argmax(brightest) / len(brightest)
    assert 0.6 < height < 0.85  # 2 of 8 kHz, from the top


def test_more_sounds_make_a_taller_picture_of_one_width(tmp_path):
    plot_comparison([("a", TONE, 16_000)], tmp_path / "a.png")
    quiet = [("a", TONE, 16_000), ("b", np.zeros((2, 100), np.float32), 8_000), ("c", TONE[:1], 44_100)]
    plot_comparison(quiet, tmp_path / "b.png")
    one, three = pixels(tmp_path / "a.png").shape, pixels(tmp_path / "b.png").shape
    assert three[0] > 2 * one[0] and three[1] == one[1]


def test_levels_are_shared(tmp_path):
    """The same sound 60 dB down is dark beside the original."""
    plot_comparison([("loud", TONE, 16_000), ("quiet", TONE / 1000, 16_000)], tmp_path / "a.png")
    picture = pixels(tmp_path / "a.png")
    column = picture[:, picture.shape[1] // 3]
    red = (column[:, 0] > 0.8) & (column[:, 2] < 0.8)  # magma's loud end: orange to pale yellow
    half = len(red) // 2
    assert red[:half].any() and not red[half:].any()


def test_silence_can_be_drawn(tmp_path):
    plot_comparison([("silence", np.zeros(1000, np.float32), 16_000)], tmp_path / "a.png")
    assert pixels(tmp_path / "a.png").size


def test_an_hour_is_drawn_in_few_columns(tmp_path, monkeypatch):
    shapes = []
    from matplotlib.axes import Axes

    draw = Axes.imshow
    monkeypatch.setattr(Axes, "imshow", lambda self, x, **k: shapes.append(x.shape) or draw(self, x, **k))
    plot_comparison([("long", np.tile(TONE, 100), 16_000)], tmp_path / "a.png")
    assert len(shapes) == 1 and shapes[0][1] <= 1600


@pytest.mark.parametrize(
    ("sounds", "message"),
    [
        ([], "no sounds to draw"),
        ([("a", TONE[:0], 16_000)], "a: holds no samples"),
        ([("a", np.zeros((1, 1, 5)), 16_000)], r"a: float64 of shape \[1, 1, 5\]"),
        ([("a", np.zeros(5, int), 16_000)], "a: int64"),
    ],
)
def test_what_cannot_be_drawn(tmp_path, sounds, message):
    with pytest.raises(AudioError, match=message):
        plot_comparison(sounds, tmp_path / "a.png")
    assert not list(tmp_path.iterdir())


def test_no_folder_and_no_matplotlib(tmp_path, monkeypatch):
    with pytest.raises(MynahError, match=r"a\.png: cannot be written \(No such file"):
        plot_comparison([("a", TONE, 16_000)], tmp_path / "gone" / "a.png")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MynahError, match="pip install matplotlib"):
        plot_comparison([("a", TONE, 16_000)], tmp_path / "a.png")
    assert not list(tmp_path.iterdir())


def test_curves(tmp_path, monkeypatch):
    from matplotlib.axes import Axes

    drawn = {}
    draw = Axes.plot
    monkeypatch.setattr(
        Axes, "plot", lambda self, x, y, **k: drawn.update({k.get("label"): (x, y)}) or draw(self, x, y, **k)
    )
    records = [{"step": s, "loss": {"mel": 1.0 / (s + 1)}, "note": "x"} for s in range(5)]
    records += [{"step": 3, "val": {"pesq": 1.5}}, {"step": 2, "loss": {"mel": 9.0}}]  # resumed at step 2
    records += [{"step": 5, "loss": {"mel": float("nan")}}]
    path = progress(tmp_path / "p.jsonl", records, tail='{"step": 6, "lo')
    plot_curves(path, tmp_path / "a.png", ["loss.mel", "val.pesq"])
    assert pixels(tmp_path / "a.png").size
    steps, values = drawn["loss.mel"]
    assert steps.tolist() == [0, 1, 2, 3, 4, 5]
    assert values[:5].tolist() == [1, 0.5, 9, 0.25, 0.2] and np.isnan(values[5])
    assert drawn["val.pesq"][0].tolist() == [3] and drawn["val.pesq"][1].tolist() == [1.5]
    drawn.clear()
    plot_curves(path, tmp_path / "a.png")
    assert set(drawn) == {"loss.mel", "val.pesq"}


def test_long_curves_are_drawn_as_their_running_mean(tmp_path, monkeypatch):
    from matplotlib.axes import Axes

    drawn = []
    draw = Axes.plot
    monkeypatch.setattr(Axes, "plot", lambda self, x, y, **k: drawn.append(y) or draw(self, x, y, **k))
    records = [{"step": s, "loss": 5.0 + (-1) ** s} for s in range(600)]
    records[300]["loss"] = float("inf")
    plot_curves(progress(tmp_path / "p.jsonl", records), tmp_path / "a.png")
    raw, mean = drawn
    assert len(raw) == len(mean) == 600 and np.isnan(raw[300]) and np.isnan(mean[300])
    known = np.isfinite(mean)
    assert known.sum() == 599 and np.abs(mean[known] - 5).max() < 0.1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"p\.jsonl: no numbers to draw"),
        ('{"step": 1}\n', "no numbers to draw"),
        ('{"step": 1, "a": 2}\n{"step"\n{"step": 2, "a": 2}\n', r"p\.jsonl, line 2: "),
        ('{"a": 2}\n', "line 1: not a JSON object with an integer 'step'"),
        ('{"step": 1, "a": 2}\n', r"p\.jsonl: no 'b' in it, only a"),
    ],
)
def test_bad_progress(tmp_path, text, message):
    (tmp_path / "p.jsonl").write_text(text)
    with pytest.raises(MynahError, match=message):
        plot_curves(tmp_path / "p.jsonl", tmp_path / "a.png", ["b"])
    assert [p.name for p in tmp_path.iterdir()] == ["p.jsonl"]
    with pytest.raises(MynahError, match=r"gone\.jsonl: cannot be read \(No such file"):
        plot_curves(tmp_path / "gone.jsonl", tmp_path / "a.png")


def test_tokens_are_drawn_with_time_across_and_the_first_codebook_on_top(tmp_path):
    shades = np.zeros((1, 2, 10))
    shades[0, 0, 5:] = 1  # yellow in viridis: the right half of the upper row
    plot_tokens(shades, 50, tmp_path / "a.png")
    picture = pixels(tmp_path / "a.png")
    rows, columns = np.nonzero((picture[:, :, 0] > 0.95) & (picture[:, :, 2] < 0.3))
    below, left = np.nonzero((picture[:, :, 0] < 0.3) & (picture[:, :, 2] > 0.3))
    assert rows.max() < below.max() and left.min() < columns.min()
    assert 0.4 * picture.shape[1] < columns.min() < 0.6 * picture.shape[1]


def test_tokens_of_two_channels_make_a_taller_picture_and_others_are_refused(tmp_path):
    for channels in (1, 2):
        plot_tokens(np.zeros((channels, 3, 10)), 50, tmp_path / f"{channels}.png", width=5)
    one, two = (pixels(tmp_path / f"{channels}.png").shape for channels in (1, 2))
    assert two[0] > 1.4 * one[0] and two[1] == one[1] == 550
    with pytest.raises(AudioError, match=r"tokens of shape \[3, 10\]"):
        plot_tokens(np.zeros((3, 10)), 50, tmp_path / "c.png")


def test_segments_have_borders_at_their_times(tmp_path):
    """A few are marked boldly, in cyan; each row has its own share of the time."""
    plot_segments(TONE, 16_000, [("a", 0, 0.25), ("b", 0.25, 1)], tmp_path / "a.png")
    picture = pixels(tmp_path / "a.png")
    cyan = (picture[:, :, 0] < 0.2) & (picture[:, :, 1:] > 0.8).all(axis=2)
    dark = np.flatnonzero((picture.sum(axis=2) < 1).mean(axis=0) > 0.3)  # columns of the panel
    (border,) = {int(np.median(np.flatnonzero(row))) for row in cyan if row.any()}
    assert (border - dark[0]) / (dark[-1] - dark[0]) == pytest.approx(0.25, abs=0.01)


def test_segments_come_in_rows_of_which_the_first_are_drawn(tmp_path):
    many = [("x", n / 10, (n + 1) / 10) for n in range(200)]
    heights = []
    for seconds in (1, 4, 20, 40):
        path = tmp_path / f"{seconds}.png"
        plot_segments(np.tile(TONE, seconds), 16_000, many, path, row_seconds=2, max_rows=4)
        heights.append(pixels(path).shape[0])
    assert 1.5 * heights[0] < heights[1] < 0.6 * heights[2]
    assert heights[2] == heights[3]
    with pytest.raises(AudioError, match="holds no samples"):
        plot_segments(TONE[:0], 16_000, [], tmp_path / "b.png")
    plot_segments(np.zeros((1, 9), np.float32), 16_000, [], tmp_path / "b.png")
