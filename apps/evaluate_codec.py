"""`mynah evaluate codec`: quality, real bitrate, stability of tokens and speed, beside other codecs."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from ..codec import Codec, checkpoint
from ..codec.peers import load_tokenizer
from ..data.errors import MynahError
from ..data.manifest import read_manifest
from .evaluate_coders import SAMPLE_RATE, Coded, Coder, MynahCoder, Original, TokenizerCoder
from .evaluate_report import set_lines
from .evaluate_run import Notes, about, write
from .evaluate_scores import METRICS, Tell, score, spread, usable
from .evaluate_sets import ClipSet, clip_sets
from .peer_codecs import CODEC2_MODES, OPUS_BITRATES, Codec2, Opus
from .recordings import read_mono

DEFAULT_PEERS = ("opus", "codec2", "encodec")


class Measured(NamedTuple):
    """One clip through one coder: what was coded without the sound, the clip's seconds, scores by name."""

    coded: Coded
    seconds: float
    scores: dict[str, float]


def evaluate(
    data: str,
    codec: str,
    *,
    split: str = "test",
    groups: Sequence[str] = (),
    clips: int | None = None,
    seconds: float = 12.0,
    peers: Sequence[str] = DEFAULT_PEERS,
    scored: Sequence[str] = METRICS,
    out: str | None = None,
    tell: Tell = print,
) -> dict[str, Any]:
    """Measure a codec and its peers on every set of a folder of speech; returns what is written to `out`.

    Args:
        data: a folder that `read_manifest` understands.
        codec: name or folder.
        split: "train", "val" or "test".
        groups: sets or corpora to measure; all where there are none.
        clips: at most so many of a set.
        seconds: of a clip, from its beginning, at the most.
        peers: "opus", "codec2", or what `load_tokenizer` takes; never downloaded, left out with a note.
        scored: which of `METRICS`.
        out: a JSON file, written anew (to a temporary name, then renamed) after every set.
        tell: takes lines of text: notes, and a table after every set.

    Raises:
        MynahError: no such data, set, codec, or score.
    """
    unknown = sorted(set(scored) - set(METRICS))
    if unknown:
        raise MynahError(f"no score {', '.join(unknown)}: choose from {', '.join(METRICS)}")
    if not 0 < seconds < float("inf"):
        raise MynahError(f"clips of {seconds:g} s: a number of seconds above 0 is expected")
    sets = clip_sets(read_manifest(data), split, groups, clips)
    loaded = Codec.from_pretrained(codec)
    note = Notes(tell)
    scored = usable(scored, note)
    if not (loaded.folder and (loaded.folder / checkpoint.TABLES).exists()):
        note("the codec has no entropy tables: its real bitrate is the nominal one and more")
    coders = [*own_coders(loaded, scored), *peer_coders(peers, loaded.config.bitrates, note)]
    for coder in coders:  # what fails shall fail now, and what is slow the first time is not timed
        coder(np.zeros(SAMPLE_RATE // 2, np.float32))
    edges = [loaded.codebooks_for(bitrate) for bitrate in loaded.config.bitrates]
    report: dict[str, Any] = about(loaded, data=data, split=split, seconds=seconds)
    report |= {"notes": note.lines, "sets": {}}
    total = sum(len(clip_set.recordings) for clip_set in sets) * len(coders)
    with tqdm(total=total, unit="clip", desc="evaluating", disable=None, leave=False) as bar:
        for clip_set in sets:
            entry = measure_set(clip_set, coders, scored, seconds, edges, bar.update)
            report["sets"][clip_set.name] = entry
            bar.clear()
            for line in set_lines(clip_set.name, entry):
                tell(line)
            report["complete"] = len(report["sets"]) == len(sets)
            write(report, out)
    return report


def own_coders(codec: Codec, scored: Sequence[str]) -> list[Coder]:
    """The clip itself, where there is a score for it, and every operating point of the codec."""
    ceiling: list[Coder] = [Original()] if "dnsmos" in scored else []
    return [*ceiling, *(MynahCoder(codec, bitrate) for bitrate in codec.config.bitrates)]


def peer_coders(peers: Sequence[str], bitrates: Sequence[float], note: Tell) -> list[Coder]:
    """The peers that are installed; a note for each that is left out."""
    coders: list[Coder] = []
    for peer in peers:
        try:
            if peer == "opus":
                coders += [Opus(bitrate) for bitrate in OPUS_BITRATES]
            elif peer == "codec2":
                coders += [Codec2(mode) for mode in CODEC2_MODES]
            else:
                tokenizer = load_tokenizer(peer, download=False)
                offered = {one.bitrate: one for b in bitrates if (one := TokenizerCoder(tokenizer, b))}
                coders += list(offered.values())
        except MynahError as error:
            note(f"{peer} is left out: {error}")
    return coders


def measure_set(
    clip_set: ClipSet,
    coders: Sequence[Coder],
    scored: Sequence[str],
    seconds: float,
    edges: Sequence[int],
    advance: Callable[[], object],
) -> dict[str, Any]:
    """The entry of one set in the report."""
    measured: dict[str, list[Measured]] = {coder.name: [] for coder in coders}
    total = 0.0
    for recording in clip_set.recordings:
        wav = read_mono(recording, SAMPLE_RATE, seconds)
        total += len(wav) / SAMPLE_RATE
        for coder in coders:
            coded = coder(wav)
            # Against itself, the original has the best of every score: only DNSMOS says something of it.
            names = [name for name in scored if name == "dnsmos" or coder.name != Original.name]
            scores = {key: value for name in names for key, value in score(name, wav, coded.wav).items()}
            without_wav = coded._replace(wav=np.zeros(0, np.float32))
            measured[coder.name].append(Measured(without_wav, len(wav) / SAMPLE_RATE, scores))
            advance()
    speakers = {recording.speaker for recording in clip_set.recordings} - {None}
    return {
        "clips": len(clip_set.recordings),
        "clips_available": clip_set.available,
        "speakers": len(speakers) or None,
        "speaker_kind": clip_set.speakers,
        "seconds": round(total, 2),
        "coders": {name: summarise(rows, edges) for name, rows in measured.items()},
    }


def summarise(rows: Sequence[Measured], edges: Sequence[int]) -> dict[str, Any]:
    """Means over the clips; bitrates and speed over all seconds together."""
    seconds = sum(row.seconds for row in rows)

    def per_second(values: Iterable[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return sum(known) / seconds if known else None

    def speed(values: Iterable[float | None]) -> float | None:
        share = per_second(values)
        return round(1 / share, 2) if share else None

    def kbps(values: Iterable[int | None]) -> float | None:
        rate = per_second(values)
        return None if rate is None else round(rate * 8e-3, 4)

    summary: dict[str, Any] = {
        "kbps_file": kbps(row.coded.file_bytes for row in rows),
        "kbps_payload": kbps(row.coded.payload_bytes for row in rows),
        "encode_x_real_time": speed(row.coded.encode_seconds for row in rows),
        "decode_x_real_time": speed(row.coded.decode_seconds for row in rows),
        "scores": {name: spread([row.scores[name] for row in rows]) for name in rows[0].scores},
    }
    kept = [row.coded.kept for row in rows if row.coded.kept is not None]
    if kept:
        books = np.mean(kept, axis=0)
        first = 0
        groups: dict[str, float] = {}
        for last in [*(edge for edge in edges if edge < len(books)), len(books)]:
            groups[f"{first + 1}-{last}"] = round(float(books[first:last].mean()), 4)
            first = last
        summary["tokens_kept"] = {
            "all": round(float(books.mean()), 4),
            "groups": groups,
            "codebooks": [round(float(share), 4) for share in books],
        }
    return summary
