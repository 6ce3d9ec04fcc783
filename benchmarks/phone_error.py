"""Phone error rate of a phone head's greedy recognition, by corpus, on recordings with text in one language.

python benchmarks/phone_error.py --data DIR --head FOLDER [--codec NAME] [--split test] [--clips 40]
    [--language en]"""

import argparse
import math
from collections import defaultdict
from pathlib import Path

import torch

from mynah.apps.train_data import group_of
from mynah.codec import Codec
from mynah.codec.heads import PhoneHead
from mynah.data import audio
from mynah.data.edit_distance import Edits, edits
from mynah.data.manifest import Recording, read_manifest
from mynah.data.text import phonemize


def transcribed(
    data: Path, split: str, clips: int, seconds: float = 16.0, language: str = "en"
) -> dict[str, list[Recording]]:
    """Up to `clips` recordings of each corpus, evenly spread over its list, none longer than `seconds`."""
    found = defaultdict(list)
    for recording in read_manifest(data):
        wanted = recording.split == split and recording.language == language and recording.text
        if wanted and recording.seconds <= seconds:
            found[group_of(recording.path)].append(recording)
    return {group: some[:: math.ceil(len(some) / clips)] for group, some in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--head", default="phones-16k")
    parser.add_argument("--codec", default="mynah-16k")
    parser.add_argument("--split", default="test")
    parser.add_argument("--clips", type=int, default=40)
    parser.add_argument("--language", default="en", help="others than en need the extra espeak")
    options = parser.parse_args()
    codec = Codec.from_pretrained(options.codec)
    head = PhoneHead.from_pretrained(codec, options.head)
    print("corpus            clips  phones  error rate  substituted  deleted  inserted")
    for group, recordings in transcribed(
        options.data, options.split, options.clips, language=options.language
    ).items():
        counts, total = Edits(0, 0, 0), 0
        for recording in recordings:
            wav = audio.load(recording.path, codec.config.sample_rate).wav.mean(0)
            words = phonemize(recording.text or "", language=options.language).words
            ids = head.config.ids(phoneme for word in words for phoneme in word.phonemes)
            (heard,) = head.recognise(torch.from_numpy(wav)[None, None])
            found = edits([head.config.symbols[i] for i in ids], heard)
            counts = Edits(*(a + b for a, b in zip(counts, found)))
            total += len(ids)
        shares = "  ".join(f"{n / total:9.1%}" for n in (counts.total, *counts))
        print(f"{group:16}  {len(recordings):5}  {total:6}  {shares}", flush=True)


if __name__ == "__main__":
    main()
