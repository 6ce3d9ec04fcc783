"""From a folder of tokens to a language model's training run."""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from ..codec import Codec
from ..data.errors import MynahError
from ..data.shards import TokenCorpus
from ..data.text.subwords import Subwords
from ..data.views import VIEW
from .run_folder import Interrupt
from .train_lm_options import LMTrainOptions, fitted, read_lm_recipe
from .train_subwords import spelled_alignments


def train_lm(
    recipe: Path,
    data: Path,
    out: Path,
    initial: Path | None = None,
    codec_name: str | None = None,
    overrides: Sequence[str] = (),
    log: Callable[[str], None] = print,
) -> bool:
    """Train a language model after a recipe on tokens; returns False where Ctrl-C stopped it, resumably.

    Args:
        recipe: a JSON file as `runs/lm-16k.json`.
        data: a folder of token shards.
        out: the run's folder; a run that it holds is taken up.
        initial: a language model's folder to start from.
        codec_name: name or folder of the codec whose tokens these are, to hear what the model says; None for
            the shipped one that the tokens name.
        overrides: `train.name=value` or `lm.name=value`.
        log: where lines for the user go; called in the first process only.

    Raises:
        MynahError: a bad recipe, no tokens, tokens of another codec, accelerate not installed.
    """
    config, options = read_lm_recipe(recipe, list(overrides))
    try:
        from .train_lm import train
    except ModuleNotFoundError as error:
        raise MynahError(f"training needs the package {error.name}: pip install 'mynah[train]'") from None
    from .train_lm_evaluate import LMValidation

    say = log if os.environ.get("RANK", "0") == "0" else _nothing
    corpus = TokenCorpus(data)
    codec = Codec.from_pretrained(codec_name or corpus.info.codec)
    if codec.codes_hash != corpus.info.codec_hash:
        theirs, its = corpus.info.codec_hash[:8], codec.codes_hash[:8]
        raise MynahError(
            f"{data}: holds codes of {corpus.info.codec} {theirs}, not of {codec.config.name} {its}: "
            "--codec names the folder of the codec that made them"
        )
    subwords = Subwords.load(Path(options.subwords)) if options.subwords else None
    if subwords is None:
        config = fitted(config, options, corpus.info)
    else:
        config = fitted(config, options, corpus.info, subwords.symbols)
        corpus.alignments = spelled_alignments(corpus, subwords, say)
    options = _known_weights(options, corpus, say)
    _tell_hours(corpus, say)
    validation = LMValidation(corpus, config, options, codec)
    say(f"validated on {len(validation.labels)} recordings of {validation.whose} speakers")
    with Interrupt() as ctrl_c:
        step = train(
            config,
            options,
            corpus,
            validation,
            out,
            initial,
            subwords,
            log=say,
            interrupted=lambda: ctrl_c.seen,
        )
    if step < options.steps:
        say(f"stopped at step {step} of {options.steps}, saved in {out}: the same command goes on from there")
    return step >= options.steps


def _tell_hours(corpus: TokenCorpus, say: Callable[[str], None]) -> None:
    for split in ("train", "val"):
        hours = Counter[str]()
        for label in corpus.labels:
            if label.split == split and not VIEW.search(label.id):
                hours[label.corpus] += label.frames
        an_hour = 3600 * corpus.info.frame_rate
        parts = ", ".join(f"{name} {n / an_hour:.2f}" for name, n in sorted(hours.items()))
        if not hours:
            what = "train" if split == "train" else "validate"
            raise MynahError(f"{corpus.folder}: no recordings to {what} on")
        say(f"{split}: {hours.total() / an_hour:.2f} hours ({parts})")
    aligned = sum(label.id in corpus.alignments for label in corpus.labels)
    say(f"{aligned} of {len(corpus.labels)} recordings are aligned with their phonemes")


def _known_weights(
    options: LMTrainOptions, corpus: TokenCorpus, say: Callable[[str], None]
) -> LMTrainOptions:
    """The options without corpora that are not there: a recipe serves other speech too."""
    known = {label.corpus for label in corpus.labels}
    validated = tuple(name for name in options.validation_corpora if name in known)
    absent = sorted({*options.corpus_weights, *options.validation_corpora} - known)
    if absent:
        say(f"corpora of the recipe that are not in these tokens are ignored: {', '.join(absent)}")
    weights = {name: weight for name, weight in options.corpus_weights.items() if name in known}
    return replace(options, corpus_weights=weights, validation_corpora=validated)


def _nothing(_line: str) -> None:
    """Where the lines of all processes but the first go."""
