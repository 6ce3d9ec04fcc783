"""Fits the integer tables of the entropy coder to codes of real speech.

For each codebook: two sources of context are chosen among a few pairs; their codes are merged into classes,
and the pairs of classes into rows, by k-means under the Kullback-Leibler divergence (the information
bottleneck's hard clustering, N. Slonim and N. Tishby 1999), because a table for each pair of codes could
never be estimated. What pays is decided on held-out sequences; the rows themselves are then counted on
everything.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import NamedTuple

import numpy as np

from . import rans
from .entropy import MAX_ROWS, EntropyTables

Source = tuple[int, int]  # (frames back: 0 or 1, codebook)

_CLASSES = 64  # of each of the two sources
_ROWS_TRIED = (8, 32, 64, 128, 256, 512)  # per codebook
_CELL_PRIOR = (
    300.0  # observations that the product of both sources' distributions is worth in a pair of classes
)
_ROW_PRIOR = 200.0  # and in a row
_PRODUCT_POWER = 0.8  # the two sources tell partly the same: below 1
_HELD_OUT = 10  # one in so many


def fit_tables(
    codes_list: Iterable[np.ndarray],
    codebook_size: int = 1024,
    *,
    max_rows: int = 1400,
    chunk_frames: int = 200,
) -> EntropyTables:
    """Fits entropy tables to sequences of codes.

    The same sequences give the same tables on one machine; the tables, not this function, are what files
    depend on.

    Args:
        codes_list: sequences of codes [K, N] or [C, K, N] int, in 0..codebook_size - 1, of one K; any
            lengths.
        codebook_size: number of different codes.
        max_rows: rows of frequencies that may be spent on all codebooks, at least K; a row takes 2 *
            codebook_size bytes.
        chunk_frames: frames after which a file starts a new chunk, where no previous frame is known.

    Raises:
        ValueError: no sequences, different K, codes out of range, or max_rows out of range.
    """
    data = _Frames.gather(codes_list, codebook_size, chunk_frames)
    if not data.n_codebooks <= max_rows <= MAX_ROWS:
        raise ValueError(f"max_rows must be {data.n_codebooks} to {MAX_ROWS}, found {max_rows}")
    contexts = [_choose_context(data, book) for book in range(data.n_codebooks)]
    n_rows = _share_rows([context.cost_of_rows() for context in contexts], max_rows)
    sources, class_a, class_b, rows, freqs = [], [], [], [], []
    first_row = first_cell = 0
    for context, n in zip(contexts, n_rows):
        assigned = context.merge(n)
        sources.append(context.sources)
        class_a.append(first_cell + context.class_a * context.n_b)
        class_b.append(context.class_b)
        rows.append(first_row + assigned)
        freqs.append(_to_integers(context.distributions(assigned, training_only=False)))
        first_row += len(freqs[-1])
        first_cell += len(assigned)
    return EntropyTables(
        np.array(sources), np.stack(class_a), np.stack(class_b), np.concatenate(rows), np.concatenate(freqs)
    )


class _Frames(NamedTuple):
    """All frames of all sequences; `codebook_size` stands for a code that is not there."""

    codes: np.ndarray  # [K, N]
    previous: np.ndarray  # [K, N]
    held_out: np.ndarray  # [N] bool
    codebook_size: int

    @property
    def n_codebooks(self) -> int:
        return len(self.codes)

    def values(self, source: Source) -> np.ndarray:
        delay, book = source
        return (self.previous if delay else self.codes)[book]

    def counts(self, cells: np.ndarray, n_cells: int, book: int, training_only: bool) -> np.ndarray:
        """How often each code of `book` was seen in each cell: [n_cells, codebook_size] float32."""
        joint = cells * self.codebook_size + self.codes[book]
        if training_only:
            joint = joint[~self.held_out]
        found = np.bincount(joint, minlength=n_cells * self.codebook_size)
        return found.reshape(n_cells, self.codebook_size).astype(np.float32)

    @classmethod
    def gather(cls, codes_list: Iterable[np.ndarray], codebook_size: int, chunk_frames: int) -> _Frames:
        sequences: list[np.ndarray] = []
        for item in codes_list:
            item = np.asarray(item)
            sequences.extend(item if item.ndim == 3 else [item])
        if not sequences or len({len(sequence) for sequence in sequences}) != 1 or sequences[0].ndim != 2:
            raise ValueError(
                "fitting entropy tables needs sequences of codes [K, N], all of one K of 1 or more"
            )
        codes = np.concatenate(sequences, axis=1).astype(np.int64)
        if codes.size and not (codes.min() >= 0 and codes.max() < codebook_size):
            raise ValueError(f"codes must be 0 to {codebook_size - 1}, found {codes.min()} to {codes.max()}")
        lengths = [sequence.shape[1] for sequence in sequences]
        place = np.concatenate([np.arange(length) for length in lengths])
        previous = np.roll(codes, 1, axis=1)
        previous[:, place % chunk_frames == 0] = codebook_size
        if len(lengths) >= _HELD_OUT:
            group = np.repeat(np.arange(len(lengths)), lengths)
        else:
            group = np.cumsum(place % chunk_frames == 0)
        held_out = group % _HELD_OUT == _HELD_OUT - 1
        return cls(codes, previous, held_out, codebook_size)


class _Context:
    """Two sources of context for one codebook, with their classes; a cell is a pair of classes."""

    def __init__(
        self, data: _Frames, book: int, sources: tuple[Source, Source], n_classes: tuple[int, int]
    ) -> None:
        self.data, self.book, self.sources = data, book, sources
        self.class_a, self.class_b = (
            _classes(data, book, source, n) for source, n in zip(sources, n_classes)
        )
        self.n_b = int(self.class_b.max()) + 1
        self.n_cells = (int(self.class_a.max()) + 1) * self.n_b
        self._merged: dict[int, np.ndarray] = {}

    @property
    def _cells(self) -> np.ndarray:
        a, b = (self.data.values(source) for source in self.sources)
        return self.class_a[a] * self.n_b + self.class_b[b]

    @cached_property
    def _counts(self) -> np.ndarray:
        return self.data.counts(self._cells, self.n_cells, self.book, training_only=True)

    @cached_property
    def _product(self) -> np.ndarray:
        """p(x | a, b) as p(x) (p(x|a) / p(x))^w (p(x|b) / p(x))^w: p(x|a) and p(x|b) are known better."""
        counts = self._counts.reshape(-1, self.n_b, self._counts.shape[1])
        base = _normalised(counts.sum((0, 1)) + 0.5)
        by_a, by_b = (_smoothed(counts.sum(axis), base, _ROW_PRIOR) for axis in (1, 0))
        log_base = np.log(base)
        gain_a, gain_b = (_PRODUCT_POWER * (np.log(p) - log_base) for p in (by_a, by_b))
        logits = gain_a[:, None] + gain_b[None] + log_base
        return _normalised(np.exp(logits)).reshape(self.n_cells, -1).astype(np.float32)

    @cached_property
    def _estimate(self) -> np.ndarray:
        """The best guess at each cell's distribution, [n_cells, codebook_size]."""
        return _smoothed(self._counts, self._product, _CELL_PRIOR)

    def cost(self, distributions: np.ndarray, assigned: np.ndarray) -> float:
        """Mean bits of a held-out code (of any code where nothing is held out) when a cell uses its row."""
        chosen = self.data.held_out if self.data.held_out.any() else np.ones_like(self.data.held_out)
        found = distributions[assigned[self._cells[chosen]], self.data.codes[self.book][chosen]]
        return float(-np.log2(found).mean()) if len(found) else 0.0

    def cost_of_cells(self) -> float:
        return self.cost(self._estimate, np.arange(self.n_cells))

    def merge(self, n_rows: int) -> np.ndarray:
        """The row of each cell, [n_cells]; fewer rows where that many are not needed."""
        if n_rows not in self._merged:
            self._merged[n_rows] = _cluster(self._estimate, self._counts.sum(1) + 0.1, n_rows)
        return self._merged[n_rows]

    def distributions(self, assigned: np.ndarray, training_only: bool) -> np.ndarray:
        """The distribution of each row, [R, codebook_size] float64."""
        counts = self._counts
        if not training_only:
            counts = self.data.counts(self._cells, self.n_cells, self.book, training_only=False)
        n_rows = int(assigned.max()) + 1
        weights = counts.sum(1, keepdims=True) + 0.1
        prior = _normalised(_sum_by(self._product * weights, assigned, n_rows).astype(np.float64))
        return _smoothed(_sum_by(counts, assigned, n_rows).astype(np.float64), prior, _ROW_PRIOR)

    def cost_of_rows(self) -> dict[int, float]:
        """Held-out bits per code for each number of rows worth trying."""
        costs = {}
        for n_rows in (
            1,
            *(n for n in _ROWS_TRIED if n < self.n_cells),
            *([self.n_cells] if self.n_b == 1 else []),
        ):
            assigned = self.merge(n_rows)
            costs[n_rows] = self.cost(self.distributions(assigned, training_only=True), assigned)
        return costs


