"""Trains the grapheme-to-phoneme model of `g2p` on a dictionary: joint n-grams of letters and phones.

Every word is cut into graphones, 1-2 letters with 0-2 phones ("ph" with F, "x" with K S), by Viterbi
training of graphone probabilities; an n-gram model over graphones is then estimated with interpolated
Kneser-Ney discounting and rare long n-grams left out. Sources: Bisani and Ney, "Joint-sequence models for
grapheme-to-phoneme conversion" (2008); Chen and Goodman, "An empirical study of smoothing techniques" (1999).

Some minutes on one core for the CMU dictionary. `benchmarks/g2p_error.py` trains on a part of the dictionary,
measures on the rest, and makes the files in the package.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

SIZES = ((1, 1), (1, 2), (2, 1), (1, 0), (2, 2))  # letters and phones of a graphone
CUTOFFS = {4: 2, 5: 2}  # half the size, no worse on held-out words
BAND = 3  # phones that a cut may be away from the diagonal
START = ""  # the only symbol before a word, and after it
Graphone = tuple[str, str]


def train(
    words: Mapping[str, str], order: int = 5, cutoffs: Mapping[int, int] | None = None
) -> dict[str, NDArray]:
    """Return the arrays that `g2p.Model` reads.

    Args:
        words: spelling (a-z and apostrophes) -> ARPAbet phones with stress, separated by spaces.
        order: longest n-gram, in graphones.
        cutoffs: length -> how often an n-gram must occur to be kept; `CUTOFFS` when None.
    """
    sequences = [[f"{letters}}}{phones}" for letters, phones in cut] for cut in align(words)]
    return _arrays(*_ngrams(sequences, order, CUTOFFS if cutoffs is None else cutoffs))


def align(words: Mapping[str, str], rounds: int = 4, sample: int = 10_000) -> list[list[Graphone]]:
    """Return each word's graphones; words with no alignment (more than two phones a letter) are left out."""
    pairs = [(word, phones.split()) for word, phones in words.items()]
    step = max(1, len(pairs) // sample)
    counts: Counter[Graphone] = Counter()
    for word, phones in pairs[::step]:  # start: every cut that keeps to the diagonal counts the same
        bare = [phone.rstrip("012") for phone in phones]
        for i in range(len(word)):
            for j in range(len(bare)):
                if abs(i / len(word) - j / len(bare)) < 0.25:
                    counts[word[i], bare[j]] += 1
    costs = _costs(counts)
    for turn in range(rounds):
        counts = Counter()
        chosen = pairs if turn == rounds - 1 else pairs[::step]
        for word, phones in chosen:
            counts.update(_cut(word, [phone.rstrip("012") for phone in phones], costs) or ())
        costs = _costs(counts)
    cuts = []
    for word, phones in pairs:
        cut = _cut(word, [phone.rstrip("012") for phone in phones], costs)
        if cut:
            with_stress, at = [], 0
            for letters, bare_phones in cut:
                size = len(bare_phones.split())
                with_stress.append((letters, " ".join(phones[at : at + size])))
                at += size
            cuts.append(with_stress)
    return cuts


def _costs(counts: Counter[Graphone]) -> dict[Graphone, float]:
    total = sum(counts.values())
    return {graphone: -math.log(count / total) for graphone, count in counts.items()}


def _cut(word: str, phones: list[str], costs: Mapping[Graphone, float]) -> list[Graphone]:
    """The cheapest cut of a word; [] when there is none."""
    width = len(phones) + 1
    best = [math.inf] * ((len(word) + 1) * width)
    back: list[tuple[int, Graphone] | None] = [None] * len(best)
    best[0] = 0.0
    slope = len(phones) / len(word)
    for i in range(len(word)):
        for j in range(max(0, int(i * slope) - BAND), min(width, int(i * slope) + BAND + 1)):
            here = best[i * width + j]
            if here == math.inf:
                continue
            for letters, sounds in SIZES:
                if i + letters > len(word) or j + sounds > len(phones):
                    continue
                graphone = word[i : i + letters], " ".join(phones[j : j + sounds])
                # 14 nats for what was never seen: more than anything usual, so it is a last resort
                cost = here + costs.get(graphone, 14.0 * max(letters, sounds)) + 0.5 * (letters == 2)
                to = (i + letters) * width + j + sounds
                if cost < best[to]:
                    best[to], back[to] = cost, (i * width + j, graphone)
    at, cut = len(best) - 1, []
    while at:
        step = back[at]
        if step is None:
            return []
        at, graphone = step
        cut.append(graphone)
    return cut[::-1]


def _ngrams(
    sequences: Iterable[list[str]], order: int, cutoffs: Mapping[int, int]
) -> tuple[dict[tuple[str, ...], float], dict[tuple[str, ...], float]]:
    """Interpolated Kneser-Ney: probabilities of n-grams, and what each context leaves to its shorter one."""
    raw: list[Counter[tuple[str, ...]]] = [Counter() for _ in range(order + 1)]
    for sequence in sequences:
        padded = (START, *sequence, START)
        for end in range(1, len(padded)):
            for size in range(1, min(order, end + 1) + 1):
                raw[size][padded[end + 1 - size : end + 1]] += 1
    counts = [Counter(counter) for counter in raw]
    for size in range(1, order):  # shorter n-grams count in how many contexts they occur
        continuation: Counter[tuple[str, ...]] = Counter(gram[1:] for gram in raw[size + 1])
        for gram in counts[size]:
            if gram[0] != START or size == 1:
                counts[size][gram] = continuation[gram]
    probabilities: dict[tuple[str, ...], float] = {}
    left_over: dict[tuple[str, ...], float] = {}
    for size in range(1, order + 1):
        frequency = Counter(counts[size].values())
        discount = frequency[1] / (frequency[1] + 2 * frequency[2]) if frequency[1] else 0.5
        totals: dict[tuple[str, ...], int] = defaultdict(int)
        kept_mass: dict[tuple[str, ...], float] = defaultdict(float)
        for gram, count in counts[size].items():
            totals[gram[:-1]] += count
        kept = [gram for gram in counts[size] if raw[size][gram] >= cutoffs.get(size, 1)]
        for gram in kept:
            kept_mass[gram[:-1]] += (counts[size][gram] - discount) / totals[gram[:-1]]
        for context in totals:
            left_over[context] = max(1e-9, 1.0 - kept_mass[context])
        for gram in kept:
            context = gram[:-1]
            shorter = _probability(gram[1:], probabilities, left_over) if size > 1 else 1.0 / len(counts[1])
            own = (counts[size][gram] - discount) / totals[context]
            probabilities[gram] = own + left_over[context] * shorter
    return probabilities, left_over


def _probability(
    gram: tuple[str, ...],
    probabilities: Mapping[tuple[str, ...], float],
    left_over: Mapping[tuple[str, ...], float],
) -> float:
    weight = 1.0
    while gram not in probabilities:
        if not gram:
            return 0.0
        weight *= left_over.get(gram[:-1], 1.0)
        gram = gram[1:]
    return weight * probabilities[gram]


def _arrays(
    probabilities: Mapping[tuple[str, ...], float], left_over: Mapping[tuple[str, ...], float]
) -> dict[str, NDArray]:
    """A tree of n-grams, level by level: a node's parent is its n-gram without the last graphone.

    Node 0 is the empty n-gram, node 1 the start of a word; `shorter` is the node without the first graphone.
    """
    grams = [(), (START,), *sorted((g for g in probabilities if g != (START,)), key=lambda g: (len(g), g))]
    # a word's end is an n-gram too, stored under the graphone START
    graphones = sorted({gram[-1] for gram in grams[1:]})
    number = {graphone: place for place, graphone in enumerate(graphones)}
    node: dict[tuple[str, ...], int] = {gram: place for place, gram in enumerate(grams)}
    parents = np.array([0] + [node[gram[:-1]] for gram in grams[1:]], np.int32)
    symbols = np.array([0] + [number[gram[-1]] for gram in grams[1:]], np.int16)
    shorter = np.zeros(len(grams), np.int32)
    for gram, place in node.items():
        tail = gram[1:]
        while tail not in node:
            tail = tail[1:]
        shorter[place] = node[tail]
    costs = [0.0] + [-math.log(probabilities.get(gram, 1e-9)) for gram in grams[1:]]
    backoffs = [-math.log(left_over.get(gram, 1.0)) for gram in grams]
    return {
        "graphones": np.frombuffer("\n".join(graphones).encode(), np.uint8),
        "parents": parents,
        "symbols": symbols,
        "shorter": shorter,
        # 1/100 nat, at most 25.5 nats
        "costs": np.array([min(2550, round(100 * cost)) for cost in costs], np.int16),
        "backoffs": np.array([min(2550, round(100 * cost)) for cost in backoffs], np.int16),
    }
