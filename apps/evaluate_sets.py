"""The sets of clips that `mynah evaluate codec` reports apart, from a folder of speech."""

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ..data.errors import MynahError
from ..data.manifest import Recording

# The published table is on 30 LibriSpeech readers of one utterance each; these three have whole chapters.
WITH_CHAPTERS = frozenset({"ls_19", "ls_26", "ls_27"})
CHILD_BELOW = 18  # years
SPEAKERS = {
    "librispeech": "native",
    "kathleen": "native",
    "ljspeech": "native",
    "vctk": "native",
    "kerstin": "native",
    "philipp": "non-native",
    "speechocean762": "non-native",
    "fsdd": "mixed",
    "meetings": "mixed",
    "noise": "no speech",
}


class ClipSet(NamedTuple):
    """Recordings that are reported together.

    Attributes:
        name: such as "librispeech-30".
        speakers: "native", "non-native", "mixed", "no speech" or "not known".
        recordings: those to measure.
        available: how many there are.
    """

    name: str
    speakers: str
    recordings: Sequence[Recording]
    available: int


def clip_sets(
    recordings: Iterable[Recording], split: str, names: Sequence[str] = (), clips: int | None = None
) -> list[ClipSet]:
    """Divide the recordings of a split into sets, in the order of the list.

    A corpus is a set, but for LibriSpeech (the readers of one utterance are "librispeech-30") and corpora
    that tell ages (children and adults apart).

    Args:
        recordings: what `read_manifest` found.
        split: "train", "val" or "test".
        names: sets or whole corpora to keep; all where there are none.
        clips: at most so many a set: as many speakers as possible, in an order that depends on the ids alone.

    Raises:
        MynahError: nothing is left; the message lists the names that there are.
    """
    found: dict[str, list[Recording]] = {}
    corpora: dict[str, str] = {}
    for recording in recordings:
        if recording.split == split:
            corpus = recording.id.partition("/")[0] if "/" in recording.id else "all"
            name = _set_of(corpus, recording)
            corpora[name] = corpus
            found.setdefault(name, []).append(recording)
    unknown = set(names) - set(found) - set(corpora.values())
    if unknown or not found:
        there = f"{split} has {', '.join(found)}" if found else f"the folder has no {split} recordings"
        raise MynahError(f"no set {', '.join(sorted(unknown))}: {there}" if unknown else there)
    return [
        ClipSet(name, SPEAKERS.get(corpora[name], "not known"), choose(members, clips), len(members))
        for name, members in found.items()
        if not names or name in names or corpora[name] in names
    ]


def choose(recordings: list[Recording], clips: int | None) -> list[Recording]:
    """At most `clips` recordings: one of every speaker before the second of any, by the hash of their ids."""
    if clips is None or len(recordings) <= clips:
        return recordings
    taken: Counter[str] = Counter()
    ranked: list[tuple[int, int, Recording]] = []
    for recording in sorted(recordings, key=lambda r: hashlib.sha256(os.fsencode(r.id)).digest()):
        speaker = recording.speaker or recording.id
        ranked.append((taken[speaker], len(ranked), recording))
        taken[speaker] += 1
    return [recording for _, _, recording in sorted(ranked, key=lambda entry: entry[:2])[:clips]]


def _set_of(corpus: str, recording: Recording) -> str:
    if corpus == "librispeech":
        return f"{corpus}-{'rest' if recording.speaker in WITH_CHAPTERS else '30'}"
    age = str(recording.extra.get("age", ""))
    if age.isdigit():
        return f"{corpus}-{'children' if int(age) < CHILD_BELOW else 'adults'}"
    return corpus
