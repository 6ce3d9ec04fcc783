"""`mynah tokenize`: the codes of a folder of speech as token shards, which language models are trained on."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ..codec import Codec
from ..codec.heads import PhoneHead
from ..data.audio import AudioReader
from ..data.errors import AudioError, MynahError
from ..data.manifest import Recording
from ..data.shards import ERRORS, Label, ShardWriter, TokenInfo
from ..data.text import ENGLISH, check_language
from ..data.views import VIEW, view_id
from .aligning import align_tokens
from .codecs import codebooks_for, load
from .coding import Codes, Samples, encode_blocks
from .recordings import group_of, recordings_in


def tokenize(
    data: Path,
    out: Path,
    codec_name: str,
    bitrate: float,
    excluded: Sequence[str],
    views: int,
    head_name: str | None,
    say: Callable[[str], None],
    language: str = ENGLISH,
) -> None:
    """Encode, and align if asked to, every recording of `data` that is not yet in `out`; channels are mixed.

    Args:
        data: a folder that `read_manifest` reads.
        out: the folder of tokens.
        codec_name: name or folder.
        bitrate: kbit/s; one of the codec's.
        excluded: corpora of `data` to leave out.
        views: of each recording to train on, as in `data.views`.
        head_name: name or folder of the phone head to align with; None to align nothing.
        say: where lines for the user go.
        language: of the texts to align; recordings in others are not aligned.

    Raises:
        MynahError: no such codec, bitrate or phone head, no recordings, one named like a view, or codes of
            another codec in `out`.
    """
    if head_name is not None:
        check_language(language)
    codec = load(codec_name)
    head = PhoneHead.from_pretrained(codec, head_name) if head_name is not None else None
    n_codebooks = codebooks_for(codec, bitrate)
    recordings = recordings_in(data, excluded, say)
    for recording in recordings:
        if VIEW.search(recording.id):
            raise MynahError(f"{recording.path}: its name {recording.id} is kept for views of a recording")
    config = codec.config
    info = TokenInfo(config.name, codec.codes_hash, config.frame_rate, n_codebooks, config.codebook_size)
    failed = 0
    with ShardWriter(out, info) as writer:
        # What was held out stays so: a corpus without splits is divided anew when other corpora are left out.
        recordings = [replace(r, split=writer.finished.get(r.id, r.split)) for r in recordings]
        wanted = [(r, part) for r in recordings for part in _parts(r, views, config.frame_rate)]
        todo = [(r, part) for r, part in wanted if view_id(r.id, part) not in writer.finished]
        if len(todo) < len(wanted):
            say(f"{len(wanted) - len(todo)} of {len(wanted)} recordings are there already")
        broken, seconds = None, sum(r.seconds for r, _ in todo)
        with tqdm(total=round(seconds), unit=" s", unit_scale=True, disable=None) as bar:
            for recording, part in todo:
                bar.update(round(recording.seconds))
                if recording is broken:
                    continue
                start = float(part) / config.frame_rate
                try:
                    blocks = list(codes_of(codec, recording.path, n_codebooks, start))
                except AudioError as error:
                    writer.failed(recording.id, recording.path, error)
                    broken = recording
                    failed += 1
                else:
                    writer.add(_label(recording, part), np.concatenate(blocks, axis=2)[0])
    hours: dict[str, float] = {}
    for recording in recordings:
        if recording.id in writer.finished:
            hours[recording.split] = hours.get(recording.split, 0) + recording.seconds / 3600
    say(", ".join(f"{split}: {n:.2f} hours" for split, n in hours.items()) or "no recordings could be read")
    if failed:
        say(f"left out as not readable: {failed}, listed in {out / ERRORS}")
    if head is not None:
        align_tokens(head, recordings, out, say, language)


def _parts(r: Recording, views: int, frame_rate: float) -> list[Fraction]:
    """Where in a frame its views begin: those of speech to train on, as long as a frame at least."""
    several = r.split == "train" and r.seconds * frame_rate >= 1
    return [Fraction(view, views) for view in range(views if several else 1)]


def codes_of(codec: Codec, path: Path, n_codebooks: int, start: float = 0.0) -> Iterator[Codes]:
    """Codes [1, K, n] of a sound file of any length from `start` seconds on, mixed to mono."""
    with AudioReader(path) as reader:

        def mono() -> Iterator[Samples]:
            skipped = round(start * reader.info.sample_rate)
            for block in reader:
                yield block[:, skipped:].mean(axis=0, keepdims=True)
                skipped = max(0, skipped - block.shape[1])

        yield from encode_blocks(codec, mono(), reader.info.sample_rate, 1, n_codebooks)


def _label(r: Recording, part: Fraction) -> Label:
    return Label(view_id(r.id, part), group_of(r.path), r.split, r.speaker, r.language, r.text, 0, 0, 0)
