"""How unknown words are pronounced: a joint n-gram model of letters and phones, searched with a beam.

Made by `g2p_train` (sources there). `benchmarks/g2p_error.py` measures it.
"""

import heapq
from collections import defaultdict
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

BEAM = 24
LONGEST = 40  # letters; longer words are read in parts
FILE = Path(__file__).with_name("g2p.npz")


class Model:
    """The n-gram tree.

    Args:
        arrays: as from `g2p_train.train`.
    """

    def __init__(self, arrays: Mapping[str, NDArray]) -> None:
        graphones = bytes(arrays["graphones"]).decode().split("\n")
        symbols, parents = arrays["symbols"].tolist(), arrays["parents"].tolist()
        self._size = len(graphones)
        self._costs: list[int] = arrays["costs"].tolist()
        self._backoffs: list[int] = arrays["backoffs"].tolist()
        self._shorter: list[int] = arrays["shorter"].tolist()
        self._child = {
            parent * self._size + symbol: node
            for node, (parent, symbol) in enumerate(zip(parents, symbols))
            if node
        }
        self._end = graphones.index("")
        self._by_letters: dict[str, list[tuple[int, str]]] = defaultdict(list)
        for number, graphone in enumerate(graphones):
            if graphone:
                letters, phones = graphone.split("}")
                self._by_letters[letters].append((number, phones))

    def pronounce(self, word: str) -> str:
        """Return ARPAbet phones with stress for `word` (a-z and apostrophes), "" when no letter is known."""
        # each hypothesis: cost, node, phones
        beams: list[list[tuple[int, int, str]]] = [[] for _ in range(len(word) + 2)]
        beams[0] = [(0, self._child[self._end], "")]
        for at in range(len(word)):
            best: dict[tuple[int, str], tuple[int, int, str]] = {}
            for hypothesis in beams[at]:
                key = hypothesis[1:]
                if key not in best or hypothesis < best[key]:
                    best[key] = hypothesis
            for cost, node, phones in heapq.nsmallest(BEAM, best.values()):
                for size in (1, 2):
                    for number, sounds in (
                        self._by_letters.get(word[at : at + size], ()) if at + size <= len(word) else ()
                    ):
                        step, to = self._step(node, number)
                        beams[at + size].append((cost + step, to, f"{phones} {sounds}" if sounds else phones))
            if not beams[at + 1] and not beams[at + 2]:
                beams[at + 1] = beams[at]  # a letter the model has never seen
        ends: dict[str, int] = {}
        for cost, node, phones in beams[len(word)]:
            total = cost + self._step(node, self._end)[0]
            ends[phones] = min(total, ends.get(phones, total))
        return min(ends, key=lambda phones: ends[phones]).strip() if ends else ""

    def _step(self, node: int, symbol: int) -> tuple[int, int]:
        """The cost of a graphone after `node`, and the longest known n-gram that then ends here."""
        cost = 0
        while True:
            child = self._child.get(node * self._size + symbol)
            if child is not None:
                return cost + self._costs[child], child
            if node == 0:
                return cost + 2550, 0
            cost += self._backoffs[node]
            node = self._shorter[node]


@lru_cache(maxsize=1)
def _model() -> Model:
    with np.load(FILE, allow_pickle=False) as arrays:
        return Model(dict(arrays))


@lru_cache(maxsize=4096)
def pronounce(word: str) -> str:
    """Return ARPAbet phones with stress for any word of a-z and apostrophes."""
    model = _model()
    parts = [word[at : at + LONGEST] for at in range(0, len(word), LONGEST)]
    return " ".join(filter(None, map(model.pronounce, parts)))
