"""Make the shipped voices that begin with a prompt: python runs/make_voices.py --data DIR [--out tts/voices]

A language model that knows a speaker by name alone slides into the voice that it has heard most. So each
voice gets a prompt of a few seconds: said by the model itself, after a recording of the speaker and with
their name. Of several takes the one is kept after which the model speaks most like the speaker's
recordings; no recording goes into it."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mynah.apps import codecs
from mynah.apps.recordings import read_mono
from mynah.apps.say import DURATIONS, MODEL
from mynah.apps.speakers import direction, embed_all
from mynah.codec.heads import PhoneHead, SpeakerHead
from mynah.data.manifest import Recording, read_manifest
from mynah.data.metrics import dnsmos
from mynah.data.text import SILENCE, Phonemes, phonemize
from mynah.lm import LanguageModel
from mynah.tts import Durations, Synthesizer, align
from mynah.tts.cloning import clone, known_voice
from mynah.tts.synthesizer import GUIDANCE, LEAD
from mynah.tts.voice import Voice
from mynah.tts.word_errors import word_errors

PROMPT = "The boats left the harbour before dawn."
PROOF = "Nobody saw them go, but everyone in the village heard the engines, far out on the water."
RIGHTS = {
    "lj": "public domain: recordings of LJ Speech, read for LibriVox",
    "p239": "CC BY 4.0: recordings of VCTK, CSTR Edinburgh",
    "philipp": "Apache-2.0: recordings of PhilippMatthes/dc_tts",
}
CLIPS, TAKES = 4, 4  # recordings tried, takes after each
HEARD = 20  # recordings that make up the speaker's mean
AS_LIKE = 0.03  # cosines so near the best are as good: the better sound decides


class Take(NamedTuple):
    """A voice that begins with what the model has said, and what its proof is like."""

    voice: Voice
    likeness: float
    dnsmos: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("tts/voices"))
    options = parser.parse_args()
    lm = LanguageModel.from_pretrained(MODEL)
    codec = codecs.load(lm.config.codec)
    durations, phones = Durations.from_pretrained(DURATIONS), PhoneHead.from_pretrained(codec)
    speakers, rate = SpeakerHead.from_pretrained(codec), codec.config.sample_rate
    recordings = [r for r in read_manifest(options.data) if r.split == "train" and r.text]

    def timed(wav: Tensor, said: Phonemes) -> list[tuple[str, int]]:
        return align(phones, wav, said).timed(said.separators)

    def take(voice: Voice, seed: int) -> Voice:
        """A voice whose prompt is said in another one."""
        synthesizer = Synthesizer(codec, lm, durations, voice)
        (piece,) = synthesizer.pieces(PROMPT)
        frames = (LEAD, *piece.durations)
        (codes,) = lm.speak(
            [[SILENCE, *piece.phonemes]],
            [frames],
            generators=[torch.Generator().manual_seed(seed)],
            heard=synthesizer.heard,
            guidance=GUIDANCE,
        ).codes()
        return replace(voice, codes=codes, phonemes=(SILENCE, *piece.phonemes), durations=frames)

    for name, rights in RIGHTS.items():
        own = [r for r in recordings if r.speaker == name]
        wavs = [read_mono(r, rate) for r in own[:: max(len(own) // HEARD, 1)]]
        mean = direction(embed_all(speakers, wavs))
        known = replace(known_voice(codec, lm, name, name), rights=f"{rights}; the prompt is generated")
        takes = []
        for recording in typical(own):
            wav = torch.from_numpy(read_mono(recording, rate))[None]
            clip = clone(codec, name, wav, phonemize(recording.text or ""), timed)
            heard = replace(known, codes=clip.codes, phonemes=clip.phonemes, durations=clip.durations)
            for seed in range(TAKES):
                voice = take(heard, seed)
                proof = Synthesizer(codec, lm, durations, voice).synthesize(PROOF)[0]
                likeness = float(embed_all(speakers, [proof[0].numpy()])[0] @ mean)
                if not any(word_errors(phones, proof, phonemize(PROOF))):
                    takes.append(Take(voice, likeness, dnsmos(proof[0].numpy()).ovrl))
        most = max(take.likeness for take in takes)
        best = max((t for t in takes if t.likeness >= most - AS_LIKE), key=lambda t: t.dnsmos)
        best.voice.save(options.out / f"{name}.safetensors")
        seconds = best.voice.codes.shape[1] / codec.config.frame_rate
        print(
            f"{name}: a prompt of {seconds:.2f} s; what follows has a likeness of {best.likeness:.2f} "
            f"and DNSMOS {best.dnsmos:.2f}",
            flush=True,
        )


def typical(recordings: list[Recording]) -> list[Recording]:
    """Recordings of 3 to 5 s, from the whole list."""
    short = [r for r in recordings if 3.0 <= r.seconds <= 5.0]
    return [short[i] for i in np.linspace(0, len(short) - 1, CLIPS).astype(int)]


if __name__ == "__main__":
    main()