def _choose_context(data: _Frames, book: int) -> _Context:
    if book == 0:  # the most predictable codebook and the one with a single source: no classes, only rows
        return _Context(data, book, ((1, 0), (1, 0)), (data.codebook_size + 1, 1))
    pairs: list[tuple[Source, Source]] = [((1, book), (0, 0)), ((0, 0), (1, 0))]
    if book > 1:
        pairs += [((1, book), (0, book - 1)), ((0, 0), (0, book - 1))]
    return min(
        (_Context(data, book, pair, (_CLASSES, _CLASSES)) for pair in pairs),
        key=lambda found: found.cost_of_cells(),
    )


def _classes(data: _Frames, book: int, source: Source, n_classes: int) -> np.ndarray:
    """The class of each value of a source, [codebook_size + 1]."""
    if n_classes == 1:
        return np.zeros(data.codebook_size + 1, np.int64)
    counts = data.counts(data.values(source), data.codebook_size + 1, book, training_only=True)
    estimate = _smoothed(counts, _normalised(counts.sum(0) + 0.5), 50.0)
    return _cluster(estimate, counts.sum(1) + 0.1, n_classes)


def _cluster(
    distributions: np.ndarray, weights: np.ndarray, n_clusters: int, iterations: int = 8
) -> np.ndarray:
    """The cluster of each of distributions [n, S], without gaps; each its own where there are enough."""
    if n_clusters >= len(distributions):
        return np.arange(len(distributions))
    centres = distributions[np.argsort(-weights, kind="stable")[:n_clusters]]
    weighted = distributions * weights[:, None]
    assigned = np.full(len(distributions), -1)
    for _ in range(iterations):
        nearest = (distributions @ np.log(centres).T).argmax(1)
        if (nearest == assigned).all():
            break
        assigned = nearest
        sums = _sum_by(weighted, assigned, n_clusters)
        filled = sums.sum(1) > 0
        centres = np.where(filled[:, None], _normalised(sums + 1e-9), centres)
    return np.unique(assigned, return_inverse=True)[1]


