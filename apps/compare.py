"""`mynah compare`: one recording at every offered bitrate, measured against the original and drawn."""

import io
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import torch

from ..codec import Codec
from ..codec.bitstream import BitstreamWriter, Header
from ..data import metrics
from ..data.audio import Audio, AudioReader, resample
from ..data.errors import MynahError
from .codecs import codebooks_for
from .coding import Codes, Samples
from .parts import LONGEST, cut


class Coded(NamedTuple):
    """A sound coded and decoded: its whole `.mynah` file, codes [C, K, N] and what comes back, [C, T]."""

    file: bytes
    codes: Codes
    wav: Samples

    def bitrate(self, sample_rate: int) -> float:
        """Real kbit/s of all channels and overhead; `sample_rate` in Hz is that of `wav`."""
        return len(self.file) * 8e-3 * sample_rate / self.wav.shape[1]


class Scores(NamedTuple):
    """Means over the channels for which a score is defined, NaN where there is none."""

    pesq: float
    estoi: float
    mel_distance: float


class Row(NamedTuple):
    """One operating point: nominal kbit/s of a channel and real ones of all; scores over the channels; the
    sound."""

    nominal: float
    real: float
    pesq: float
    estoi: float
    mel_distance: float
    wav: Samples


def read_part(source: str, start: float, duration: float) -> Audio:
    """Part of a sound file; times in seconds.

    Raises:
        MynahError: the file cannot be read, or ends before `start`.
    """
    if not (0 <= start <= LONGEST and 0 < duration <= LONGEST):
        raise MynahError(
            f"--start {start:g} and --duration {duration:g}: times in seconds up to {LONGEST:g}, "
            "a duration above 0"
        )
    with AudioReader(source) as reader:
        rate = reader.info.sample_rate
        first = round(start * rate)
        wavs = list(cut(reader, first, first + max(1, round(duration * rate))))
    if not wavs:
        raise MynahError(f"{source}: --start {start:g} lies behind its end")
    return Audio(np.concatenate(wavs, axis=1), rate)


def code(codec: Codec, sound: Audio, bitrate: float) -> Coded:
    """Code a sound at `bitrate` kbit/s per channel and decode it again.

    Raises:
        MynahError: a bitrate that is not offered, or a sound that cannot be coded.
    """
    n_codebooks = codebooks_for(codec, bitrate)
    encoded = codec.encode(torch.from_numpy(sound.wav)[None], sound.sample_rate, bitrate)
    header = Header(
        codec.config.name,
        codec.identity,
        sound.sample_rate,
        encoded.channels,
        n_codebooks,
        codec.config.frame_rate,
    )
    file = io.BytesIO()
    writer = BitstreamWriter(file, header, codec.tables)
    codes = encoded.codes.cpu().numpy()
    writer.write(codes)
    writer.close(encoded.length)
    return Coded(file.getvalue(), codes, codec.decode(encoded)[0].cpu().numpy())


def score(sound: Audio, wav: Samples) -> Scores:
    """Measure `wav` [C, T], of the sound's own rate and length, against the sound, at 16 kHz."""
    reference, degraded = (resample(w, sound.sample_rate, metrics.SAMPLE_RATE) for w in (sound.wav, wav))
    pairs = list(zip(reference, degraded, strict=True))
    measures = (metrics.pesq_wb, metrics.estoi, metrics.mel_distance)
    return Scores(*(_mean(measure(ref, deg) for ref, deg in pairs) for measure in measures))


def compare(codec: Codec, sound: Audio) -> Iterator[Row]:
    """Code and decode a sound at every bitrate, lowest first, and measure what comes back."""
    for bitrate in codec.config.bitrates:
        coded = code(codec, sound, bitrate)
        yield Row(bitrate, coded.bitrate(sound.sample_rate), *score(sound, coded.wav), coded.wav)


def _mean(scores: Iterable[float]) -> float:
    """Over the channels for which the score is defined, NaN where there is none."""
    defined = [score for score in scores if not np.isnan(score)]
    return float(np.mean(defined)) if defined else float("nan")


def table(rows: Iterable[Row], channels: int) -> Iterator[str]:
    """Lines of text; a score that is not defined is shown as a dash, and a last line says why."""
    if channels > 1:
        yield f"kbit/s of each of {channels} channels, real kbit/s of all; scores are means over the channels"
    yield "kbit/s   real kbit/s   PESQ-WB   ESTOI   mel distance"
    undefined = False
    for row in rows:
        undefined |= np.isnan(row.pesq) or np.isnan(row.estoi)
        pesq, estoi, mel = (
            "-" if np.isnan(score) else f"{score:.{digits}f}"
            for score, digits in ((row.pesq, 2), (row.estoi, 3), (row.mel_distance, 3))
        )
        yield f"{row.nominal:6g}   {row.real:11.2f}   {pesq:>7}   {estoi:>5}   {mel:>12}"
    if undefined:
        yield "-: not defined; PESQ and ESTOI need half a second of speech that is not silent"
