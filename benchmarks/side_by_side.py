"""Spectrograms of what a voice says beside its speaker's own recordings of the same sentences.

python benchmarks/side_by_side.py --data DIR --voice NAME --out FOLDER [--clips 10]
    [--model NAME] [--durations NAME]

Writes NN.png for each of `--clips` recordings that no model was trained on: the recording, and the same text
spoken with seed 0."""

import argparse
from pathlib import Path

from mynah.apps import codecs
from mynah.apps.evaluate_real import real_recordings
from mynah.apps.recordings import read_mono
from mynah.apps.say import DURATIONS, MODEL
from mynah.data.manifest import read_manifest
from mynah.data.spectrogram import plot_comparison
from mynah.lm import LanguageModel
from mynah.tts import Durations, Synthesizer, voice_store


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--voice", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--clips", type=int, default=10)
    parser.add_argument("--model", default=MODEL)
    parser.add_argument("--durations", default=DURATIONS)
    options = parser.parse_args()
    voice = voice_store.find(options.voice)
    lm = LanguageModel.from_pretrained(options.model, int8=True)
    codec = codecs.load(lm.config.codec)
    synthesizer = Synthesizer(codec, lm, Durations.from_pretrained(options.durations), voice)
    options.out.mkdir(parents=True, exist_ok=True)
    recordings = read_manifest(options.data)
    rate = codec.config.sample_rate
    for number, real in enumerate(real_recordings(voice, recordings, str(options.data), options.clips)):
        text = real.recording.text or ""
        spoken = synthesizer.synthesize(text)[0, 0].numpy()
        sounds = [(text, read_mono(real.recording, rate), rate), (f"{voice.name}, spoken", spoken, rate)]
        plot_comparison(sounds, options.out / f"{number:02}.png")
        seconds = "  ".join(f"{len(wav) / rate:5.2f} s" for _, wav, _ in sounds)
        print(f"{number:02}  {seconds}  {text}", flush=True)


if __name__ == "__main__":
    main()
