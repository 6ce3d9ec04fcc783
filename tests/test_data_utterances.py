"""Training examples of transcribed speech: reproducible, weighted, of similar length in a step."""

from collections import Counter

import numpy as np

from mynah.data.corpus import Entry, PackedCorpus
from mynah.data.utterances import POOL_STEPS, Utterance, Utterances


def make(seed: int = 0, **weights: float) -> Utterances:
    rng = np.random.default_rng(1)
    lengths = rng.integers(400, 4000, 60)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    samples = rng.integers(-3000, 3000, int(starts[-1])).astype(np.int16)
    entries = [Entry(str(i), "ab"[i % 2], "", int(starts[i]), int(n)) for i, n in enumerate(lengths)]
    corpus = PackedCorpus(samples, entries)
    return Utterances(corpus, [Utterance(e, ((1, i),)) for i, e in enumerate(entries)], 4, seed, weights)


def test_an_example_is_a_function_of_seed_and_index():
    first, again, other = make(), make(), make(seed=1)
    for index in (700, 3, 129, 3):
        assert np.array_equal(first[index].wav, again[index].wav)
        assert first[index].words == again[index].words
    assert any(first[i].words != other[i].words for i in range(20))


def test_steps_hold_utterances_of_similar_length():
    examples = make()
    lengths = np.array([len(examples[i].wav) for i in range(4 * POOL_STEPS)]).reshape(-1, 4)
    spread = (lengths.max(1) - lengths.min(1)).mean()
    assert spread < 0.1 * (lengths.max() - lengths.min())
    assert (np.diff(lengths.mean(1)) < 0).any()  # not sorted from short to long


def test_corpora_are_drawn_by_their_weights():
    examples = make(a=0.0)
    assert {examples[i].words[0][1] % 2 for i in range(300)} == {1}
    counts = Counter(make(a=3.0)._pool(pool)[i] % 2 for pool in range(10) for i in range(4 * POOL_STEPS))
    assert 2.4 < counts[0] / counts[1] < 3.8
