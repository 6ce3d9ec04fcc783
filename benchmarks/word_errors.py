"""How often `tts.word_errors` is right: on real recordings, on some with a word cut out, or with one doubled.

python benchmarks/word_errors.py --data DIR [--corpora A,B] [--head FOLDER] [--codec NAME] [--split test]
    [--clips 30]

Where words lie is found by forced alignment; the cuts are as abrupt as that. Words of one phone are neither
cut nor doubled."""

import argparse
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from phone_error import transcribed

from mynah.codec import Codec
from mynah.codec.heads import PhoneHead
from mynah.data import audio
from mynah.data.text import SILENCE, phonemize
from mynah.tts.align import align
from mynah.tts.word_errors import word_errors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--head", default="phones-16k")
    parser.add_argument("--codec", default="mynah-16k")
    parser.add_argument("--split", default="test")
    parser.add_argument("--clips", type=int, default=30)
    parser.add_argument("--corpora", default="", help="A,B; all if empty")
    options = parser.parse_args()
    codec = Codec.from_pretrained(options.codec)
    head = PhoneHead.from_pretrained(codec, options.head)
    rng = np.random.default_rng(0)
    print("corpus            words  skipped  repeated   cut out  found   doubled  found")
    for group, recordings in transcribed(options.data, options.split, options.clips).items():
        if options.corpora and group not in options.corpora.split(","):
            continue
        n = Counter[str]()
        for recording in recordings:
            wav = torch.from_numpy(audio.load(recording.path, codec.config.sample_rate).wav.mean(0))[None]
            said = phonemize(recording.text or "")
            found = word_errors(head, wav, said)
            n["words"] += len(said.words)
            n["skipped"] += len(found.skipped)
            n["repeated"] += len(found.repeated)
            places = [i for i, word in enumerate(said.words) if len(word.phonemes) > 1]
            if len(said.words) < 2 or not places:
                continue
            segments = [word for word in align(head, wav, said).words if word.label != SILENCE]
            place = int(rng.choice(places))
            start, stop = (frame * codec.config.hop_length for frame in segments[place][1:])
            cut = torch.cat([wav[:, :start], wav[:, stop:]], 1)
            doubled = torch.cat([wav[:, :stop], wav[:, start:]], 1)
            n["changed"] += 1
            n["cut found"] += place in word_errors(head, cut, said).skipped
            n["doubled found"] += place in word_errors(head, doubled, said).repeated
        shares = [n[key] / max(1, n["changed"]) for key in ("cut found", "doubled found")]
        print(
            f"{group:16}  {n['words']:5}  {n['skipped']:7}  {n['repeated']:8}  "
            f"{n['changed']:8}  {shares[0]:5.0%}  {n['changed']:8}  {shares[1]:5.0%}",
            flush=True,
        )


if __name__ == "__main__":
    main()
