"""`mynah tokenize --align`: when the transcribed recordings of a corpus of tokens say what.

`alignments.jsonl` in the folder of tokens gets a line for each: `id`, `corpus`, `speaker`, `split`,
`phonemes`, `durations` (frames; they add up to the recording's) and `score`, as `Alignment.score`. Language
models read it as part of the tokens, duration models as it is."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ..codec.heads import PhoneHead
from ..data.errors import AudioError, MynahError, TextError
from ..data.manifest import Recording
from ..data.replacing import replace_text
from ..data.shards import ALIGNMENTS, Label, TokenCorpus
from ..data.text import ENGLISH, SILENCE, LanguageError, check_language, phonemize
from ..data.text.espeak import code_of
from ..data.views import VIEW
from ..tts.align import DOUBTFUL, AlignmentError, align
from .clips import read_clip

LONGEST = 60.0  # seconds
SAVE_EVERY = 500  # recordings


class NotAligned(Exception):
    """Why a recording is left out."""


def align_tokens(
    head: PhoneHead,
    recordings: Sequence[Recording],
    folder: Path,
    say: Callable[[str], None],
    language: str = ENGLISH,
) -> None:
    """Align those `recordings` with text of a language whose tokens `folder` holds, but for those that are.

    Left out, and counted: recordings that do not seem to say their text (a score below `DOUBTFUL`), that last
    more than `LONGEST` seconds, or have no words.

    Args:
        head: the phone head of the codec whose tokens these are.
        recordings: where the sounds lie.
        folder: of tokens.
        say: where lines for the user go.
        language: as recordings have it, or its code.

    Raises:
        MynahError: a damaged folder, tokens of another codec, no recordings with such text, no such language.
    """
    code = check_language(language)
    text = "English text" if code == ENGLISH else f"text in {code!r}"
    corpus = TokenCorpus(folder, head.codec.codes_hash)
    spoken = [label for label in corpus.labels if label.text and _is(label.language, code)]
    labels = {label.id: label for label in spoken if not VIEW.search(label.id)}
    if not labels:
        raise MynahError(f"{folder}: no recordings with {text} to align")
    todo = [r for r in recordings if r.id in labels and r.id not in corpus.alignments]
    path = folder / ALIGNMENTS
    n_aligned = len(corpus.alignments.keys() & labels.keys())
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    left_out = Counter[str]()
    with tqdm(total=round(sum(r.seconds for r in todo)), unit=" s", unit_scale=True, disable=None) as bar:
        for number, recording in enumerate(todo, 1):
            try:
                aligned = align_recording(head, recording, labels[recording.id], code)
                lines.append(json.dumps(aligned, ensure_ascii=False) + "\n")
                n_aligned += 1
            except NotAligned as reason:
                left_out[str(reason)] += 1
            bar.update(round(recording.seconds))
            if number % SAVE_EVERY == 0 or number == len(todo):
                replace_text(path, "".join(lines))
    for reason_, count in left_out.items():
        say(f"not aligned, {reason_}: {count}")
    say(f"{n_aligned} of {len(labels)} recordings with {text} are aligned")


def align_recording(
    head: PhoneHead, recording: Recording, label: Label, language: str = ENGLISH
) -> dict[str, Any]:
    """A line of `alignments.jsonl`; `NotAligned` tells why there is none."""
    if recording.seconds > LONGEST:
        raise NotAligned(f"longer than {LONGEST:g} s")
    try:
        said = phonemize(label.text or "", language=language)
        wav = read_clip(str(recording.path), head.codec.config.sample_rate, LONGEST + 1)
        alignment = align(head, wav, said)
    except (TextError, AlignmentError):
        raise NotAligned("its text has no words, or more phonemes than the sound has frames") from None
    except AudioError:
        raise NotAligned("not readable") from None
    if alignment.score < DOUBTFUL:
        raise NotAligned(f"it does not seem to say its text (score below {DOUBTFUL:g})")
    timed = alignment.timed(said.separators)
    beyond = label.frames - alignment.n_frames  # the codec's delay ends in a frame of its own
    if beyond:
        timed.append((SILENCE, beyond))
    symbols, durations = zip(*timed, strict=True)
    return {
        "id": label.id,
        "corpus": label.corpus,
        "speaker": label.speaker,
        "split": label.split,
        "phonemes": symbols,
        "durations": durations,
        "score": round(alignment.score, 3),
    }


def _is(language: str | None, code: str) -> bool:
    """Whether a language, as a corpus has it, is that of a code, or the same without a region."""
    try:
        return code_of(language or "") in (code, code.partition("-")[0])
    except LanguageError:
        return False
