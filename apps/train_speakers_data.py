"""From a folder of speech whose speakers are known to a speaker head's training run."""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from ..data.errors import MynahError
from ..data.manifest import read_manifest
from ..data.voices import speakers_of
from .codecs import load
from .run_folder import Interrupt
from .train_ctc_data import for_codec
from .train_data import SAMPLE_RATE, pack_all
from .train_speakers_options import read_speaker_recipe


def train_speakers(
    recipe: Path,
    data: Path,
    codec_name: str,
    out: Path,
    overrides: Sequence[str] = (),
    log: Callable[[str], None] = print,
) -> bool:
    """Train a speaker head after a recipe on a folder of speech; returns False where Ctrl-C stopped it,
    resumably.

    Args:
        recipe: a JSON file as `runs/speakers-16k.json`.
        data: a folder that `read_manifest` reads; recordings of unknown speakers are left out.
        codec_name: name or folder of the codec whose features the head reads.
        out: the run's folder; a run that it holds is taken up.
        overrides: `train.name=value` or `head.name=value`.
        log: where lines for the user go; called in the first process only.

    Raises:
        MynahError: a bad recipe, a folder with less than two speakers, accelerate not installed.
    """
    config, options = read_speaker_recipe(recipe, list(overrides))
    codec = load(codec_name)
    try:
        from .train_speakers import train
    except ModuleNotFoundError as error:
        raise MynahError(f"training needs the package {error.name}: pip install 'mynah[train]'") from None

    def nothing(_line: str) -> None: ...

    say = log if os.environ.get("RANK", "0") == "0" else nothing
    known = [r for r in read_manifest(data) if r.speaker]
    if not known:
        raise MynahError(f"{data}: no recordings whose speaker is known")
    corpora = pack_all(known, data, say)
    speakers = speakers_of(corpora.train.entries, round(options.least * SAMPLE_RATE))
    count = Counter(speaker.group for speaker in speakers)
    if len(speakers) < 2:
        raise MynahError(
            f"{data}: {len(speakers)} speakers to train on with least={options.least:g} s, two are needed"
        )
    say(f"speakers: {len(speakers)} ({', '.join(f'{group} {n}' for group, n in sorted(count.items()))})")
    weights = {k: w for k, w in options.corpus_weights.items() if k in count}
    if absent := sorted(set(options.corpus_weights) - set(count)):
        say(f"corpus_weights: not in this data and ignored: {', '.join(absent)}")
    if not any(weights.get(group, 1) for group in count):
        raise MynahError(f"corpus_weights={options.corpus_weights}: one corpus at least has to be above 0")
    options = replace(options, corpus_weights=weights)
    trained = {(entry.group, entry.speaker) for entry in corpora.train.entries}
    unheard = [entry for entry in corpora.val.entries if (entry.group, entry.speaker) not in trained]
    with Interrupt() as ctrl_c:
        step = train(
            for_codec(config, codec),
            options,
            codec,
            corpora.train,
            speakers,
            corpora.val._replace(entries=unheard),
            out,
            log=say,
            interrupted=lambda: ctrl_c.seen,
        )
    if step < options.steps:
        say(f"stopped at step {step} of {options.steps}, saved in {out}: the same command goes on from there")
    return step >= options.steps
