"""Crops of speakers: who is drawn how often, and that each is a function of seed and index."""

from collections import Counter

import numpy as np
import pytest

from mynah.data import voices
from mynah.data.corpus import Entry, PackedCorpus
from mynah.data.voices import Speaker, VoiceCrops, speakers_of


def packed(*recordings: tuple[str, str, int]) -> PackedCorpus:
    """Recordings of group, speaker, length; every sample of number i is 1000 (i + 1)."""
    entries, start = [], 0
    for i, (group, speaker, length) in enumerate(recordings):
        entries.append(Entry(str(i), group, speaker, start, length))
        start += length
    numbers = np.repeat(np.arange(len(entries)) + 1, [e.length for e in entries])
    return PackedCorpus((1000 * numbers).astype(np.int16), entries)


@pytest.fixture
def corpus() -> PackedCorpus:
    return packed(
        ("x", "ann", 100),
        ("x", "bob", 40),
        ("y", "ann", 30),
        ("x", "ann", 60),
        ("x", "", 900),
        ("y", "cy", 0),
    )


@pytest.fixture
def unvaried(monkeypatch):
    monkeypatch.setattr(voices, "augment", lambda wav, rng: wav)


def test_a_name_is_of_one_corpus(corpus):
    found = speakers_of(corpus.entries, 1)
    assert [(s.group, s.name, s.length) for s in found] == [
        ("x", "ann", 160),
        ("x", "bob", 40),
        ("y", "ann", 30),
    ]
    assert [s.name for s in speakers_of(corpus.entries, 40)] == ["ann", "bob"]
    assert speakers_of(corpus.entries, 41) == [Speaker("x", "ann", (corpus.entries[0], corpus.entries[3]))]


def test_examples_are_a_function_of_seed_and_index(corpus):
    def crops(seed):
        return VoiceCrops(corpus, speakers_of(corpus.entries, 1), 4, 50, 90, seed, {})

    first, again, other = crops(0), crops(0), crops(1)
    for i in (7, 0, 3):
        one, two = first[i], again[i]
        assert one.speaker == two.speaker and np.array_equal(one.wav, two.wav)
        assert one.wav.dtype == np.float32
    assert any(first[i].speaker != other[i].speaker for i in range(20))
    lengths = [{len(first[i].wav) for i in range(4 * step, 4 * step + 4)} for step in range(20)]
    assert all(len(found) == 1 for found in lengths)  # one in each step
    assert len(set.union(*lengths)) > 5 and min(map(min, lengths)) >= 50 and max(map(max, lengths)) <= 90


def test_crops_are_of_their_speaker_and_joined_where_needed(corpus, unvaried):
    speakers = speakers_of(corpus.entries, 1)
    crops = VoiceCrops(corpus, speakers, 2, 90, 90, 0, {})
    own = ({1, 4}, {2}, {3})
    seen = Counter()
    for i in range(200):
        wav, speaker = crops[i]
        numbers = set(np.round(wav * 32.768).astype(int).tolist())
        assert len(wav) == 90 and numbers <= own[speaker]
        seen[speaker, len(numbers)] += 1
    assert seen[0, 1] and seen[0, 2]  # of one recording, and of two
    assert seen[1, 1] and seen[2, 1]  # said again until it is long enough


def test_who_is_drawn_how_often(unvaried, monkeypatch):
    monkeypatch.setattr(voices, "ENOUGH", 400 / 16000)
    corpus = packed(("x", "a", 100), ("x", "b", 400), ("x", "c", 4000), ("y", "d", 100))
    crops = VoiceCrops(corpus, speakers_of(corpus.entries, 1), 1, 10, 10, 0, {"y": 3.0})
    count = Counter(crops[i].speaker for i in range(4000))
    assert [count[i] / 4000 for i in range(4)] == pytest.approx([1 / 8, 2 / 8, 2 / 8, 3 / 8], abs=0.03)
    crops = VoiceCrops(corpus, speakers_of(corpus.entries, 1), 1, 10, 10, 0, {"x": 0.0})
    assert {crops[i].speaker for i in range(50)} == {3}
