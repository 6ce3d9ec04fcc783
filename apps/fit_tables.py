"""`mynah train tables`: the entropy coder's tables of a trained codec, from the codes of real speech."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from ..codec import checkpoint
from ..codec.codec import Codec
from ..codec.entropy import EntropyTables
from ..codec.entropy_fit import fit_tables
from ..data.corpus import PackedCorpus
from ..data.errors import MynahError
from .train_data import packed


def codes_of(codec: Codec, corpus: PackedCorpus, hours: float, seed: int) -> Iterable:
    """Codes [K, N] at the highest bitrate of random recordings, up to `hours` in all."""
    rng = np.random.default_rng(seed)
    left = hours * 3600 * codec.config.sample_rate
    with tqdm(total=round(hours * 3600), unit="s", desc="coding", disable=None) as bar:
        for i in rng.permutation(len(corpus.entries)):
            entry = corpus.entries[i]
            if left <= 0:
                return
            wav = torch.from_numpy(corpus.wav(entry))[None, None]
            yield codec.encode(wav, codec.config.sample_rate, codec.config.bitrates[-1]).codes[0].numpy()
            left -= entry.length
            bar.update(round(entry.length / codec.config.sample_rate))


def fit(folder: Path, corpus: PackedCorpus, hours: float, seed: int = 0) -> EntropyTables:
    """Fit tables for the codec in `folder` and write `tables.safetensors` there."""
    codec = Codec.from_pretrained(folder)
    tables = fit_tables(list(codes_of(codec, corpus, hours, seed)), codec.config.codebook_size)
    tables.save(folder / checkpoint.TABLES)
    return tables


def fit_from(
    name_or_folder: Path, data: Path, hours: float, excluded: Sequence[str] = (), force: bool = False
) -> str:
    """Fit on the training split of a folder of speech; returns a line with the validation bits per code.

    Raises:
        MynahError: no such codec; tables that are there already, unless `force`; no recordings.
    """
    folder = checkpoint.resolve(name_or_folder)
    if (folder / checkpoint.TABLES).exists() and not force:
        raise MynahError(
            f"{folder / checkpoint.TABLES}: is there already, and files that were made with it could not be "
            "read any more; --force replaces it"
        )
    corpora = packed(data, excluded, print)
    tables = fit(folder, corpora.train, hours)
    codec = Codec.from_pretrained(folder)
    bits, frames = np.zeros(tables.n_codebooks), 0
    for codes in codes_of(codec, corpora.val, hours / 8, seed=1):
        bits += tables.bits(codes[None]) * codes.shape[1]
        frames += codes.shape[1]
    each = ", ".join(f"{b:.2f}" for b in bits / frames)
    return f"{folder / checkpoint.TABLES}: bits per code on the validation split: {each}"
