"""Makes the pronunciation files of the package, and measures the grapheme-to-phoneme model on held-out words.

    python benchmarks/g2p_error.py cmudict.dict [--write FOLDER]

`cmudict.dict` is the text file of https://github.com/cmusphinx/cmudict. 3000 words drawn by seed 0 are
held out; phone and word error rates are printed with and without stress. `--write` then trains on all
words and puts
`lexicon.gz` and `g2p.npz` into FOLDER. Some ten minutes on one core, half without `--write`.
"""

from __future__ import annotations

import argparse
import gzip
import random
import re
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mynah.data.text import g2p, g2p_train

HELD_OUT = 3000


def read_dictionary(path: Path) -> dict[str, str]:
    """The first pronunciation of each word of letters and apostrophes."""
    words: dict[str, str] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        word, _, phones = line.split("#")[0].strip().partition(" ")
        if re.fullmatch(r"[a-z']*[a-z][a-z']*", word):
            words.setdefault(word, phones.strip())
    return words


def edits(found: Sequence[str], right: Sequence[str]) -> int:
    """Levenshtein distance."""
    row = list(range(len(right) + 1))
    for i, one in enumerate(found, start=1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(right, start=1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (one != other))
    return row[-1]


def measure(model: g2p.Model, words: dict[str, str]) -> None:
    """Prints error rates on `words`."""
    began = time.process_time()
    found = {word: model.pronounce(word).split() for word in words}
    milliseconds = 1000 * (time.process_time() - began) / len(words)
    for name, strip in (("with stress", ""), ("without stress", "012")):
        wrong = [
            edits(
                [p.rstrip(strip) if strip else p for p in found[word]],
                [p.rstrip(strip) if strip else p for p in phones.split()],
            )
            for word, phones in words.items()
        ]
        total = sum(len(phones.split()) for phones in words.values())
        print(f"{name}: phone error {sum(wrong) / total:.4f}, word error {np.mean(np.array(wrong) > 0):.3f}")
    print(f"{milliseconds:.1f} ms of processor time a word")


def main() -> None:
    """Runs from the command line."""
    parser = argparse.ArgumentParser(description="Measure and make the grapheme-to-phoneme model.")
    parser.add_argument("dictionary", type=Path)
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    words = read_dictionary(options.dictionary)
    order = sorted(words)
    random.Random(0).shuffle(order)
    held_out = {word: words[word] for word in order[:HELD_OUT]}
    print(f"{len(words)} words, {len(held_out)} held out", flush=True)
    measure(g2p.Model(g2p_train.train({word: words[word] for word in order[HELD_OUT:]})), held_out)
    if options.write:
        arrays = g2p_train.train(words)
        np.savez_compressed(options.write / "g2p.npz", **arrays)
        lines = "".join(f"{word}\t{words[word]}\n" for word in sorted(words))
        (options.write / "lexicon.gz").write_bytes(gzip.compress(lines.encode(), 9, mtime=0))


if __name__ == "__main__":
    main()
