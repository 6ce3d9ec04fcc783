"""`mynah tokenize`: the codes of a folder of speech as token shards, which language models are trained on.

A language model on little speech learns the codes of its recordings by heart. A sound that begins a few
milliseconds later has quite other codes and says the same: several views of each recording to train on, each
begun a part of a frame later, give more to learn from. View k of n of the recording ID is the recording
`ID@k/n` of the tokens; view 0 is the recording itself.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ..codec import Codec
from ..codec.heads import PhoneHead
from ..data.audio import AudioReader
from ..data.errors import AudioError
from ..data.manifest import Recording
from ..data.shards import ERRORS, Label, ShardWriter, TokenInfo
from .aligning import align_tokens, view_id
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
) -> None:
    """Encode, and align if asked to, every recording of `data` that is not yet in `out`; channels are mixed.

    Args:
        data: a folder that `read_manifest` reads.
        out: the folder of tokens.
        codec_name: name or folder.
        bitrate: kbit/s; one of the codec's.
        excluded: corpora of `data` to leave out.
        views: of each recording to train on.
        head_name: name or folder of the phone head to align with; None to align nothing.
        say: where lines for the user go.

    Raises:
        MynahError: no such codec, bitrate or phone head, no recordings, or codes of another codec in `out`.
    """
    codec = load(codec_name)
    head = PhoneHead.from_pretrained(codec, head_name) if head_name is not None else None
    n_codebooks = codebooks_for(codec, bitrate)
    recordings = recordings_in(data, excluded, say)
    config = codec.config
    info = TokenInfo(config.name, codec.codes_hash, config.frame_rate, n_codebooks, config.codebook_size)
    failed = 0
    with ShardWriter(out, info) as writer:
        wanted = [
            (r, view_id(r.id, view, views), view / views / config.frame_rate)
            for r in recordings
            for view in range(views if r.split == "train" else 1)
        ]
        todo = [one for one in wanted if one[1] not in writer.finished]
        if len(todo) < len(wanted):
            say(f"{len(wanted) - len(todo)} of {len(wanted)} recordings are there already")
        seconds = sum(recording.seconds for recording, *_ in todo)
        with tqdm(total=round(seconds), unit=" s", unit_scale=True, disable=None) as bar:
            for recording, name, start in todo:
                try:
                    blocks = list(codes_of(codec, recording.path, n_codebooks, start))
                except AudioError as error:
                    writer.failed(name, recording.path, error)
                    failed += 1
                else:
                    writer.add(_label(recording, name), np.concatenate(blocks, axis=2)[0])
                bar.update(round(recording.seconds))
    hours: dict[str, float] = {}
    for recording in recordings:
        if recording.id in writer.finished:
            hours[recording.split] = hours.get(recording.split, 0) + recording.seconds / 3600
    say(", ".join(f"{split}: {n:.2f} hours" for split, n in hours.items()) or "no recordings could be read")
    if failed:
        say(f"left out as not readable: {failed}, listed in {out / ERRORS}")
    if head is not None:
        align_tokens(head, recordings, out, say)


def codes_of(codec: Codec, path: Path, n_codebooks: int, start: float = 0.0) -> Iterator[Codes]:
    """Codes [1, K, n] of a sound file of any length from `start` seconds on, mixed to mono."""
    with AudioReader(path) as reader:

        def mono() -> Iterator[Samples]:
            skipped = round(start * reader.info.sample_rate)
            for block in reader:
                yield block[:, skipped:].mean(axis=0, keepdims=True)
                skipped = max(0, skipped - block.shape[1])

        yield from encode_blocks(codec, mono(), reader.info.sample_rate, 1, n_codebooks)


def _label(r: Recording, name: str) -> Label:
    return Label(name, group_of(r.path), r.split, r.speaker, r.language, r.text, 0, 0, 0)
