"""`mynah evaluate tts`: the fixed list of sentences, spoken freely in every voice, beside real recordings."""

import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from ..codec.heads import PhoneHead
from ..data.errors import MynahError
from ..data.manifest import read_manifest
from ..data.text import phonemize
from ..lm import LanguageModel, Sampling
from ..tts import Durations, Retakes, Synthesizer, Voice, VoiceError, voice_store
from ..tts.sentences import Sentence, sentences
from . import codecs, evaluate_likeness
from .evaluate_real import Real, floor, real_recordings
from .evaluate_report import voice_lines
from .evaluate_run import Notes, about, write
from .evaluate_scores import Tell, usable
from .evaluate_spoken import Judge
from .evaluate_words import WordRecogniser
from .say import DURATIONS, MODEL

HEAD = "phones-16k"
APART = 1000  # seeds between two sentences: more than a sentence has pieces
SETS = ("plain", "hard")


class Speaking(NamedTuple):
    """How sentences are spoken: `seed`, and as for `Synthesizer.speak`."""

    seed: int
    guidance: float | None
    sampling: Sampling
    retakes: Retakes | None = None


class Take(NamedTuple):
    """A sentence as it was spoken: `wav` [T]; seconds until its first block came, and until all had; how many
    of its pieces were said again."""

    sentence: Sentence
    wav: NDArray[np.float32]
    first: float
    whole: float
    again: int = 0


def evaluate(
    voices: Sequence[str] = (),
    data: str | None = None,
    *,
    model: str = MODEL,
    durations: str = DURATIONS,
    codec: str | None = None,
    head: str = HEAD,
    speaker_head: str = evaluate_likeness.HEAD,
    seed: int = 0,
    guidance: float | None = None,
    sampling: Sampling | None = None,
    retakes: int = 0,
    limit: int | None = None,
    out: str | None = None,
    tell: Tell = print,
) -> dict[str, Any]:
    """Speak the sentences in each voice and measure them; returns what is written to `out`.

    Phone errors are those of our own phone head, without stress, over all phones of a set together; skipped
    and repeated words are those of `tts.word_errors`; word errors (WER) those of PocketSphinx, an independent
    recogniser, where it is installed. Real recordings of the voice's speaker, and the same
    through the codec at the language model's bitrate, tell how much of it is due to the head and to the
    codec. Likeness is the cosine to the mean of these recordings, as our own speaker head hears voices; that
    of a recording is to the mean of the others. The pace is counted from the first sound to the last. The
    peak of memory is that of the process when all sentences of the first voice are spoken, and nothing is
    scored yet.

    Args:
        voices: names or files; the shipped ones where there are none.
        data: a folder that `read_manifest` understands, with recordings of the voices' speakers; None for no
            comparison with real speech.
        model, durations, codec, head, speaker_head: names or folders; None for the codec that the model
            names. Where the default speaker head is not there, likeness is left out.
        seed: sentence number i is spoken with `seed + APART * i`.
        guidance, sampling: as for `Synthesizer.speak`.
        retakes: how often a sentence may be said again where the phone head misses a word: skipped and
            repeated words are then those that are left, by the same judge, the first sound is a whole
            sentence, and the peak of memory that of listening, too.
        limit: at most so many sentences of each set, and recordings of each voice.
        out: a JSON file, written at the beginning and after every voice.
        tell: takes lines of text: notes, and a table after every voice.

    Raises:
        MynahError: no such voice, model or data; models that do not fit each other; no recordings of a voice.
    """
    found = {name: voice_store.find(name) for name in voices}
    lm = LanguageModel.from_pretrained(model, int8=True)
    coder = codecs.load(codec or lm.config.codec)
    pace = Durations.from_pretrained(durations)
    found = found or {name: voice_store.find(name) for name in _shipped()}
    speakers = {name: Synthesizer(coder, lm, pace, voice) for name, voice in found.items()}
    note = Notes(tell)
    real = _recorded(found, data, limit, needed=bool(voices), note=note)
    phone_head = PhoneHead.from_pretrained(coder, head)
    texts = chosen(limit)
    listener = Retakes(phone_head, retakes) if retakes else None
    how = Speaking(seed, guidance, sampling or Sampling(), listener)
    bitrate = coder.config.bitrates[coder.rate_index(lm.config.n_codebooks)]
    report = about(coder, data=data, seed=seed, guidance=guidance, sampling=how.sampling.__dict__)
    report |= {"retakes": retakes}
    report |= {"model": lm.config.name, "durations": pace.config.name, "head": phone_head.config.name}
    report |= {"kbps": bitrate, "notes": note.lines, "peak_memory_mb": None, "voices": {}, "complete": False}
    voice_head = None
    if data is not None or speaker_head != evaluate_likeness.HEAD:  # a wrong name is told in any case
        voice_head = evaluate_likeness.speaker_head(coder, speaker_head, note)
    voice_head = voice_head if data is not None else None
    report |= {"speaker_head": voice_head.config.name if voice_head else None}
    write(report, out)  # what cannot be written shall fail now, not after an hour

    judge = None
    total = sum(len(texts) + len(recordings) for recordings in real.values())
    with tqdm(total=total, unit="sentence", desc="evaluating", disable=None, leave=False) as bar:
        for name, synthesizer in speakers.items():
            takes = spoken(synthesizer, texts, how, bar.update)
            if judge is None:  # the packages of DNSMOS are not what speaking takes in memory
                report["peak_memory_mb"] = peak_memory_mb()
                judge = Judge(phone_head, "dnsmos" in usable(["dnsmos"], note), _recogniser(note), voice_head)
            entry = {"speaker": found[name].speaker, **timing(takes, synthesizer.sample_rate)}
            entry |= compared(takes, real[name], judge, bitrate, bar.update)
            report["voices"][name] = entry
            report["complete"] = len(report["voices"]) == len(found)
            bar.clear()
            for line in voice_lines(name, entry, bitrate):
                tell(line)
            write(report, out)
    if report["peak_memory_mb"] is not None:
        tell(f"\npeak memory {report['peak_memory_mb']:.0f} MB")
    return report


