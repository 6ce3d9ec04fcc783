"""A language model that is told words as they are spelled: its pieces, its alignments, its training."""

import json

import numpy as np
import pytest

pytest.importorskip("accelerate")
pytest.importorskip("sentencepiece")

from mynah.apps.average import average
from mynah.apps.train_subwords import spelled_alignments
from mynah.data.errors import CheckpointError, MynahError
from mynah.data.shards import Alignment, Label, ShardWriter, TokenCorpus, TokenInfo
from mynah.data.text import phonemize
from mynah.data.text.subwords import Subwords, train_subwords
from mynah.data.text.symbols import PAUSES
from mynah.lm import LanguageModel, checkpoint

pytestmark = pytest.mark.usefixtures("one_thread", "first_curves")

TEXTS = ["The quick brown fox.", "A lazy dog, of 1840!", "It jumps over the dog.", "Why does the fox?"]


@pytest.fixture(scope="module")
def tokens(tmp_path_factory, tiny):
    """Nine recordings of four texts; the eighth is aligned with another text, the ninth has none."""
    folder = tmp_path_factory.mktemp("subwords") / "tokens"
    info, rng = TokenInfo("tiny", tiny.codes_hash, 50.0, 3, 1024), np.random.default_rng(0)
    with ShardWriter(folder, info) as writer:
        for i in range(9):
            said = phonemize(TEXTS[i % 4]).symbols if i < 7 else phonemize("something else entirely").symbols
            durations = [1 + (i + j) % 3 for j in range(len(said))]
            text = TEXTS[i % 4] if i < 8 else None
            split = "val" if i % 4 == 3 else "train"
            label = Label(f"r{i}", "own", split, f"s{i % 4}", "en", text, 0, 0, 0)
            writer.add(label, rng.integers(1024, size=(3, sum(durations))))
            if i < 8:
                line = {"id": label.id, "phonemes": said, "durations": durations}
                with open(folder / "alignments.jsonl", "a") as f:
                    f.write(json.dumps(line) + "\n")
    return folder


@pytest.fixture(scope="module")
def subwords() -> Subwords:
    return train_subwords([phonemize(text).text for text in TEXTS], 60)


def test_alignments_are_told_in_pieces(tokens, subwords):
    corpus, said = TokenCorpus(tokens), []
    found = spelled_alignments(corpus, subwords, said.append)
    assert sorted(found) == [f"r{i}" for i in range(7)]
    assert said == ["left out, not English or aligned with other words than their text: 1"]
    for id_, told in found.items():
        assert told.durations.sum() == corpus.alignments[id_].durations.sum()
        words = "".join(symbol for symbol in told.phonemes if symbol not in PAUSES).split("▁")[1:]
        assert words == [word.text.lower() for word in phonemize(TEXTS[int(id_[1]) % 4]).words]


def test_no_alignment_that_fits_is_an_error(tokens, subwords):
    corpus = TokenCorpus(tokens)
    corpus.alignments = {"r0": Alignment(("ð", "ə"), np.array([1, 2]))}
    with pytest.raises(MynahError, match="no alignment has the words"):
        spelled_alignments(corpus, subwords, print)


def test_from_tokens_to_a_model(mynah, tokens, tiny, tiny_folder, tmp_path):
    pieces, out = tmp_path / "pieces.model", tmp_path / "lm"
    result = mynah("train", "subwords", tokens, pieces, "--size", 60)
    assert result.returncode == 0, result.stderr
    assert "70 symbols from 6 texts" in result.stdout
    lm = {"dim": 16, "layers": 1, "head_dim": 16, "embedding_dim": 8, "max_frames": 200}
    train = {"steps": 2, "batch_frames": 100, "crop": 2.0, "stream_weights": [1, 1, 1], "bf16": False}
    recipe = tmp_path / "small.json"
    recipe.write_text(json.dumps({"lm": lm, "train": {**train, "phonemes": True, "subwords": str(pieces)}}))
    arguments = [recipe, "--data", tokens, "--codec", tiny_folder, "--out", out]
    result = mynah("train", "lm", *arguments)
    assert result.returncode == 0, result.stderr
    assert "left out, not English or aligned with other words than their text: 1" in result.stdout
    assert (out / checkpoint.SUBWORDS).read_bytes() == pieces.read_bytes()
    model = LanguageModel.from_pretrained(out)
    assert model.subwords is not None
    assert model.config.symbols == model.subwords.symbols == Subwords.load(pieces).symbols
    last = json.loads((out / "progress.jsonl").read_text().splitlines()[-1])
    assert last["bits_told"] > 0

    average([out, out], tmp_path / "mean")
    mean = LanguageModel.from_pretrained(tmp_path / "mean")
    assert mean.subwords is not None
    assert mean.subwords.model == model.subwords.model

    (out / checkpoint.SUBWORDS).write_bytes(train_subwords(["other words than those"] * 9, 50).model)
    with pytest.raises(CheckpointError, match=r"subwords\.model: its pieces are not the symbols"):
        LanguageModel.from_pretrained(out)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["train", "subwords", "nowhere", "out.model"], "nowhere: no tokens in it"),
        (["train", "subwords", "TOKENS", "out.model", "--size", "10"], "size=10: 50 to 100000 pieces"),
        (["train", "subwords", "TOKENS", "taken.model"], "taken.model: exists; --force replaces it"),
        (["train", "subwords", "TOKENS", "none/out.model"], "out.model: there is no folder"),
        (["train", "lm", "RECIPE", "--set", 'train.subwords="none.model"'], "none.model: No such file"),
        (["train", "lm", "RECIPE", "--set", 'train.subwords="taken.model"'], "not a SentencePiece model"),
        (
            ["train", "lm", "RECIPE", "--set", "train.phonemes=false", "--set", 'train.subwords="a"'],
            "it takes phonemes=true",
        ),
    ],
)
def test_bad_input_is_one_clear_line(mynah, tokens, tiny_folder, tmp_path, monkeypatch, arguments, named):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken.model").write_text("rubbish")
    (tmp_path / "r.json").write_text(json.dumps({"lm": {}, "train": {"phonemes": True}}))
    given = {"TOKENS": tokens, "RECIPE": "r.json"}
    arguments = [given.get(argument, argument) for argument in arguments]
    if arguments[1] == "lm":
        arguments += ["--data", tokens, "--codec", tiny_folder]
    result = mynah(*arguments)
    assert result.returncode == 2
    assert named in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "out.model").exists()
    assert (tmp_path / "taken.model").read_text() == "rubbish"
