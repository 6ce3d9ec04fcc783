"""Words as they are spelled, in pieces of a SentencePiece model."""

import sys

import pytest

pytest.importorskip("sentencepiece")

from mynah.data.errors import MynahError, TextError
from mynah.data.text import phonemize
from mynah.data.text.subwords import SIZES, Subwords, train_subwords
from mynah.data.text.symbols import PAUSES

TEXTS = ["the quick brown fox", "the lazy dog isn't quick", "a fox and the dog", "It's the Theater"] * 4


@pytest.fixture(scope="module")
def subwords() -> Subwords:
    return train_subwords(TEXTS, 60)


def test_a_word_is_its_pieces(subwords):
    assert subwords.spell("the") == ("▁the",)
    for word in ("the", "fox", "Dog", "isn't", "theaters", "zany"):
        assert "".join(subwords.spell(word)).replace("▁", "") == word.lower()
    assert subwords.spell("The") == subwords.spell("the")
    assert all(set(subwords.spell(word)) <= set(subwords.symbols) for text in TEXTS for word in text.split())


def test_letters_that_were_never_seen_are_unknown(subwords):
    assert "<unk>" in subwords.spell("jumps")
    assert set(subwords.spell("jumps")) <= set(subwords.symbols)


def test_a_word_of_which_nothing_is_left_is_unknown(subwords):
    assert subwords.spell("\ufffd") == ("<unk>",)
    told = subwords.spelled(["t", "ə", " ", "n"], [3, 4, 0, 5], ["\ufffd", "a"])
    assert sum(told.durations) == 12


def test_unknown_letters_share_time_as_one(subwords):
    told = subwords.spelled(["n", "i"], [4, 8], ["aßa"])
    assert told == (("▁a", "<unk>", "a"), (4, 4, 4))


def test_a_long_text_is_learned_whole():
    long = " ".join(["quixotic"] * 2000)
    assert train_subwords([*TEXTS, long], 60).spell("quixotic") == ("▁quixotic",)


def test_the_symbols_are_pauses_and_pieces(subwords):
    assert subwords.symbols[: len(PAUSES)] == PAUSES
    assert len(set(subwords.symbols)) == len(subwords.symbols) == len(PAUSES) + 60


def test_the_same_texts_give_the_same_model(subwords):
    assert train_subwords(iter(TEXTS), 60).model == subwords.model


def test_a_model_is_read_back(subwords, tmp_path):
    path = tmp_path / "pieces.model"
    path.write_bytes(subwords.model)
    again = Subwords.load(path)
    assert again.symbols == subwords.symbols
    assert again.spell("quicker") == subwords.spell("quicker")


def test_words_keep_their_time(subwords):
    said = phonemize("The lazy dog, isn't quick.")
    durations = [3 + i % 4 for i in range(len(said.symbols))]
    durations[said.symbols.index(" ")] = 0
    told = subwords.spelled(said.symbols, durations, [word.text for word in said.words])

    def times(symbols, frames):
        """Of each word and pause: when it ends."""
        ends, at = [], 0
        for i, (symbol, n) in enumerate(zip(symbols, frames, strict=True)):
            at += n
            last = i + 1 == len(symbols)
            if symbol in PAUSES or last or symbols[i + 1] in PAUSES:
                ends.append((symbol if symbol in PAUSES else "word", at))
        return ends

    assert times(told.symbols, told.durations) == times(said.symbols, durations)
    assert "".join(s for s in told.symbols if s not in PAUSES) == "▁the▁lazy▁dog▁isn't▁quick"
    assert min(told.durations) >= 0


@pytest.mark.parametrize(
    ("frames", "expected"),
    [(12, (3, 3, 6)), (4, (1, 1, 2)), (1, (0, 0, 1)), (0, (0, 0, 0)), (6, (2, 1, 3))],
)
def test_letters_share_the_time_of_a_word(frames, expected, monkeypatch, subwords):
    monkeypatch.setattr(subwords, "spell", lambda word: ("▁a", "b", "cd"))
    told = subwords.spelled(["~", "æ", "b"], [2, frames, 0], ["abcd"])
    assert told == (("~", "▁a", "b", "cd"), (2, *expected))


@pytest.mark.parametrize("words", [["the"], ["the", "lazy", "dog"], []])
def test_other_words_than_were_said_are_refused(subwords, words):
    with pytest.raises(ValueError, match="words than"):
        subwords.spelled(["ð", "ə", " ", "l", "ˈeɪ"], [1, 2, 0, 3, 3], words)


@pytest.mark.parametrize("size", [SIZES[0] - 1, SIZES[1] + 1])
def test_sizes_out_of_range(size):
    with pytest.raises(MynahError, match=rf"size={size}: 50 to 100000"):
        train_subwords(TEXTS, size)


def test_texts_that_give_no_model():
    with pytest.raises(MynahError, match="size=50: there are no words"):
        train_subwords([], 50)
    with pytest.raises(MynahError, match="size=50: the texts have more letters"):
        train_subwords(["".join(map(chr, range(0x4E00, 0x4E60)))], 50)


def test_files_that_are_no_model(tmp_path):
    path = tmp_path / "bad.model"
    with pytest.raises(TextError, match=r"bad\.model: No such file"):
        Subwords.load(path)
    for content in (b"rubbish", b"", b"\xff" * 100):
        path.write_bytes(content)
        with pytest.raises(TextError, match=r"bad\.model: not a SentencePiece model"):
            Subwords.load(path)
    with open(path, "wb") as file:
        file.truncate(16_000_001)
    with pytest.raises(TextError, match=r"bad\.model: larger than 16 MB"):
        Subwords.load(path)


def test_without_the_package_one_line_says_how_to_get_it(monkeypatch, subwords):
    monkeypatch.setitem(sys.modules, "sentencepiece", None)
    with pytest.raises(MynahError, match=r"pip install 'mynah\[subwords\]'"):
        Subwords(subwords.model)
