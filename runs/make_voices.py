"""Make the shipped voices that begin with a prompt: python runs/make_voices.py --data DIR [--out tts/voices]

A language model that knows a speaker by name alone slides into the voice that it has heard most. So each
voice gets a prompt of a few seconds: said by the model itself, after a recording of the speaker and with
their name, the one of several takes that is most like the speaker's recordings; no recording goes into it."""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from mynah.apps import codecs
from mynah.apps.recordings import read_mono
from mynah.apps.say import DURATIONS, MODEL
from mynah.apps.speakers import direction, embed_all
from mynah.codec.heads import PhoneHead, SpeakerHead
from mynah.data.manifest import Recording, read_manifest
from mynah.data.text import SILENCE, phonemize
from mynah.lm import LanguageModel
from mynah.tts import Durations, Synthesizer, align
from mynah.tts.cloning import clone, known_voice
from mynah.tts.synthesizer import GUIDANCE, LEAD
from mynah.tts.word_errors import word_errors

TEXT = "The boats left the harbour before the sun was up, and nobody saw them go."
RIGHTS = {
    "lj": "public domain: recordings of LJ Speech, read for LibriVox",
    "p239": "CC BY 4.0: recordings of VCTK, CSTR Edinburgh",
    "philipp": "Apache-2.0: recordings of PhilippMatthes/dc_tts",
}
CLIPS, TAKES, HEARD = (
    3,
    4,
    20,
)  # recordings tried, takes after each, recordings that make up the speaker's mean


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

    def timed(wav, said):
        return align(phones, wav, said).timed(said.separators)

    for name, rights in RIGHTS.items():
        own = [r for r in recordings if r.speaker == name]
        wavs = [read_mono(r, rate) for r in own[:: max(len(own) // HEARD, 1)]]
        mean = direction(embed_all(speakers, wavs))
        known = known_voice(codec, lm, name, name)
        best, likeness = known, -1.0
        for recording in typical(own):
            wav = torch.from_numpy(read_mono(recording, rate))[None]
            prompt = clone(codec, name, wav, phonemize(recording.text or ""), timed)
            heard = replace(known, codes=prompt.codes, phonemes=prompt.phonemes, durations=prompt.durations)
            synthesizer = Synthesizer(codec, lm, durations, heard)
            (piece,) = synthesizer.pieces(TEXT)
            for seed in range(TAKES):
                frames = [LEAD, *piece.durations]
                spoken = lm.speak(
                    [[SILENCE, *piece.phonemes]],
                    [frames],
                    generators=[torch.Generator().manual_seed(seed)],
                    prompts=[heard.prompt(lm.config.n_codebooks)],
                    speaker=known.speaker_vector[None],
                    guidance=GUIDANCE,
                )
                codes = torch.cat([part.codes for part in spoken], 2)
                said = codec.decode(codes)
                found = float(embed_all(speakers, [said[0, 0].numpy()])[0] @ mean)
                wrong = word_errors(phones, said[0], phonemize(TEXT))
                if found > likeness and not any(wrong):
                    likeness = found
                    best = replace(
                        known,
                        codes=codes[0].to(torch.int64),
                        phonemes=(SILENCE, *piece.phonemes),
                        durations=tuple(frames),
                        rights=f"{rights}; the prompt is generated",
                    )
        best.save(options.out / f"{name}.safetensors")
        seconds = best.codes.shape[1] / codec.config.frame_rate
        print(f"{name}: {seconds:.2f} s, likeness {likeness:.2f}", flush=True)


def typical(recordings: list[Recording]) -> list[Recording]:
    """Recordings of 3 to 5 s, from the whole list."""
    short = [r for r in recordings if 3.0 <= r.seconds <= 5.0]
    return [short[i] for i in np.linspace(0, len(short) - 1, CLIPS).astype(int)]


if __name__ == "__main__":
    main()
