"""How much a voice made from a clip of 6 s sounds like its speaker, whom no model has heard.

python benchmarks/zero_shot.py --data DIR [--model NAME] [--durations NAME] [--head NAME] [--split test]
    [--clips 30] [--guidance SCALE]

Cosines, as our own speaker head hears voices, to the same speaker's speech after the clip (up to 8 s), and,
on the mean, to that of the other speakers: of two sentences in the new voice, and of the clip itself, both
through the codec. The clips come without their text, as recordings of strangers usually do. Phone errors are
those that our own phone head hears in the two sentences."""

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
from mynah.codec.heads import PhoneHead, SpeakerHead
from mynah.codec.heads.phone_config import without_stress
from mynah.data.edit_distance import error_rate
from mynah.data.text import phonemize
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
    parser.add_argument("--guidance", type=float, help="what suits such a voice if left out")
    options = parser.parse_args()
    lm = LanguageModel.from_pretrained(options.model, int8=True)
    codec = codecs.load(lm.config.codec)
    durations = Durations.from_pretrained(options.durations)
    head, phones = SpeakerHead.from_pretrained(codec, options.head), PhoneHead.from_pretrained(codec)
    rate = codec.config.sample_rate
    bitrate = codec.config.bitrates[codec.rate_index(lm.config.n_codebooks)]
    texts = [sentence.text for sentence in sentences()[:2]]
    wanted = [
        [without_stress(phone) for word in phonemize(text).words for phone in word.phonemes] for text in texts
    ]
    clips, rests, spoken, heard = [], [], [], []
    for recording in prompts(str(options.data), options.split, GROUPS, options.clips):
        wav = read_mono(recording, rate)
        clip = torch.from_numpy(cut(wav, 0, CLIP, rate))[None]
        synthesizer = Synthesizer(codec, lm, durations, clone(codec, "clip", clip))
        said = [synthesizer.synthesize(text, guidance=options.guidance)[0, 0].numpy() for text in texts]
        heard += [phones.recognise(wav[None, None])[0] for wav in said]
        coded = codec.decode(codec.encode(clip[None], rate, bitrate))[0, 0].numpy()
        clips.append(coded.clip(-1, 1))
        rests.append(cut(wav, CLIP, REST, rate))
        spoken.append(np.concatenate(said))
    rest = embed_all(head, rests)
    print(f"{len(rests)} speakers          to the speaker  to the others")
    for name, wavs in (("the clip", clips), ("the new voice", spoken)):
        found = to_prompts(embed_all(head, wavs), rest)
        print(f"{name:20}  {np.mean(found.own):14.2f}  {np.mean(found.others):13.2f}", flush=True)
    print(f"phone errors  {100 * error_rate(list(zip(wanted * len(rests), heard, strict=True))):.1f} %")


if __name__ == "__main__":
    main()
