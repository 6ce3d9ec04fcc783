"""`mynah evaluate continuation`: what a language model says after prompts of people it never heard."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from ..codec import Codec
from ..codec.heads import SpeakerHead
from ..data import metrics
from ..data.errors import MynahError
from ..data.manifest import Recording, read_manifest
from ..data.token_crops import Example
from ..lm import LanguageModel, Sampling, checkpoint
from . import codecs, evaluate_likeness
from .continuing import LEAST, check_models, continued, listener_for, sampling_at
from .continuing_takes import Listener
from .evaluate_likeness import HEAD, ToPrompts, to_prompts
from .evaluate_report import continuation_lines
from .evaluate_run import Notes, about, write
from .evaluate_scores import Tell, spread, usable
from .evaluate_sets import choose, clip_sets
from .lm_scores import beside, bits_per_code
from .recordings import read_mono
from .say import MODEL
from .speakers import embed_all

PROMPT_SECONDS, SECONDS = 3.0, 7.0
GROUPS = ("librispeech",)


class Scored(NamedTuple):
    """One prompt: seconds that the model added; silence ratio and DNSMOS of it, and of what was really
    said. `voices`: of the prompt, of what was really said and of what the model added, unit vectors [3, E];
    None without a speaker head."""

    seconds: float
    silence: float
    dnsmos: float
    spoken_silence: float
    spoken_dnsmos: float
    voices: NDArray[np.float32] | None = None


def evaluate(
    data: str,
    *,
    model: str = MODEL,
    codec: str | None = None,
    speaker_head: str = HEAD,
    split: str = "test",
    groups: Sequence[str] = GROUPS,
    seed: int = 0,
    temperature: float = 1.0,
    takes: int = 1,
    limit: int | None = None,
    out: str | None = None,
    tell: Tell = print,
) -> dict[str, Any]:
    """Let the model go on for 7 s from the first 3 s of one recording of each speaker, and measure it.

    Returns what is written to `out`.

    What the model adds is scored beside what was really said there, both through the codec: DNSMOS, and the
    share of silence beside the loud parts of the prompt, and likeness: the cosine of these 7 s to the 3 s of
    the prompt, as our own speaker head hears voices, beside that to the prompts of the other speakers. Bits
    are those of all codes of these 10 s, coded in full precision without being told who speaks or what is
    said; the model speaks as `mynah continue` does with so many takes.

    Args:
        data: a folder that `read_manifest` understands; recordings of less than 10 s are left out.
        model, codec, speaker_head: names or folders; None for the codec that the model names. Where the
            default speaker head is not there, likeness is left out.
        split: "train", "val" or "test".
        groups: sets or corpora to take prompts from; all where there are none.
        seed: prompt number i goes on with `seed + i`.
        temperature: of the sampling, from 0.
        takes: of which the best are kept, part by part. Who chooses has the default heads: likeness
            is then judged by who chose, DNSMOS and silence are not.
        limit: at most so many prompts.
        out: a JSON file, written at the beginning and when all is measured.
        tell: takes lines of text: notes and a table.

    Raises:
        MynahError: no such model or data, models that do not fit each other, no recordings of 10 s.
    """
    speaker = LanguageModel.from_pretrained(model, int8=True)
    config = speaker.config
    coder = codecs.load(codec or config.codec)
    check_models(speaker, coder)
    recordings = prompts(data, split, groups, limit)
    note = Notes(tell)
    report = about(coder, data=data, split=split, groups=list(groups), seed=seed, temperature=temperature)
    report |= {"takes": takes, "model": config.name, "notes": note.lines, "complete": False}
    voices = evaluate_likeness.speaker_head(coder, speaker_head, note)
    report |= {"speaker_head": voices.config.name if voices else None}
    ear = listener_for(coder, takes, temperature)
    write(report, out)  # what cannot be written shall fail now

    with_dnsmos = "dnsmos" in usable(["dnsmos"], note)
    codes, rows = [], []
    for number, recording in enumerate(
        tqdm(recordings, unit="prompt", desc="evaluating", disable=None, leave=False)
    ):
        codes.append(codes_of(recording, coder, config.n_codebooks))
        sampling = sampling_at(temperature)
        rows.append(scored(speaker, coder, codes[-1], sampling, seed + number, with_dnsmos, voices, ear))
    network = checkpoint.load(model).eval()
    bits = bits_per_code(network, [whole(one, config.max_frames) for one in codes])
    report |= summary(rows, with_dnsmos)
    report["bits"] = [round(float(value), 4) for value in bits]
    report["bits_per_frame"] = round(float(bits.sum()), 4)
    report["kbps"] = round(float(bits.sum()) * config.frame_rate / 1000, 4)
    report["complete"] = True
    for line in continuation_lines(report):
        tell(line)
    write(report, out)
    return report


def prompts(data: str, split: str, groups: Sequence[str], limit: int | None) -> list[Recording]:
    """A recording of each speaker that is long enough, which one by the hash of its id."""
    needed = PROMPT_SECONDS + SECONDS
    members = [r for found in clip_sets(read_manifest(data), split, groups) for r in found.recordings]
    long = [r for r in members if r.seconds >= needed]
    if not long:
        raise MynahError(f"{data}: no {split} recordings of {needed:g} s or more")
    speakers = len({r.speaker or r.id for r in long})
    return choose(long, speakers if limit is None else min(limit, speakers))


def codes_of(recording: Recording, codec: Codec, n_codebooks: int) -> Tensor:
    """Codes [K, N] of the prompt and of what follows it, without the frame that only ends them."""
    rate = codec.config.sample_rate
    seconds = PROMPT_SECONDS + SECONDS
    wav = torch.from_numpy(read_mono(recording, rate, seconds))
    bitrate = codec.config.bitrates[codec.rate_index(n_codebooks)]
    return codec.encode(wav[None, None], rate, bitrate).codes[
        0, :, : round(seconds * codec.config.frame_rate)
    ]


def scored(
    model: LanguageModel,
    codec: Codec,
    codes: Tensor,
    sampling: Sampling,
    seed: int,
    with_dnsmos: bool,
    voices: SpeakerHead | None,
    ear: Listener | None = None,
) -> Scored:
    """Let the model go on from the beginning of `codes` [K, N], and score what it says."""
    rate = model.config.frame_rate
    prompt = round(PROMPT_SECONDS * rate)
    n_frames, least = codes.shape[1] - prompt, round(LEAST * rate)
    said = continued(model, codes[:, :prompt], n_frames, least, sampling, seed, ear)
    new = np.concatenate(list(said), axis=2)[0]
    pair = beside(codec, codes, prompt, torch.from_numpy(new))
    spoken_silence, silence = pair.silence
    spoken_dnsmos, dnsmos = (
        metrics.dnsmos(np.clip(wav[pair.begin :], -1, 1)).ovrl if with_dnsmos else float("nan")
        for wav in (pair.spoken, pair.continued)
    )
    heard = None
    if voices is not None:
        parts = [pair.spoken[: pair.begin], pair.spoken[pair.begin :], pair.continued[pair.begin :]]
        heard = embed_all(voices, parts)
    return Scored(new.shape[1] / rate, silence, dnsmos, spoken_silence, spoken_dnsmos, heard)


def whole(codes: Tensor, most_frames: int) -> Example:
    """What bits are counted of: as many of the codes as the model can see at once."""
    return Example(codes[:, :most_frames].numpy(), ended=False, speaker=None, alignment=None)


def summary(rows: Sequence[Scored], with_dnsmos: bool) -> dict[str, Any]:
    """The entries of the report about the sound."""

    def entry(
        seconds: Sequence[float], silence: Sequence[float], dnsmos: Sequence[float], alike: ToPrompts | None
    ) -> dict[str, Any]:
        return {
            "seconds": round(sum(seconds) / len(seconds), 4),
            "silence": spread(silence),
            "dnsmos_ovrl": spread(dnsmos) if with_dnsmos else None,
            "likeness": spread(alike.own) if alike else None,
            "likeness_to_others": spread(alike.others) if alike else None,
        }

    added, silence, dnsmos, spoken_silence, spoken_dnsmos, heard = zip(*rows, strict=True)
    alike = spoken_alike = None
    if heard[0] is not None:
        of_prompts, of_spoken, of_continued = np.stack(heard, axis=1)
        alike, spoken_alike = to_prompts(of_continued, of_prompts), to_prompts(of_spoken, of_prompts)
    return {
        "prompts": len(rows),
        "prompt_seconds": PROMPT_SECONDS,
        "seconds": SECONDS,
        "ended": sum(seconds < SECONDS for seconds in added),
        "continued": entry(added, silence, dnsmos, alike),
        "spoken": entry([SECONDS] * len(rows), spoken_silence, spoken_dnsmos, spoken_alike),
    }
