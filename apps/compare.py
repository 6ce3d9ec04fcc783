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
from .coding import Samples
from .parts import cut


class Row(NamedTuple):
    """One operating point: kbit/s of all channels, nominal and real; scores over the channels; the sound."""

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
    if not (0 <= start < float("inf") and 0 < duration < float("inf")):
        raise MynahError(
            f"--start {start:g} and --duration {duration:g}: times in seconds, a duration above 0"
        )
    with AudioReader(source) as reader:
        rate = reader.info.sample_rate
        first = round(start * rate)
        wavs = list(cut(reader, first, first + max(1, round(duration * rate))))
    if not wavs:
        raise MynahError(f"{source}: --start {start:g} lies behind its end")
    return Audio(np.concatenate(wavs, axis=1), rate)


def compare(codec: Codec, sound: Audio) -> Iterator[Row]:
    """Code and decode a sound at every bitrate, lowest first; scores are taken at 16 kHz."""
    for bitrate in codec.config.bitrates:
        encoded = codec.encode(torch.from_numpy(sound.wav)[None], sound.sample_rate, bitrate)
        file = io.BytesIO()
        n_codebooks = encoded.codes.shape[1]
        header = Header(
            codec.config.name,
            codec.identity,
            sound.sample_rate,
            encoded.channels,
            n_codebooks,
            codec.config.frame_rate,
        )
        writer = BitstreamWriter(file, header, codec.tables)
        writer.write(encoded.codes.cpu().numpy())
        writer.close(encoded.length)
        real = file.tell() * 8e-3 * sound.sample_rate / encoded.length
        wav = codec.decode(encoded)[0].cpu().numpy()
        reference, degraded = (resample(w, sound.sample_rate, metrics.SAMPLE_RATE) for w in (sound.wav, wav))
        pairs = list(zip(reference, degraded, strict=True))
        pesq, estoi, mel_distance = (
            _mean(score(ref, deg) for ref, deg in pairs)
            for score in (metrics.pesq_wb, metrics.estoi, metrics.mel_distance)
        )
        yield Row(bitrate * encoded.channels, real, pesq, estoi, mel_distance, wav)


def _mean(scores: Iterable[float]) -> float:
    """Over the channels for which the score is defined, NaN where there is none."""
    defined = [score for score in scores if not np.isnan(score)]
    return float(np.mean(defined)) if defined else float("nan")


def table(rows: Iterable[Row]) -> Iterator[str]:
    """Lines of text; a score that is not defined (silence, too short) is shown as a dash."""
    yield "kbit/s   real kbit/s   PESQ-WB   ESTOI   mel distance"
    for row in rows:
        pesq, estoi, mel = (
            "-" if np.isnan(score) else f"{score:.{digits}f}"
            for score, digits in ((row.pesq, 2), (row.estoi, 3), (row.mel_distance, 3))
        )
        yield f"{row.nominal:6g}   {row.real:11.2f}   {pesq:>7}   {estoi:>5}   {mel:>12}"
