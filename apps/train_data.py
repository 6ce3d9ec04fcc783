"""From a folder of speech to a training run: reads the recordings, keeps them decoded in a cache, and trains.

The cache lies in $MYNAH_CACHE or ~/.cache/mynah, 115 MB an hour of speech, one folder for each state of a
corpus: a file that is added, removed or changed gives another."""

import hashlib
import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from ..data import audio
from ..data.corpus import PackedCorpus, index_of, open_packed, pack
from ..data.errors import MynahError
from ..data.manifest import Recording
from .recordings import group_of, recordings_in, with_validation
from .run_folder import Interrupt
from .train_options import TrainOptions, read_recipe

SAMPLE_RATE = 16000
VALIDATED = "librispeech"  # the corpus that speaks for quality where there are several
UNREADABLE = "unreadable.txt"


class Corpora(NamedTuple):
    """The packed recordings to train on and to validate on."""

    train: PackedCorpus
    val: PackedCorpus


def train_codec(
    recipe: Path,
    data: Path,
    out: Path,
    initial: Path | None = None,
    overrides: Sequence[str] = (),
    excluded: Sequence[str] = (),
    log: Callable[[str], None] = print,
) -> bool:
    """Train a codec after a recipe on a folder of speech; returns False where Ctrl-C stopped it, resumably.

    Args:
        recipe: a JSON file as `runs/codec-16k.json`.
        data: a folder that `read_manifest` reads.
        out: the run's folder; a run that it holds is taken up.
        initial: a codec folder to start from.
        overrides: `train.name=value` or `codec.name=value`.
        excluded: corpora of `data` to leave out.
        log: where lines for the user go; called in the first process only.

    Raises:
        MynahError: a bad recipe, a folder without speech, accelerate not installed.
    """
    config, options = read_recipe(recipe, list(overrides))
    if config.sample_rate != SAMPLE_RATE:
        raise MynahError(f"codec.sample_rate={config.sample_rate}: training works at {SAMPLE_RATE} Hz")
    try:
        from .train_codec import train
    except ModuleNotFoundError as error:
        raise MynahError(f"training needs the package {error.name}: pip install 'mynah[train]'") from None
    from .train_evaluate import Validation

    first = os.environ.get("RANK", "0") == "0"
    say = log if first else _nothing
    corpora = packed(data, excluded, say)
    options = _known_weights(options, corpora.train, say)
    validated = (VALIDATED,) if any(e.group == VALIDATED for e in corpora.val.entries) else ()
    validation = Validation(corpora.val, validated)
    with Interrupt() as ctrl_c:
        step = train(
            config, options, corpora.train, validation, out, initial, log=say, interrupted=lambda: ctrl_c.seen
        )
    if step < options.steps:
        say(f"stopped at step {step} of {options.steps}, saved in {out}: the same command goes on from there")
    return step >= options.steps


def packed(data: Path, excluded: Sequence[str], say: Callable[[str], None]) -> Corpora:
    """The recordings of `data` from the cache, packed first where they are not there.

    Raises:
        MynahError: no recordings to train or validate on, or no room for the cache.
    """
    return pack_all(recordings_in(data, excluded, say), data, say)


def pack_all(recordings: list[Recording], data: Path, say: Callable[[str], None]) -> Corpora:
    """The given recordings of `data` from the cache, as `packed`."""
    kept = with_validation(recordings)
    folder = cache_folder() / f"codec-{fingerprint(kept)}"
    corpora = []
    for split in ("train", "val"):
        chosen = [r for r in kept if r.split == split]
        if not chosen:
            raise MynahError(f"{data}: no recordings to {'train' if split == 'train' else 'validate'} on")
        corpora.append(_packed_split(folder / f"{split}.pcm", chosen))
        hours = Counter[str]()
        for entry in corpora[-1].entries:
            hours[entry.group] += entry.length
        parts = ", ".join(f"{group} {n / SAMPLE_RATE / 3600:.2f}" for group, n in sorted(hours.items()))
        say(f"{split}: {hours.total() / SAMPLE_RATE / 3600:.2f} hours ({parts})")
    if (folder / UNREADABLE).exists():
        count = len((folder / UNREADABLE).read_text().splitlines())
        say(f"left out as not readable: {count}, listed in {folder / UNREADABLE}")
    return Corpora(*corpora)


def cache_folder() -> Path:
    """$MYNAH_CACHE, or ~/.cache/mynah."""
    named = os.environ.get("MYNAH_CACHE")
    return Path(named) if named else Path.home() / ".cache" / "mynah"


def fingerprint(recordings: Sequence[Recording]) -> str:
    """Sixteen hexadecimal digits that change with the list of recordings, its splits and the files' contents
    (as far as size and time of change tell them)."""
    digest = hashlib.sha256()
    for r in recordings:
        about = os.stat(r.path)
        line = (r.id, str(r.path), r.split, r.speaker, about.st_size, about.st_mtime_ns)
        digest.update(json.dumps(line).encode() + b"\n")
    return digest.hexdigest()[:16]


def _packed_split(path: Path, recordings: Sequence[Recording]) -> PackedCorpus:
    """One split from the cache; the first process of a machine packs it, the others wait."""
    if os.environ.get("LOCAL_RANK", "0") != "0":
        while not index_of(path).exists():
            time.sleep(1)
    if index_of(path).exists():
        return open_packed(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    needed = int(sum(r.seconds for r in recordings) * SAMPLE_RATE * 2)
    free = shutil.disk_usage(path.parent).free
    if free < needed:
        raise MynahError(
            f"{path.parent}: {needed >> 20} MiB are needed, {free >> 20} MiB are free; set MYNAH_CACHE"
        )
    unreadable: list[str] = []
    corpus = pack(
        [(r.id, group_of(r.path), r.speaker or "", partial(_read, r.path)) for r in recordings],
        path,
        partial(tqdm, desc=f"decoding {path.stem}", unit=" files", disable=None),
        lambda _, error: unreadable.append(f"{error}\n"),
    )
    if unreadable:
        with open(path.parent / UNREADABLE, "a", errors="backslashreplace") as f:
            f.writelines(unreadable)
    return corpus


def _read(path: Path) -> np.ndarray:
    return audio.load(path, SAMPLE_RATE).wav.mean(axis=0)


def _known_weights(options: TrainOptions, corpus: PackedCorpus, say: Callable[[str], None]) -> TrainOptions:
    """The options without weights of corpora that are not there: a recipe serves other speech too."""
    known = {e.group for e in corpus.entries}
    absent = sorted(set(options.corpus_weights) - known)
    if not absent:
        return options
    say(f"corpus_weights: not in this data and ignored: {', '.join(absent)}")
    weights = {name: weight for name, weight in options.corpus_weights.items() if name in known}
    return replace(options, corpus_weights=weights)


def _nothing(_line: str) -> None:
    """Where the lines of all processes but the first go."""