def _sum_by(values: np.ndarray, assigned: np.ndarray, n: int) -> np.ndarray:
    """Sums the rows of `values` that are assigned to the same of n."""
    order = np.argsort(assigned, kind="stable")
    present, first = np.unique(assigned[order], return_index=True)
    sums = np.zeros((n, values.shape[1]), values.dtype)
    sums[present] = np.add.reduceat(values[order], first, axis=0)
    return sums


def _smoothed(counts: np.ndarray, prior: np.ndarray, strength: float) -> np.ndarray:
    return (counts + strength * prior) / (counts.sum(1, keepdims=True) + strength)


def _normalised(values: np.ndarray) -> np.ndarray:
    return values / values.sum(-1, keepdims=True)


def _share_rows(costs: list[dict[int, float]], max_rows: int) -> list[int]:
    """How many rows each codebook gets: those that save most bits per row first."""
    n = len(costs)
    # The lower codebooks are in the files of every bitrate.
    weights = [1 + (book < n / 2) + (book < n / 4) for book in range(n)]
    chosen = [1] * n
    while True:
        left = max_rows - sum(chosen)
        steps = [
            (weights[book] * (cost[chosen[book]] - cost[rows]) / (rows - chosen[book]), book, rows)
            for book, cost in enumerate(costs)
            for rows in cost
            if 0 < rows - chosen[book] <= left
        ]
        gain, book, rows = max(steps, default=(0.0, 0, 0))
        if gain <= 0:
            return chosen
        chosen[book] = rows


def _to_integers(distributions: np.ndarray) -> np.ndarray:
    """Frequencies of 1 or more with the sum rans.TOTAL for each of distributions [R, S]."""
    size = distributions.shape[1]
    freqs = 1 + np.floor(distributions * (rans.TOTAL - size)).astype(np.int64)
    # Rounding leaves less than one per code: the likeliest code takes it.
    freqs[np.arange(len(freqs)), freqs.argmax(1)] += rans.TOTAL - freqs.sum(1)
    return freqs
