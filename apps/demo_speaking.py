"""What the Speak tab of the demo does: text to sound, and when which phoneme is spoken in it."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from ..data.audio import Audio, AudioWriter
from ..data.audio_types import Samples
from ..data.errors import MynahError
from ..data.spectrogram import plot_segments
from ..data.text import BOUNDARY, SILENCE, normalise
from ..data.text.symbols import PAUSES
from ..tts import Piece, Synthesizer
from ..tts.synthesizer import LEAD, RATES
from .demo_coding import Table, Tell
from .demo_limits import checked_number, checked_seed, checked_text
from .demo_models import Models
from .demo_stream import seconds
from .files import generated

GUIDANCE = (1.0, 4.0)
HEADERS = ["from s", "phonemes, each with its ms", "pause, ms"]
Segment = tuple[str, float, float]  # label, start and end in seconds


class Speech(NamedTuple):
    """What has become known of a speech; None for what has not.

    Attributes:
        skipped: a line for everything in the text that is not spoken.
        table: of words, as `HEADERS` says.
        sound: the next second, the last filled up with silence.
        file: the whole sound, marked as generated.
        picture: its spectrogram with the phonemes' borders.
    """

    skipped: str | None = None
    table: Table | None = None
    sound: Audio | None = None
    file: str | None = None
    picture: str | None = None


def speak(
    models: Models,
    text: str | None,
    voice: str | None,
    rate: float | None,
    guidance: float | None,
    seed: float | None,
    folder: Path,
    tell: Tell,
) -> Iterator[Speech]:
    """Speak a text: first what is going to be said, then the sound in seconds, at last file and picture.

    Args:
        models: with what.
        text: English, at most `MAX_CHARACTERS`.
        voice: name of a shipped voice or the user's; None for the first.
        rate: how many times as fast as the voice usually speaks, 0.5 to 2.
        guidance: towards phonemes and voice, 1 to 4.
        seed: the same seed gives the same sound, the one that `mynah say --retakes 0` gives.
        folder: an empty one, for file and picture.
        tell: progress.

    Raises:
        MynahError: anything of this that cannot be.
    """
    said = checked_text(text)
    if not said.strip():
        raise MynahError("no text yet: write what is to be said")
    speed = checked_number("rate", rate, *RATES)
    scale = checked_number("guidance", guidance, *GUIDANCE)
    first_seed = checked_seed(seed)
    skipped = normalise(said).warnings  # pieces would tell it of what comes before a word only
    tell(0, "Loading the models")
    synthesizer = models.synthesizer(voice)
    pieces = list(synthesizer.pieces(said, speed))
    timed = segments(pieces, 1 / synthesizer.lm.config.frame_rate)
    yield Speech("\n".join(skipped), table(timed))

    path, sample_rate = folder / "speech.wav", synthesizer.sample_rate
    comment = generated(f"voice {synthesizer.voice.name}, seed {first_seed}")
    whole: list[Samples] = []
    with AudioWriter(path, sample_rate, 1, comment=comment) as writer:

        def blocks() -> Iterator[Samples]:
            length = 0
            for block in _blocks(synthesizer, pieces, first_seed, scale):
                writer.write(block)
                whole.append(block)
                length += block.shape[1]
                tell(0.9 * min(1, length / sample_rate / timed[-1][2]), "Speaking")
                yield block

        for second in seconds(blocks(), sample_rate):
            yield Speech(sound=Audio(second, sample_rate))
    tell(0.9, "Drawing")
    picture = folder / "phonemes.png"
    plot_segments(np.concatenate(whole, axis=1), sample_rate, _labelled(timed), picture)
    yield Speech(file=str(path), picture=str(picture))


def _blocks(
    synthesizer: Synthesizer, pieces: Sequence[Piece], seed: int, guidance: float
) -> Iterator[Samples]:
    """As `Synthesizer.speak`, of pieces that are known already."""
    for number, piece in enumerate(pieces):
        generator = torch.Generator().manual_seed(seed + number)
        yield from synthesizer.speak_piece(piece, generator, guidance)


def segments(pieces: Sequence[Piece], frame: float) -> list[Segment]:
    """Every symbol with its time, in frames of so many seconds; each piece begins with a short silence."""
    found: list[Segment] = []
    place = 0
    for piece in pieces:
        timed = zip((SILENCE, *piece.phonemes), (LEAD, *piece.durations), strict=True)
        for symbol, n_frames in timed:
            found.append((symbol, place * frame, (place + n_frames) * frame))
            place += n_frames
    return found


def table(timed: Sequence[Segment]) -> Table:
    """A row for each word: when it begins, its phonemes, and the pause after it, as `HEADERS` says."""
    rows: Table = []
    word: list[str] = []
    begin = 0.0
    for symbol, start, end in timed:
        if symbol not in PAUSES:
            begin = begin if word else start
            word.append(f"{symbol} {1000 * (end - start):.0f}")
            continue
        if word:
            rows.append([f"{begin:.2f}", " · ".join(word), ""])
            word = []
        if rows and end > start:
            rows[-1][2] = f"{float(rows[-1][2] or 0) + 1000 * (end - start):.0f}"
    if word:
        rows.append([f"{begin:.2f}", " · ".join(word), ""])
    return rows


def _labelled(timed: Sequence[Segment]) -> list[Segment]:
    """Those that last, pauses without a label but for punctuation."""
    return [
        ("" if symbol in (SILENCE, BOUNDARY) else symbol, start, end)
        for symbol, start, end in timed
        if end > start
    ]
