"""Batches of token crops: a function of seed and step, of bounded size, drawn by their seconds."""

from collections import Counter

import numpy as np
import pytest

from mynah.data.errors import MynahError
from mynah.data.shards import Alignment, Label, ShardWriter, TokenCorpus, TokenInfo
from mynah.data.token_batches import TokenBatches
from mynah.data.token_crops import Crop, cut, example

LENGTHS = [*range(10, 200, 3), 1000, 2000]


def label(i: int, frames: int, corpus: str = "a") -> Label:
    return Label(f"r{i}", corpus, "train", f"s{i}", None, None, frames, 0, 0)


def labels(lengths: list[int] = LENGTHS) -> list[Label]:
    return [label(i, frames, "ab"[i % 2]) for i, frames in enumerate(lengths)]


def test_a_batch_is_a_function_of_seed_and_step():
    first, same = (TokenBatches(labels(), 150, 600, {}, seed=1) for _ in range(2))
    other = TokenBatches(labels(), 150, 600, {}, seed=2)
    assert [first.at(step) for step in (5, 3, 5)] == [same.at(step) for step in (5, 3, 5)]
    assert first.at(5) != first.at(6)
    assert first.at(5) != other.at(5)


def test_batches_are_full_and_of_about_one_length():
    batches = TokenBatches(labels(), 150, 600, {}, seed=0)
    for step in range(200):
        crops = batches.at(step)
        lengths = [crop.stop - crop.start for crop in crops]
        assert max(lengths) <= 150
        assert len(lengths) * max(lengths) <= 600
        assert sum(lengths) >= 0.4 * 600  # so few recordings make wide buckets
        assert all(0 <= crop.start < crop.stop <= crop.label.frames for crop in crops)
        assert all(crop.start == 0 for crop in crops if crop.label.frames <= 150)
        assert len({crop.seed for crop in crops}) == len(crops)
        assert len({crop.label.id for crop in crops}) == len(crops)


def test_every_frame_is_as_likely_but_for_its_corpus():
    recordings = [label(i, 40 + i, "a") for i in range(30)] + [label(90, 2000, "b"), label(91, 2000, "b")]
    batches = TokenBatches(recordings, 100, 200, {"a": 3.0}, seed=0)
    frames, starts = Counter[str](), []
    for step in range(4000):
        for crop in batches.at(step):
            frames[crop.label.corpus] += crop.stop - crop.start
            if crop.label.corpus == "b":
                starts.append(crop.start)
    own = {name: sum(r.frames for r in recordings if r.corpus == name) for name in "ab"}
    ratio = (frames["a"] / own["a"]) / (frames["b"] / own["b"])
    assert ratio == pytest.approx(3.0, rel=0.25)
    assert np.mean(starts) == pytest.approx(950, rel=0.05)
    assert max(starts) > 1850


def test_weight_zero_leaves_a_corpus_out():
    batches = TokenBatches(labels(), 150, 600, {"b": 0.0}, seed=0)
    assert {crop.label.corpus for step in range(100) for crop in batches.at(step)} == {"a"}
    with pytest.raises(MynahError, match="weight 0"):
        TokenBatches(labels(), 150, 600, {"a": 0.0, "b": 0.0}, seed=0)


def test_one_recording_fills_a_batch():
    crops = TokenBatches([label(0, 50)], 100, 220, {}, seed=0).at(0)
    assert [(crop.start, crop.stop) for crop in crops] == [(0, 50)] * 4


def test_examples(tmp_path):
    codes = np.random.default_rng(0).integers(16, size=(2, 12))
    with ShardWriter(tmp_path, TokenInfo("tiny", "", 50.0, 2, 16)) as writer:
        writer.add(label(0, 0), codes)
    (tmp_path / "alignments.jsonl").write_text('{"id": "r0", "phonemes": ["a", "b"], "durations": [4, 8]}\n')
    corpus = TokenCorpus(tmp_path)
    (found,) = corpus.labels
    part = example(corpus, Crop(found, 2, 7, 0))
    assert np.array_equal(part.codes, codes[:, 2:7])
    assert part.speaker == "s0"
    assert part.alignment.phonemes == ("a", "b")
    assert part.alignment.durations.tolist() == [2, 3]
    for joined in (False, True):
        whole = example(corpus, Crop(found, 2, 12, 0, True, prompt=Crop(found, 0, 2, 0), joined=joined))
        assert (whole.ended, whole.prompt.ended) == (True, False)
        assert ((whole.alignment is None), (whole.prompt.alignment is None)) == (joined, joined)


def test_short_recordings_need_not_end():
    crops = [crop for step in range(60) for crop in TokenBatches(labels(), 150, 600, {}, 0).at(step)]
    assert all(crop.ended == (crop.stop == crop.label.frames) for crop in crops)
    later = TokenBatches(labels(), 150, 600, {}, 0, ends_after=100)
    ends = [(crop.ended, crop.label.frames) for step in range(60) for crop in later.at(step)]
    assert {frames >= 100 for ended, frames in ends if ended} == {True}
    assert [ended for ended, _ in ends] == [crop.ended and crop.label.frames >= 100 for crop in crops]


@pytest.mark.parametrize(
    ("start", "stop", "phonemes", "durations"),
    [
        (0, 9, "abcd", [3, 2, 3, 1]),
        (0, 3, "a", [3]),
        (3, 5, "b", [2]),
        (2, 6, "abc", [1, 2, 1]),
        (8, 9, "d", [1]),
        (4, 5, "b", [1]),
    ],
)
def test_cut(start, stop, phonemes, durations):
    """x lasts no frame and is never in a part."""
    whole = Alignment(tuple("abxcd"), np.array([3, 2, 0, 3, 1]))
    part = cut(whole, start, stop)
    assert "".join(part.phonemes) == phonemes
    assert part.durations.tolist() == durations