def _recorded(
    voices: Mapping[str, Voice], data: str | None, limit: int | None, needed: bool, note: Notes
) -> dict[str, list[Real]]:
    """Recordings of each voice's speaker; none without data. MynahError where a voice has none, if they are
    `needed`, and where no voice has any."""
    real: dict[str, list[Real]] = {name: [] for name in voices}
    if data is None:
        return real
    recordings = read_manifest(data)
    missing: list[MynahError] = []
    for name, voice in voices.items():
        try:
            real[name] = real_recordings(voice, recordings, data, limit)
        except MynahError as error:
            missing.append(error)
            if needed or len(missing) == len(voices):
                raise missing[0] from None
    for reason in missing:
        note(f"not compared: {reason}")
    return real


def chosen(limit: int | None) -> list[tuple[int, Sentence]]:
    """The first `limit` sentences of each set, or all, with their numbers in the whole list."""
    numbered = list(enumerate(sentences()))
    return [one for name in SETS for one in [pair for pair in numbered if pair[1].set == name][:limit]]


def spoken(
    synthesizer: Synthesizer,
    texts: Sequence[tuple[int, Sentence]],
    how: Speaking,
    advance: Callable[[], object],
) -> list[Take]:
    """The sentences in one voice."""
    for _ in synthesizer.speak("Yes.", retakes=how.retakes):  # what is slow the first time is not timed
        pass
    takes = []
    for number, sentence in texts:
        again = how.retakes.again if how.retakes else 0
        begun = time.perf_counter()
        blocks = synthesizer.speak(
            sentence.text,
            seed=how.seed + APART * number,
            guidance=how.guidance,
            sampling=how.sampling,
            retakes=how.retakes,
        )
        parts = [next(blocks)]
        first = time.perf_counter() - begun
        parts += blocks
        whole = time.perf_counter() - begun
        again = how.retakes.again - again if how.retakes else 0
        takes.append(Take(sentence, np.concatenate(parts, 1)[0], first, whole, again))
        advance()
    return takes


def timing(takes: Sequence[Take], sample_rate: int) -> dict[str, Any]:
    """How fast the sentences were spoken, all together, the median of how soon they began, and how many
    pieces were said again."""
    seconds = sum(len(take.wav) for take in takes) / sample_rate
    return {
        "seconds": round(seconds, 2),
        "real_time_factor": round(sum(take.whole for take in takes) / seconds, 4),
        "first_sound_ms": round(1000 * statistics.median(take.first for take in takes), 1),
        "said_again": sum(take.again for take in takes),
    }


def compared(
    takes: Sequence[Take], real: Sequence[Real], judge: Judge, bitrate: float, advance: Callable[[], object]
) -> dict[str, Any]:
    """What was spoken by set and by kind, beside real recordings where there are any."""
    measured = [
        judge(take.sentence.id, take.sentence.set, phonemize(take.sentence.text), take.wav) for take in takes
    ]
    plain, coded = floor(real, judge, bitrate, advance)
    if real and judge.speakers:
        measured, plain, coded = evaluate_likeness.with_likeness(measured, plain, coded)
    kinds = {take.sentence.id: take.sentence.kind for take in takes}
    sets = {name: judge.summary([u for u in measured if u.set == name]) for name in SETS}
    entry: dict[str, Any] = {
        "sets": sets | {"all": judge.summary(measured)},
        "kinds": {
            kind: judge.summary([u for u in measured if kinds[u.id] == kind])
            for kind in dict.fromkeys(kinds.values())
        },
        "utterances": [u.entry() for u in measured],
    }
    if not real:
        return entry
    ours, recorded, through = entry["sets"], judge.summary(plain), judge.summary(coded)
    entry["real"] = {"plain": recorded, "coded": through}
    entry["ratios"] = {
        "phone_error_rate": ratio(ours["plain"]["phone_error_rate"], recorded["phone_error_rate"]),
        "phone_error_rate_coded": ratio(ours["plain"]["phone_error_rate"], through["phone_error_rate"]),
        "seconds_per_phone": ratio(ours["plain"]["seconds_per_phone"], recorded["seconds_per_phone"]),
    }
    if judge.dnsmos:
        entry["dnsmos_above_coded"] = difference(
            ours["all"]["dnsmos_ovrl"]["mean"], through["dnsmos_ovrl"]["mean"]
        )
    return entry


def ratio(ours: float, theirs: float) -> float | None:
    """None where it is not defined."""
    return round(ours / theirs, 4) if theirs else None


def difference(ours: float | None, theirs: float | None) -> float | None:
    """None where one of them is not defined."""
    return None if ours is None or theirs is None else round(ours - theirs, 4)


def peak_memory_mb() -> float | None:
    """Largest resident set of this process so far, in 10^6 bytes; None where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6, 1)


def _shipped() -> list[str]:
    names = voice_store.shipped_names()
    if not names:
        raise VoiceError(
            "no voice is shipped with this version: --voice names one, mynah voice add makes one"
        )
    return names


def _recogniser(note: Tell) -> WordRecogniser | None:
    """None, and a note, where its package is not installed."""
    try:
        return WordRecogniser()
    except MynahError as error:
        note(f"WER is left out: {error}")
        return None
