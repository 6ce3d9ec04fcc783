"""Equal error rate of a speaker head, by corpus and over all recordings whose speaker is known.

All pairs of recordings of a corpus are compared: those of at least 1.5 s, the first 8 s of each, at most 20
of a speaker; the only recording of a speaker, from 6 s on, counts as two, its halves. The last line is of all
pairs of all corpora, of which most differ in their microphones too.

python benchmarks/speaker_eer.py --data DIR [--head NAME] [--codec NAME] [--split test]"""

import argparse
from pathlib import Path

from mynah.apps.recordings import group_of, read_mono
from mynah.apps.speakers import cut, embed_all
from mynah.codec import Codec
from mynah.codec.heads import SpeakerHead
from mynah.data.manifest import read_manifest
from mynah.data.verification import Errors, parts_to_compare, verification_errors


def measure(head: SpeakerHead, data: Path, split: str) -> dict[str, Errors]:
    """Of the recordings of one split, by corpus; last, as "all", of all of them."""
    rate = head.codec.config.sample_rate
    known = [r for r in read_manifest(data) if r.split == split and r.speaker]
    groups = [group_of(r.path) for r in known]
    parts = parts_to_compare(
        [(group, r.speaker) for group, r in zip(groups, known)], [r.seconds for r in known]
    )
    wavs = [cut(read_mono(known[part.recording], rate), part.start, part.stop, rate) for part in parts]
    chosen = [part.recording for part in parts]
    return verification_errors(
        embed_all(head, wavs), [groups[i] for i in chosen], [known[i].speaker for i in chosen]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--head", default="speakers-16k")
    parser.add_argument("--codec", default="mynah-16k")
    parser.add_argument("--split", default="test")
    options = parser.parse_args()
    head = SpeakerHead.from_pretrained(Codec.from_pretrained(options.codec), options.head)
    print("corpus            speakers  pairs of one  pairs of two  equal error rate")
    for group, found in measure(head, options.data, options.split).items():
        pairs = f"{found.same:12}  {found.different:12}"
        print(f"{group:16}  {found.speakers:8}  {pairs}  {found.rate:16.1%}", flush=True)


if __name__ == "__main__":
    main()
