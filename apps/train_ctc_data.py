"""From a folder of transcribed English speech to a phone head's training run."""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TypeVar

from ..codec.codec import Codec
from ..codec.heads.head_config import HeadConfig
from ..codec.heads.phone_config import PhoneHeadConfig
from ..data.corpus import PackedCorpus
from ..data.errors import MynahError, TextError
from ..data.manifest import Recording, read_manifest
from ..data.text import phonemize
from ..data.utterances import Utterance
from .codecs import load
from .run_folder import Interrupt
from .train_ctc_options import read_ctc_recipe
from .train_data import SAMPLE_RATE, pack_all

LANGUAGE = "en"
H = TypeVar("H", bound=HeadConfig)


def train_ctc(
    recipe: Path,
    data: Path,
    codec_name: str,
    out: Path,
    initial: Path | None = None,
    overrides: Sequence[str] = (),
    log: Callable[[str], None] = print,
) -> bool:
    """Train a phone head after a recipe on a folder of transcribed English; returns False where Ctrl-C
    stopped it, resumably.

    Args:
        recipe: a JSON file as `runs/ctc-16k.json`.
        data: a folder that `read_manifest` reads; recordings without English text are left out.
        codec_name: name or folder of the codec whose features the head reads.
        out: the run's folder; a run that it holds is taken up.
        initial: a phone head's folder to start from.
        overrides: `train.name=value` or `head.name=value`.
        log: where lines for the user go; called in the first process only.

    Raises:
        MynahError: a bad recipe, a folder without transcribed speech, accelerate not installed.
    """
    config, options = read_ctc_recipe(recipe, list(overrides))
    codec = load(codec_name)
    try:
        from .train_ctc import Spoken, train
    except ModuleNotFoundError as error:
        raise MynahError(f"training needs the package {error.name}: pip install 'mynah[train]'") from None

    def nothing(_line: str) -> None: ...

    say = log if os.environ.get("RANK", "0") == "0" else nothing
    config = for_codec(config, codec)
    transcribed = [r for r in read_manifest(data) if r.text and r.language == LANGUAGE]
    if not transcribed:
        raise MynahError(f"{data}: no recordings with English text")
    corpora = pack_all(transcribed, data, say)
    said = {r.id: r for r in transcribed}
    spoken, validation = (
        Spoken(corpus, utterances(corpus, said, config, options.longest, say)) for corpus in corpora
    )
    for name, part in (("train", spoken), ("val", validation)):
        if not part.utterances:
            raise MynahError(f"{data}: no {name} recordings up to longest={options.longest:g} s")
    groups = {u.entry.group for u in spoken.utterances}
    weights = {k: w for k, w in options.corpus_weights.items() if k in groups}
    if absent := sorted(set(options.corpus_weights) - groups):
        say(f"corpus_weights: not in this data and ignored: {', '.join(absent)}")
    if not any(weights.get(group, 1) for group in groups):
        raise MynahError(f"corpus_weights={options.corpus_weights}: one corpus at least has to be above 0")
    options = replace(options, corpus_weights=weights)
    with Interrupt() as ctrl_c:
        step = train(
            config, options, codec, spoken, validation, out, initial, log=say, interrupted=lambda: ctrl_c.seen
        )
    if step < options.steps:
        say(f"stopped at step {step} of {options.steps}, saved in {out}: the same command goes on from there")
    return step >= options.steps


def for_codec(config: H, codec: Codec) -> H:
    """The configuration with the codec's name, hash and sizes."""
    return replace(
        config,
        codec=codec.config.name,
        codec_hash=codec.codes_hash,
        layers=codec.config.encoder_layers + 2,
        feature_dim=codec.config.encoder_dim,
    )


def utterances(
    corpus: PackedCorpus,
    said: dict[str, Recording],
    config: PhoneHeadConfig,
    longest: float,
    say: Callable[[str], None],
) -> list[Utterance]:
    """The recordings of `corpus` up to `longest` seconds whose text (by their id in `said`) can be spoken."""
    found, left_out = [], Counter[str]()
    said_words = cache(_words)
    for entry in corpus.entries:
        if entry.id not in said:
            continue
        if entry.length > longest * SAMPLE_RATE:
            left_out["longer than train.longest"] += 1
            continue
        words = said_words(said[entry.id].text or "")
        if words:
            found.append(Utterance(entry, tuple(tuple(config.ids(word)) for word in words)))
        else:
            left_out["nothing to say"] += 1
    for reason, count in left_out.items():
        say(f"left out as {reason}: {count}")
    return found


def _words(text: str) -> tuple[tuple[str, ...], ...]:
    """Phonemes of each word; none where there is nothing to say."""
    try:
        return tuple(word.phonemes for word in phonemize(text).words)
    except TextError:
        return ()
