"""What the codec tab of the demo does: a recording there and back, a `.mynah` file opened."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from ..codec import Codec, Encoded
from ..data.audio import Audio
from ..data.spectrogram import plot_comparison, plot_tokens
from .codecs import DEFAULT, load, open_codes
from .coding import Codes
from .compare import Scores, code, score
from .demo_limits import inspect_file, read_recording
from .files import SUFFIX
from .info import facts

Tell = Callable[[float, str], object]  # how much is done, 0 to 1, and what comes next
Table = list[list[str | float]]
NOT_MEASURED: Table = [  # name, value, how to read it
    ["real kbit/s", "-", "all of the file; 16-bit samples at 16 kHz: 256"],
    ["PESQ-WB", "-", "1 to 4.64: no difference"],
    ["ESTOI", "-", "0 to 1: no difference"],
    ["mel distance", "-", "0: no difference; 0.1: 2 dB in every band"],
]
DPI, WIDTH = 160, 6.4  # inches: the letters beside a picture can be read at a phone's width


class Reconstruction(NamedTuple):
    """A recording and what the codec made of it; the last three are paths of files."""

    original: Audio
    copy: Audio
    table: Table
    spectrograms: str
    tokens: str
    file: str


class Opened(NamedTuple):
    """The sound of a `.mynah` file, what is known of it, and the path of its token map."""

    sound: Audio
    table: Table
    tokens: str


def reconstruct(path: str | None, bitrate: float, folder: Path, tell: Tell) -> Reconstruction:
    """Code and decode a recording and measure the result.

    Args:
        path: a sound file.
        bitrate: kbit/s per channel, 1.5, 3 or 6.
        folder: an empty one, for the pictures and the `.mynah` file.
        tell: progress.

    Raises:
        MynahError: there is no sound that the demo takes, or no such bitrate.
    """
    sound = read_recording(path)
    tell(0.1, "Coding and decoding")
    codec = load(DEFAULT)
    coded = code(codec, sound, bitrate)
    tell(0.4, "Measuring")
    scores = score(sound, coded.wav)
    tell(0.7, "Drawing")
    pair = [("original", sound.wav), (f"at {bitrate:g} kbit/s", coded.wav)]
    picture = folder / "spectrograms.png"
    plot_comparison([(title, wav, sound.sample_rate) for title, wav in pair], picture, DPI, WIDTH)
    file = folder / (Path(str(path)).stem + SUFFIX)
    file.write_bytes(coded.file)
    return Reconstruction(
        sound,
        Audio(coded.wav, sound.sample_rate),
        measured(len(coded.file), coded.bitrate(sound.sample_rate), sound, scores),
        str(picture),
        draw_tokens(codec, coded.codes, folder),
        str(file),
    )


def measured(n_bytes: int, bitrate: float, sound: Audio, scores: Scores) -> Table:
    """`NOT_MEASURED` with its values; a score that is not defined stays a dash."""
    smaller = 2 * sound.wav.size / n_bytes
    rate: list[str | float] = [
        "real kbit/s",
        round(bitrate, 2),
        f"{n_bytes} bytes, {smaller:.0f} times less than 16-bit samples",
    ]
    rows = zip(NOT_MEASURED[1:], scores, strict=True)
    return [
        rate,
        *(
            [name, dash if math.isnan(score) else round(score, 3), reading]
            for (name, dash, reading), score in rows
        ),
    ]


def open_file(path: str | None, folder: Path, tell: Tell) -> Opened:
    """Decode a `.mynah` file and say what it holds.

    Args:
        path: the file.
        folder: an empty one, for the picture.
        tell: progress.

    Raises:
        MynahError: there is no `.mynah` file that the demo takes, or it is damaged.
    """
    info = inspect_file(path)
    tell(0.2, "Decoding")
    assert path is not None and info.length is not None
    with open(path, "rb") as file:
        reader, codec = open_codes(file, None)
        codes = reader.read(0, info.n_frames)
    header = info.header
    wav = codec.decode(Encoded(torch.from_numpy(codes), header.sample_rate, info.length, header.channels))
    tell(0.8, "Drawing")
    table: Table = [[name, value] for name, value in facts(info).items()]
    return Opened(Audio(wav[0].cpu().numpy(), header.sample_rate), table, draw_tokens(codec, codes, folder))


def draw_tokens(codec: Codec, codes: Codes, folder: Path) -> str:
    """Draw the codes [C, K, N] and return the picture's path."""
    picture = folder / "tokens.png"
    plot_tokens(token_shades(codec, codes), codec.config.frame_rate, picture, DPI, WIDTH)
    return str(picture)


def token_shades(codec: Codec, codes: Codes) -> NDArray[np.float64]:
    """A shade in [0, 1] for each code [C, K, N]: its rank along its codebook's main direction.

    The numbers of codes mean nothing, their vectors do: what is alike gets a similar shade.
    """
    shades = np.empty(codes.shape)
    for k in range(codes.shape[1]):
        vectors = codec.network.quantizer.codebooks[k].double().cpu().numpy()
        vectors = vectors - vectors.mean(axis=0)
        main = np.linalg.svd(vectors, full_matrices=False)[2][0]
        rank = np.argsort(np.argsort(vectors @ main))
        shades[:, k] = rank[codes[:, k]] / (len(vectors) - 1)
    return shades
