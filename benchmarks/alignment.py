"""Our forced alignment against an independent one, pocketsphinx's, which gets the same pronunciations.

python benchmarks/alignment.py --data DIR --head FOLDER [--codec NAME] [--split test] [--clips 12]

Prints, by corpus, the median and 90th percentile of the absolute differences of boundaries in ms, and the
median of the signed ones: of the starts of all phones, and of the starts and ends of words. "peaks" is the
alignment by CTC, each blank shared between its neighbours: what the output of frames is there to better.
Needs `pip install pocketsphinx`."""

import argparse
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from phone_error import transcribed

from mynah.codec import Codec
from mynah.codec.heads import PhoneHead
from mynah.codec.heads.paths import best_path, ctc_chain, stack
from mynah.data import audio
from mynah.data.text import SILENCE, Phonemes, phonemize
from mynah.data.text.symbols import CONSONANTS, VOWELS
from mynah.tts import align

ARPABET = {sound: name for name, sound in (CONSONANTS | VOWELS).items()} | {"ə": "AH", "ɚ": "ER"}
REFERENCE_RATE = 100  # pocketsphinx' frames per second


class Times(NamedTuple):
    """Seconds: `phones` [P] starts, `words` [2 W] starts and ends."""

    phones: np.ndarray
    words: np.ndarray


def reference(wav: np.ndarray, said: Phonemes) -> Times | None:
    """Where pocketsphinx puts the boundaries; None where it finds no way through."""
    from pocketsphinx import Decoder

    decoder = Decoder(lm=None, loglevel="FATAL")
    names = [f"w{place}" for place in range(len(said.words))]
    for name, word in zip(names, said.words, strict=True):
        phones = " ".join(ARPABET[phoneme.lstrip("ˈˌ")] for phoneme in word.phonemes)
        decoder.add_word(name, phones, update=name == names[-1])
    pcm = (wav * 32767).clip(-32768, 32767).astype("<i2").tobytes()
    decoder.set_align_text(" ".join(names))
    try:
        decode(decoder, pcm)
        if decoder.hyp() is None:
            return None
        decoder.set_alignment()
        decode(decoder, pcm)
    except RuntimeError:  # no way through
        return None
    starts, bounds = [], []
    for word in decoder.get_alignment():
        if word.name.split("(")[0] not in names:
            continue
        starts += [phone.start for phone in word]
        bounds += [word.start, word.start + word.duration]
    expected = sum(len(word.phonemes) for word in said.words)
    if len(starts) != expected:
        return None
    return Times(np.array(starts) / REFERENCE_RATE, np.array(bounds) / REFERENCE_RATE)


def decode(decoder: Any, pcm: bytes) -> None:
    """One pass over a recording."""
    decoder.start_utt()
    decoder.process_raw(pcm, no_search=False, full_utt=True)
    decoder.end_utt()


def ours(head: PhoneHead, wav: torch.Tensor, said: Phonemes) -> Times:
    """Where `mynah.tts.align` puts them."""
    found, rate = align(head, wav, said), head.codec.config.frame_rate
    phones = [phone.start for phone in found.phones if phone.label != SILENCE]
    words = [frame for word in found.words if word.label != SILENCE for frame in word[1:]]
    return Times(np.array(phones) / rate, np.array(words) / rate)


def peaks(head: PhoneHead, wav: torch.Tensor, said: Phonemes) -> Times:
    """The same by CTC, each blank shared between its neighbours."""
    ids = [head.config.ids(word.phonemes) for word in said.words]
    chain = ctc_chain([phone for word in ids for phone in word])
    scores, rate = head.scores(wav[None]).ctc, head.codec.config.frame_rate
    states = best_path(scores, torch.tensor([scores.shape[1]]), stack([chain])).states[0].numpy()
    first = np.array([np.flatnonzero(states == s)[0] for s in range(1, len(chain.symbols), 2)])
    last = np.array([np.flatnonzero(states == s)[-1] + 1 for s in range(1, len(chain.symbols), 2)])
    starts = np.r_[first[0], (last[:-1] + first[1:]) / 2]
    ends = np.r_[starts[1:], last[-1]]
    at = np.cumsum([0, *(len(word) for word in ids)])
    words = np.stack([starts[at[:-1]], ends[at[1:] - 1]], 1).reshape(-1)
    return Times(starts / rate, words / rate)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--head", default="phones-16k")
    parser.add_argument("--codec", default="mynah-16k")
    parser.add_argument("--split", default="test")
    parser.add_argument("--clips", type=int, default=12)
    options = parser.parse_args()
    codec = Codec.from_pretrained(options.codec)
    head = PhoneHead.from_pretrained(codec, options.head)
    everything: dict[str, list[np.ndarray]] = {}
    print("corpus            clips  what           boundaries  median  90 %   bias  (ms)")
    for group, recordings in transcribed(options.data, options.split, options.clips).items():
        differences: dict[str, list[np.ndarray]] = {}
        count = 0
        for recording in recordings:
            wav = audio.load(recording.path, codec.config.sample_rate).wav.mean(0)
            said = phonemize(recording.text or "")
            expected = reference(wav, said)
            if expected is None:
                continue
            count += 1
            for name, method in (("frames", ours), ("peaks", peaks)):
                found = method(head, torch.from_numpy(wav)[None], said)
                for kind, a, b in zip(found._fields, found, expected, strict=True):
                    differences.setdefault(f"{name}, {kind}", []).append(1000 * (a - b))
        report(group, count, differences)
        for what, values in differences.items():
            everything.setdefault(what, []).extend(values)
    report("all", len(everything.get("frames, phones", [])), everything)


def report(group: str, count: int, differences: dict[str, list[np.ndarray]]) -> None:
    """A line for each kind of boundary."""
    for what, values in differences.items():
        d = np.concatenate(values)
        print(
            f"{group:16}  {count:5}  {what:13}  {len(d):10}  {np.median(abs(d)):6.1f}  "
            f"{np.quantile(abs(d), 0.9):5.0f}  {np.median(d):5.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
