"""`mynah align`: when each word and phoneme of a text is spoken in a recording, as TextGrid and JSON."""

import os
import sys

from torch import Tensor

from ..codec.heads import PhoneHead
from ..data.errors import AudioError, MynahError, TextError
from ..data.metrics import SILENCE
from ..data.spectrogram import plot_segments
from ..data.text import ENGLISH, check_language, phonemize
from ..data.text import SILENCE as PAUSE
from ..tts.align import DOUBTFUL, align
from ..tts.textgrid import Clock, to_json, to_textgrid
from . import codecs, files
from .clips import read_clip
from .verbs import tell

TEXTGRID, JSON = ".TextGrid", ".json"
MAX_SECONDS = 600.0  # a gigabyte of features
MAX_TEXT = 100_000  # characters: far more than anyone says in that time


def run(
    source: str,
    text: str,
    target: str | None,
    plot: str | None,
    codec_name: str,
    head_name: str,
    force: bool,
    language: str = ENGLISH,
) -> int:
    """Align `source`, a sound file or "-", with `text` or the file that it names; returns the exit code.

    Args:
        source: any sound file up to `MAX_SECONDS`; its channels are averaged.
        text: what is said, or a file that holds it, or "-".
        target: a file ending in .TextGrid or .json, or "-" for JSON on standard output; both files beside
            the source if None, and "-" for a source that came through a pipe.
        plot: a .png file for the spectrogram with the phonemes' borders, or None.
        codec_name, head_name: names or folders.
        force: replace existing files.
        language: of the text.

    Raises:
        MynahError: one line that says what is wrong.
    """
    check_language(language)
    targets = _targets(source, target)
    for name in targets:
        if name != "-":
            files.check_target(source, name, force, (TEXTGRID.lower(), JSON))
    if plot is not None:
        files.check_picture(source, plot, force)
    said = phonemize(_text(source, text), language=language)
    codec = codecs.load(codec_name)
    head = PhoneHead.from_pretrained(codec, head_name)
    wav = _mono(source, codec.config.sample_rate)
    try:
        alignment = align(head, wav, said)
    except AudioError as error:
        raise AudioError(f"{files.display_name(source)}: {error}") from None
    for warning in said.warnings:
        tell(warning)
    if alignment.score < DOUBTFUL:
        tell(f"{files.display_name(source)}: does not seem to say this text (score {alignment.score:.1f})")
    clock = Clock(codec.config.frame_rate, wav.shape[1] / codec.config.sample_rate)
    for name in targets:
        grid = name.lower().endswith(TEXTGRID.lower())
        written = to_textgrid(alignment, clock) if grid else to_json(alignment, clock, said.text)
        if name == "-":
            sys.stdout.write(written)
            continue
        with files.open_output(name, force) as file:
            file.write(written.encode())
    if plot is not None:
        phones = [
            ("" if p.label == PAUSE else p.label, clock(p.start), clock(p.end)) for p in alignment.phones
        ]
        plot_segments(wav.numpy(), codec.config.sample_rate, phones, plot)
    return 0


def _targets(source: str, target: str | None) -> list[str]:
    if target is None and source != "-":
        return [files.default_target(source, None, suffix) for suffix in (TEXTGRID, JSON)]
    return [files.default_target(source, target, TEXTGRID)]


def _text(source: str, text: str) -> str:
    """The text itself, or what the file that it names holds."""
    if text == "-":
        if source == "-":
            raise MynahError("standard input: holds the sound or the text, not both")
    elif len(text) > 1000 or "\n" in text or not os.path.exists(text):
        if text.lower().endswith(".txt") and " " not in text:
            raise TextError(f"{text}: no such file")
        return _short(text, "the text")
    elif os.path.isdir(text):
        raise TextError(f"{text}: is a folder, a text or a file of it is expected")
    with files.open_input(text) as file:
        read = file.read(4 * MAX_TEXT + 4)
    try:
        return _short(read.decode("utf-8-sig"), files.display_name(text))
    except UnicodeDecodeError as error:
        raise TextError(f"{files.display_name(text)}: not UTF-8 text (byte {error.start})") from None


def _short(text: str, name: str) -> str:
    if len(text) > MAX_TEXT:
        raise TextError(f"{name}: longer than {MAX_TEXT} characters")
    return text


def _mono(source: str, sample_rate: int) -> Tensor:
    """The mean of the channels, float32 [1, T] at `sample_rate`."""
    wav = read_clip(source, sample_rate, MAX_SECONDS)
    if wav.abs().max() < SILENCE:
        raise AudioError(f"{files.display_name(source)}: is silent, there is nothing to align")
    return wav
