"""How much sooner sentences are spoken when several are made at once, as `mynah say` does into a file.

    python benchmarks/say_speed.py [--voice NAME] [--sentences 8] [--repeats 3]

Speaks the same sentences, each listened to, with 1, 2, 4 and 8 made at once, in turn; prints the shortest
duration of each over that of the sound. Models are loaded before.
"""

import argparse
import time
from unittest import mock

from mynah.apps import codecs
from mynah.apps.say import DURATIONS, MODEL
from mynah.codec.heads import PhoneHead
from mynah.lm import LanguageModel
from mynah.tts import Durations, Retakes, Synthesizer, synthesizer, voice_store
from mynah.tts.sentences import sentences

AT_ONCE = (1, 2, 4, 8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--voice", default=voice_store.default_name())
    parser.add_argument("--sentences", type=int, default=8, help="of the plain ones that evaluations use")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    lm = LanguageModel.from_pretrained(MODEL, int8=True)
    codec = codecs.load(lm.config.codec)
    voice = voice_store.find(options.voice)
    speaker = Synthesizer(codec, lm, Durations.from_pretrained(DURATIONS), voice)
    retakes = Retakes(PhoneHead.from_pretrained(codec), 2)
    text = " ".join(s.text for s in sentences() if s.set == "plain")
    pieces = list(speaker.pieces(text))[: options.sentences]
    text = " ".join(piece.text for piece in pieces)

    list(speaker.speak("Yes.", retakes=retakes))  # what is slow the first time is not timed
    shares: dict[int, list[float]] = {n: [] for n in AT_ONCE}
    for _ in range(options.repeats):
        for n in AT_ONCE:
            with mock.patch.object(synthesizer, "AT_ONCE", n):
                began = time.perf_counter()
                samples = sum(block.shape[1] for block in speaker.speak(text, retakes=retakes))
                seconds = samples / speaker.sample_rate
                shares[n].append((time.perf_counter() - began) / seconds)
    print(f"{voice.name}, {len(pieces)} sentences, {seconds:.1f} s of sound")
    for n, found in shares.items():
        print(f"{n} at once: {min(found):.2f} times its duration")


if __name__ == "__main__":
    main()
