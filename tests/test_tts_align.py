"""Forced alignment: durations add up, every phoneme lasts, a batch equals its items, files are in form."""

import itertools
import json
import sys

import numpy as np
import pytest
import torch

from mynah.codec.heads import PhoneHead, PhoneHeadConfig
from mynah.codec.heads.ctc import PhoneNetwork, Scores
from mynah.data.errors import AudioError
from mynah.data.text import BOUNDARY, SILENCE, phonemize
from mynah.tts import AlignmentError, align, align_batch
from mynah.tts.align import DOUBTFUL
from mynah.tts.textgrid import Clock, to_json, to_textgrid

HOP = 320


@pytest.fixture(scope="module")
def head(tiny) -> PhoneHead:
    """An untrained head: its alignments are valid, and wrong."""
    torch.manual_seed(0)
    config = PhoneHeadConfig(codec_hash=tiny.codes_hash, layers=4, feature_dim=16, dim=16, blocks=1, kernel=3)
    network = PhoneNetwork(config)
    with torch.no_grad():
        network.frames.output.weight.mul_(30)
    return PhoneHead(tiny, network)


def noise(frames: int, seed: int = 0) -> torch.Tensor:
    return 0.1 * torch.randn(1, frames * HOP, generator=torch.Generator().manual_seed(seed))


class Told(PhoneHead):
    """A head that hears what it is told: a symbol for each frame."""

    def __init__(self, head: PhoneHead, heard: list[str]):
        super().__init__(head.codec, head.network)
        ids = torch.tensor([self.config.symbols.index(symbol) for symbol in heard])
        self.told = torch.full((1, len(heard), len(self.config.symbols)), -4.0)
        self.told[0, torch.arange(len(heard)), ids] = 0.0

    def scores(self, wav, lengths=None) -> Scores:
        return Scores(self.told, self.told)


def test_every_frame_is_given_out_once(head):
    said = phonemize("Well, who was it? I was.")
    for frames in (60, 23, 17):
        found = align(head, noise(frames, frames), said)
        assert found.n_frames == sum(found.durations) == frames
        assert min(found.durations) >= 1
        for tier in (found.words, found.phones):
            assert tier[0].start == 0
            assert all(a.end == b.start for a, b in itertools.pairwise(tier))
        spoken = [phone.label for phone in found.phones if phone.label != SILENCE]
        assert spoken == [phoneme for word in said.words for phoneme in word.phonemes]
        assert [w.label for w in found.words if w.label != SILENCE] == [word.text for word in said.words]
        assert found.score <= 0


def test_as_many_frames_as_phonemes_are_a_frame_each(head):
    said = phonemize("cat")
    found = align(head, noise(3), said)
    assert found.durations == (1, 1, 1)
    with pytest.raises(AlignmentError, match=r"0\.04 s of sound are too short for 3 phonemes"):
        align(head, noise(2), said)


def test_what_is_heard_is_found(head):
    said = phonemize("a cat, cats.")
    heard = "~ ~ ə ə k æ æ t ~ ~ ~ k k æ t s s ~".split()
    found = align(Told(head, heard), noise(len(heard)), said)
    spoken = [p.label.lstrip("ˈˌ") for p in found.phones for _ in range(p.end - p.start)]
    assert spoken == heard
    assert [tuple(word) for word in found.words] == [
        (SILENCE, 0, 2), ("a", 2, 4), ("cat", 4, 8), (SILENCE, 8, 11), ("cats", 11, 17), (SILENCE, 17, 18)
    ]  # fmt: skip
    assert found.score == 0.0
    assert found.timed(said.separators) == [
        ("~", 2), ("ə", 2), (" ", 0), ("k", 1), ("ˈæ", 2), ("t", 1), (",", 3),
        ("k", 2), ("ˈæ", 1), ("t", 1), ("s", 2), (".", 1),
    ]  # fmt: skip


def test_silence_at_an_end_without_a_mark(head):
    said = phonemize("cat")
    assert said.separators == (BOUNDARY,)
    with_pause = align(Told(head, "k æ t ~".split()), noise(4), said)
    assert with_pause.timed(said.separators)[-1] == (SILENCE, 1)
    without = align(Told(head, "k æ t t".split()), noise(4), said)
    assert without.timed(said.separators) == [("k", 1), ("ˈæ", 1), ("t", 2)]


def test_another_text_scores_lower(head):
    heard = Told(head, "~ k k æ æ t t ~".split())
    wrong, right = (align(heard, noise(8), phonemize(text)).score for text in ("dog", "cat"))
    assert wrong < DOUBTFUL < right


def test_a_batch_equals_its_items(head):
    texts = [phonemize(text) for text in ("One, two.", "A cat sat.", "Yes!")]
    lengths = [50 * HOP, 41 * HOP - 100, 20 * HOP]
    wav = torch.zeros(3, 1, lengths[0])
    for i, length in enumerate(lengths):
        wav[i, :, :length] = noise(50, i)[:, :length]
    together = align_batch(head, wav, texts, lengths)
    for i, length in enumerate(lengths):
        alone = align(head, wav[i, :, :length], texts[i])
        assert alone[:2] == together[i][:2]
        assert alone.score == pytest.approx(together[i].score, abs=1e-3)


def test_what_cannot_be_aligned_is_refused(head, monkeypatch):
    said = phonemize("cat")
    with pytest.raises(AudioError, match="shape"):
        align(head, torch.zeros(2, 3200), said)
    with pytest.raises(AudioError, match="NaN"):
        align(head, torch.full((1, 3200), torch.nan), said)
    with pytest.raises(AlignmentError, match="no words"):
        align(head, noise(20), said._replace(words=()))
    with pytest.raises(AlignmentError, match="recording 2: "):
        align_batch(
            head, noise(20)[None].expand(2, 1, -1), [said, phonemize("twenty five of them, if not more")]
        )
    with pytest.raises(ValueError, match="2 texts"):
        align_batch(head, noise(20)[None], [said, said])
    monkeypatch.setattr(sys.modules["mynah.tts.align"], "MAX_CELLS", 10)
    with pytest.raises(AlignmentError, match="cut them"):
        align(head, noise(20), said)


def test_textgrid_and_json(head):
    said = phonemize('[cat "Tom"](/k ˈæ t/)')
    heard = "~ ~ k æ t t ~".split()
    found = align(Told(head, heard), noise(7), said)
    clock = Clock(50.0, 0.135)  # the recording ends within the last frame
    grid = to_textgrid(found, clock)
    assert grid.startswith('File type = "ooTextFile"\nObject class = "TextGrid"\n\nxmin = 0\nxmax = 0.135\n')
    lines = [line.strip() for line in grid.splitlines()]
    assert 'text = "cat ""Tom"""' in lines
    assert lines.count("xmin = 0.04") == 2  # the word and its first phone
    assert "intervals: size = 3" in lines
    assert "intervals: size = 5" in lines
    document = json.loads(to_json(found, clock, said.text))
    assert document["words"] == [
        {"text": "", "start": 0.0, "end": 0.04},
        {"text": 'cat "Tom"', "start": 0.04, "end": 0.12},
        {"text": "", "start": 0.12, "end": 0.135},
    ]
    assert [phone["text"] for phone in document["phones"]] == ["", "k", "ˈæ", "t", ""]
    assert document["seconds"] == 0.135


def test_numpy_is_taken_too(head):
    wav = noise(30)
    said = phonemize("a cat")
    assert align(head, wav.numpy().astype(np.float64), said)[:2] == align(head, wav, said)[:2]
