"""`mynah tokenize`: the codes of a folder of speech as token shards, which language models are trained on."""

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
    info = TokenInfo(config.name, codec.weights_hash, config.frame_rate, n_codebooks, config.codebook_size)
    failed = 0
    with ShardWriter(out, info) as writer:
        todo = [r for r in recordings if r.id not in writer.finished]
        if len(todo) < len(recordings):
            say(f"{len(recordings) - len(todo)} of {len(recordings)} recordings are there already")
        with tqdm(total=round(sum(r.seconds for r in todo)), unit=" s", unit_scale=True, disable=None) as bar:
            for recording in todo:
                try:
                    codes = np.concatenate(list(codes_of(codec, recording.path, n_codebooks)), axis=2)[0]
                except AudioError as error:
                    writer.failed(recording.id, recording.path, error)
                    failed += 1
                else:
                    writer.add(_label(recording), codes)
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


def codes_of(codec: Codec, path: Path, n_codebooks: int) -> Iterator[Codes]:
    """Codes [1, K, n] of a sound file of any length, mixed to mono."""
    with AudioReader(path) as reader:

        def mono() -> Iterator[Samples]:
            for block in reader:
                yield block.mean(axis=0, keepdims=True)

        yield from encode_blocks(codec, mono(), reader.info.sample_rate, 1, n_codebooks)


def _label(r: Recording) -> Label:
    return Label(r.id, group_of(r.path), r.split, r.speaker, r.language, r.text, 0, 0, 0)
