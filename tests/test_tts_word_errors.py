"""Skipped and repeated words, in scores of phones made by hand."""

import pytest
import torch

from mynah.codec.heads import PhoneHead
from mynah.codec.heads.ctc import Scores
from mynah.data.text import phonemize
from mynah.tts.word_errors import WordErrors, from_scores, likelihoods, word_errors

LETTERS = " abcdefghijklmnopqrstuvwxyz"


def scores_of(heard: str, clear: float = 4.0, frames: int = 4) -> Scores:
    """A recording in which each letter lasts some frames: CTC has it in the first of them, the other output
    in all; "_" is silence, and "?" anything."""
    place = [LETTERS.index(letter) if letter in LETTERS else 0 for letter in heard.replace("_", " ")]
    ctc, own = torch.zeros(2, len(heard) * frames, len(LETTERS))
    for i, (letter, label) in enumerate(zip(heard, place)):
        if letter != "?":
            own[i * frames : (i + 1) * frames, label] = clear
            ctc[i * frames + 1 : (i + 1) * frames, 0] = clear
            ctc[i * frames, label] = clear
    return Scores(ctc.log_softmax(-1)[None], own.log_softmax(-1)[None])


def ids(words: str) -> list[list[int]]:
    return [[LETTERS.index(letter) for letter in word] for word in words.split()]


@pytest.mark.parametrize(
    ("said", "heard", "skipped", "repeated"),
    [
        ("the cat sat", "thecatsat", [], []),
        ("the cat sat", "_the__cat_sat_", [], []),
        ("yes", "yes", [], []),
        # Lacking words.
        ("the cat sat", "thesat", ["cat"], []),
        ("the cat sat", "catsat", ["the"], []),
        ("the cat sat", "the_cat_", ["sat"], []),
        ("a cat", "cat", ["a"], []),
        ("the cat sat", "______", ["the", "cat", "sat"], []),
        ("yes", "_____", ["yes"], []),
        ("the cat sat", "?", ["the", "cat", "sat"], []),  # four frames are too few for nine phones
        # Something else in their place, or some phones swallowed: they were said, if badly.
        ("the cat sat", "thedogsat", [], []),
        ("the cat sat", "the???sat", [], []),
        ("the cat sat", "xyzuvwijk", [], []),
        ("the cat sat", "thctst", [], []),
        ("the elephants left", "theelfntsleft", [], []),
        # Said again.
        ("the cat sat", "thecatcatsat", [], ["cat"]),
        ("the cat sat", "the_the_catsat", [], ["the"]),
        ("the cat sat", "thecatsatsat", [], ["sat"]),
        ("the cat sat", "thecatthecatsat", [], ["the"]),  # a word of the phrase at least
        ("the horse sat", "thehorsehorzesat", [], ["horse"]),
        ("the cat sat", "thecatxyzsat", [], []),
        ("the cat sat", "the_cat__________sat", [], []),
        # What the text repeats has to be said as often as that.
        ("no no no", "nonono", [], []),
        ("no no no", "nono", ["no"], []),
        ("no no no", "no", ["no", "no"], []),
        ("no no no", "nononono", [], ["no"]),
        ("left right left right", "leftrightright", ["left"], []),
        # Both at once.
        ("the big black cat sat", "thethebigcatsat", ["black"], ["the"]),
    ],
)
def test_words(said, heard, skipped, repeated):
    found = from_scores(scores_of(heard), ids(said))
    words = said.split()
    assert [words[place] for place in found.skipped] == skipped
    assert [words[place] for place in found.repeated] == repeated
    assert list(found.skipped) == sorted(set(found.skipped))


def test_both_outputs_have_to_agree():
    lacking, clear, said = scores_of("the___sat"), scores_of("thecatsat"), ids("the cat sat")
    assert from_scores(lacking, said) == WordErrors((1,), ())
    assert from_scores(lacking._replace(ctc=clear.ctc), said) == WordErrors((), ())
    assert from_scores(lacking._replace(frames=clear.frames), said) == WordErrors((), ())


def test_likelihoods(monkeypatch):
    """Of the text that was said more than of others; the same in parts; -inf where it does not fit."""
    scores = scores_of("thecat")
    texts = [ids(text) for text in ("the cat", "the", "", "the dog", "the cat cat", "thecatsatonthemat" * 2)]
    found = likelihoods(scores, texts)
    assert found.shape == (6, 2)
    assert (found[0] > found[1:]).all()
    assert (found[5] == -torch.inf).all()
    monkeypatch.setattr("mynah.tts.word_errors.AT_ONCE", 2)
    torch.testing.assert_close(likelihoods(scores, texts), found)


def test_of_a_recording(tiny, head_folder):
    """An untrained head says something about every sound; that is counted by the words of the text."""
    head = PhoneHead.from_pretrained(tiny, head_folder)
    wav = 0.1 * torch.randn(1, 16000, generator=torch.Generator().manual_seed(0))
    said = phonemize("The cat sat, and another cat sat.")
    found = word_errors(head, wav, said)
    scores = head.scores(wav[None])
    assert found == from_scores(scores, [head.config.ids(word.phonemes) for word in said.words])
    assert all(0 <= place < len(said.words) for places in found for place in places)
    assert word_errors(head, wav[:, :1600], said) == WordErrors(tuple(range(7)), ())
