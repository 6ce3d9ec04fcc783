"""How much a voice made from a clip of 6 s sounds like its speaker, whom no model has heard.

python benchmarks/zero_shot.py --data DIR [--model NAME] [--durations NAME] [--head NAME] [--split test]
    [--clips 30]

Cosines, as our own speaker head hears voices, to the same speaker's speech after the clip (up to 8 s), and,
on the mean, to that of the other speakers: of two sentences in the new voice, and of the clip itself, both
through the codec. The clips come without their text, as recordings of strangers usually do."""

import argparse
from pathlib import Path

import numpy as np
import torch

from mynah.apps import codecs
from mynah.apps.evaluate_continuation import GROUPS, prompts
from mynah.apps.evaluate_likeness import HEAD, to_prompts
from mynah.apps.recordings import read_mono
from mynah.apps.say import DURATIONS, MODEL
from mynah.apps.speakers import cut, embed_all
from mynah.codec.heads import SpeakerHead
from mynah.lm import LanguageModel
from mynah.tts import Durations, Synthesizer
from mynah.tts.cloning import clone
from mynah.tts.sentences import sentences

CLIP, REST = 6.0, 14.0  # seconds: ends of the clip, and of what it is compared with


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", default=MODEL)
    parser.add_argument("--durations", default=DURATIONS)
    parser.add_argument("--head", default=HEAD)
    parser.add_argument("--split", default="test")
    parser.add_argument("--clips", type=int, default=30)
    options = parser.parse_args()
    lm = LanguageModel.from_pretrained(options.model, int8=True)
    codec = codecs.load(lm.config.codec)
    durations = Durations.from_pretrained(options.durations)
    head = SpeakerHead.from_pretrained(codec, options.head)
    rate = codec.config.sample_rate
    bitrate = codec.config.bitrates[codec.rate_index(lm.config.n_codebooks)]
    texts = [sentence.text for sentence in sentences()[:2]]
    clips, rests, spoken = [], [], []
    for recording in prompts(str(options.data), options.split, GROUPS, options.clips):
        wav = read_mono(recording, rate)
        clip = torch.from_numpy(cut(wav, 0, CLIP, rate))[None]
        synthesizer = Synthesizer(codec, lm, durations, clone(codec, "clip", clip))
        said = [synthesizer.synthesize(text)[0, 0].numpy() for text in texts]
        coded = codec.decode(codec.encode(clip[None], rate, bitrate))[0, 0].numpy()
        clips.append(coded.clip(-1, 1))
        rests.append(cut(wav, CLIP, REST, rate))
        spoken.append(np.concatenate(said))
    rest = embed_all(head, rests)
    print(f"{len(rests)} speakers          to the speaker  to the others")
    for name, wavs in (("the clip", clips), ("the new voice", spoken)):
        found = to_prompts(embed_all(head, wavs), rest)
        print(f"{name:20}  {np.mean(found.own):14.2f}  {np.mean(found.others):13.2f}", flush=True)


if __name__ == "__main__":
    main()
