"""What the Continue tab of the demo does: speech that goes on from a recording."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..data.audio import AudioWriter
from ..data.audio_types import Samples
from ..data.spectrogram import plot_segments
from .continuing import LEAST, listener_for, mark, read_prompt, spoken
from .demo_coding import Tell
from .demo_limits import checked_number, checked_seed, read_recording, short_name
from .demo_models import Models

LENGTHS = (1.0, 30.0)  # seconds to go on for
TEMPERATURES = (0.0, 1.5)
ROW = 10.0  # seconds in a row of the picture


class Continued(NamedTuple):
    """Paths of the sound, marked as generated, and of its picture; seconds of it that were heard and made."""

    file: str
    picture: str
    heard: float
    made: float


def go_on(
    models: Models,
    path: str | None,
    seconds: float | None,
    temperature: float | None,
    seed: float | None,
    folder: Path,
    tell: Tell,
) -> Continued:
    """Go on speaking from a recording.

    Args:
        models: with what.
        path: a sound file of a second or more.
        seconds: to go on for at most, 1 to 30.
        temperature: 0 for the likeliest, to 1.5.
        seed: the same seed gives the same sound, the one that `mynah continue` gives.
        folder: an empty one, for sound and picture.
        tell: progress.

    Raises:
        MynahError: anything of this that cannot be.
    """
    most = checked_number("seconds", seconds, *LENGTHS)
    variety = checked_number("temperature", temperature, *TEMPERATURES)
    first_seed = checked_seed(seed)
    read_recording(path)
    tell(0, "Loading the models")
    lm, codec = models.speaker()
    assert path is not None
    with short_name(path):
        prompt = read_prompt(path, codec, lm.config.n_codebooks, lm.config.max_frames // 2)
    heard = prompt.shape[1] / lm.config.frame_rate
    sample_rate, length = codec.config.sample_rate, 0
    file, picture = folder / "continued.wav", folder / "continued.png"
    whole: list[Samples] = []
    ear = listener_for(codec, None, variety)
    with AudioWriter(file, sample_rate, 1, comment=mark(first_seed, ear)) as writer:
        for wav in spoken(lm, codec, prompt, most, min(LEAST, most), variety, first_seed, ear):
            writer.write(wav)
            whole.append(wav)
            length += wav.shape[1]
            tell(0.9 * min(1, length / sample_rate / (heard + most)), "Speaking")
    tell(0.9, "Drawing")
    total = length / sample_rate
    parts = [("prompt", 0.0, heard), ("continuation", heard, total)]
    plot_segments(np.concatenate(whole, axis=1), sample_rate, parts, picture, ROW)
    return Continued(str(file), str(picture), heard, total - heard)
