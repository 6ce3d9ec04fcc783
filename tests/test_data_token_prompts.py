"""Prompts before items: whose they are, how often, how long, and that only the item's own end is lost."""

from collections import Counter

import numpy as np

from mynah.data.shards import Label
from mynah.data.token_batches import TokenBatches
from mynah.data.token_crops import Crop
from mynah.data.token_prompts import LONGEST, SHORTEST, TokenPrompts
from mynah.data.views import recording_of


def label(id_: str, speaker: str | None, corpus: str = "a", frames: int = 400) -> Label:
    return Label(id_, corpus, "train", speaker, None, None, frames, 0, 0)


LABELS = [label(f"{speaker}-{i}", speaker) for speaker in ("anna", "ben", "eve") for i in range(6)]
LABELS += [label("anna-0@1/2", "anna"), label("alone-0", "alone"), label("nobody-0", None)]
LABELS += [label("left-out", "ben", "silent"), label("short", "ben", frames=SHORTEST - 1)]


def prompts(share: float = 1.0, labels: list[Label] = LABELS) -> TokenPrompts:
    aligned = {x.id for x in labels} - {"ben-5"}
    return TokenPrompts(labels, {"silent": 0.0}, ["anna"], aligned, share)


def drawn(whose: str, n: int = 400, share: float = 1.0, frames: int = 300) -> list[Crop]:
    (own,) = [x for x in LABELS if x.id == whose]
    return [prompts(share).before(Crop(own, 10, 10 + frames, seed, ended=True)) for seed in range(n)]


def test_a_named_voice_hears_itself_and_others():
    crops = [crop for crop in drawn("anna-0") if crop.prompt is not None]
    assert len(crops) > 0.97 * 400
    foreign = [crop for crop in crops if crop.foreign]
    assert 0.35 < len(foreign) / len(crops) < 0.65
    others = Counter(crop.prompt.label.speaker for crop in foreign)
    assert set(others) == {"ben", "eve", "alone", None}
    assert {crop.prompt.label.speaker for crop in crops if not crop.foreign} == {"anna"}
    heard = {recording_of(crop.prompt.label.id) for crop in crops if not crop.foreign}
    assert heard == {f"anna-{i}" for i in range(1, 6)}
    assert not {"left-out", "short"} & {crop.prompt.label.id for crop in crops}


def test_an_unnamed_voice_hears_only_itself():
    crops = drawn("eve-3")
    assert not any(crop.foreign for crop in crops)
    assert {crop.prompt.label.speaker for crop in crops if crop.prompt} == {"eve"}
    for whose in ("alone-0", "nobody-0"):
        assert drawn(whose) == [Crop(crop.label, 10, 310, crop.seed, True) for crop in drawn(whose)]


def test_lengths():
    for frames, most in ((300, LONGEST), (80, 40)):
        crops = [crop for crop in drawn("ben-0", frames=frames) if crop.prompt is not None]
        lengths = [crop.prompt.stop - crop.prompt.start for crop in crops]
        assert min(lengths) == SHORTEST
        assert max(lengths) == most
        assert all(crop.stop - crop.start + n == frames for crop, n in zip(crops, lengths, strict=True))
        cut = [crop for crop in crops if not crop.joined]
        whole_end = [crop.stop == 10 + frames for crop in cut]
        assert 0.4 < np.mean(whole_end) < 0.6
        assert all((crop.start == 10) != end for crop, end in zip(cut, whole_end, strict=True))
        assert [crop.ended for crop in cut] == whole_end
        assert all(0 <= crop.prompt.start < crop.prompt.stop <= 400 for crop in crops)
    assert all(crop.prompt is None for crop in drawn("ben-0", frames=2 * SHORTEST - 1))


def test_share():
    found = sum(crop.prompt is not None for crop in drawn("ben-0", n=2000, share=0.3))
    assert 0.25 < found / 2000 < 0.35
    assert not any(crop.prompt for crop in drawn("ben-0", share=0.0))


def test_a_beginning_is_joined_to_an_end():
    for whose, least, most in (("ben-0", 0.25, 0.42), ("anna-0", 0.1, 0.25), ("ben-5", 1.0, 1.0)):
        crops = [crop for crop in drawn(whose) if crop.prompt is not None]
        joined = [crop for crop in crops if crop.joined]
        assert least <= len(joined) / len(crops) <= most, whose
        assert not any(crop.ended or crop.foreign for crop in joined)
        assert all(crop.start == 0 and crop.prompt.stop == crop.prompt.label.frames for crop in joined)


def test_in_batches_they_are_a_function_of_seed_and_step():
    def batches(share: float) -> TokenBatches:
        return TokenBatches(LABELS, 300, 1200, {"silent": 0.0}, 3, prompts(share))

    first = [batches(0.5).at(step) for step in range(8)]
    assert first == [batches(0.5).at(step) for step in range(8)]
    plain = [crop for step in range(8) for crop in batches(0.0).at(step)]
    with_prompts = [crop for batch in first for crop in batch]
    assert any(crop.prompt for crop in with_prompts)
    for one, other in zip(plain, with_prompts, strict=True):
        assert (one.label, one.seed) == (other.label, other.seed)
        n = 0 if other.prompt is None else other.prompt.stop - other.prompt.start
        assert one.stop - one.start == other.stop - other.start + n
    assert np.mean([crop.prompt is not None for crop in with_prompts]) > 0.2
