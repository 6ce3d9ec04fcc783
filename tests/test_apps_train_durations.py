"""`mynah train durations`: learns, resumes to the same losses, and says what is wrong with a list."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from mynah.apps.train_durations import evaluate, train
from mynah.apps.train_durations_data import (
    DurationTrainOptions,
    read_alignments,
    read_duration_recipe,
    with_speakers,
)
from mynah.data.errors import MynahError
from mynah.data.text import SYMBOLS
from mynah.tts import Durations
from mynah.tts.duration_network import DurationConfig, DurationNetwork

pytestmark = pytest.mark.usefixtures("first_curves")

TINY = DurationConfig(name="tiny-durations", dim=16, layers=1, dropout=0.1)
SETTINGS = {"steps": 4, "batch": 4, "evaluate_every": 4, "save_every": 1, "speaker_minutes": 0.05}


def line(**changes) -> dict:
    return {
        "id": "a",
        "corpus": "c",
        "speaker": "ann",
        "split": "train",
        "phonemes": ["~", "k", "ˈæ", "t", ".", "~"],
        "durations": [50, 5, 9, 4, 20, 50],
    } | changes


@pytest.fixture
def alignments(tmp_path):
    """A list of 40 recordings: vowels last 10 frames, consonants 4, a comma 8."""
    rng = np.random.default_rng(0)
    lasts = {",": 8, " ": 0, "æ": 10, "u": 10, "k": 4, "t": 4, "s": 4}
    lines = []
    for number in range(40):
        phonemes = rng.choice(list(lasts), 12).tolist()
        phonemes[0] = "k"
        lines.append(
            line(
                id=str(number),
                speaker="ann" if number % 2 else None,
                split="val" if number % 8 == 0 else "train",
                phonemes=["~", *phonemes],
                durations=[30, *(lasts[p] for p in phonemes)],
            )
        )
    path = tmp_path / "alignments.jsonl"
    path.write_text("".join(json.dumps(item) + "\n" for item in lines))
    return path


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps({"durations": {"dim": 16, "layers": 1}, "train": SETTINGS}))
    return path


def test_it_learns(alignments, tmp_path):
    examples = read_alignments(alignments, TINY)
    assert (len(examples["train"]), len(examples["val"])) == (35, 5)
    options = DurationTrainOptions(steps=150, batch=8, lr=1e-2, warmup=5, ema=0.9, evaluate_every=150)
    assert (
        train(TINY, options, examples["train"], examples["val"], tmp_path / "run", log=lambda _: None) == 150
    )
    report = json.loads((tmp_path / "run" / "progress.jsonl").read_text())
    assert report["error_ms"] < 10
    assert report["pause_error"] == 0
    assert report["length_ratio"] == pytest.approx(1, abs=0.05)
    model = Durations.from_pretrained(tmp_path / "run")
    assert model.predict(["k", "æ", " ", "t", "u", ","]) == (4, 10, 0, 4, 10, 8)
    assert model.network.limits[SYMBOLS.index("k")].tolist() == [4, 4]


def test_a_resumed_run_reaches_the_same_weights(alignments, tmp_path):
    examples = read_alignments(alignments, TINY)
    options = DurationTrainOptions(**SETTINGS)
    config = with_speakers(TINY, options, examples["train"])
    assert config.speakers == ("ann",)

    def run(folder, **how):
        return train(config, options, examples["train"], examples["val"], folder, log=lambda _: None, **how)

    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert run(whole) == 4
    assert run(parts, stop_at=1) == 1
    with open(parts / "progress.jsonl", "a") as file:
        file.write('{"step": 3}\n{"st')  # of a run that was killed after step 3 and before it was saved
    assert run(parts, interrupted=lambda: True) == 2
    assert run(parts) == 4
    assert load_file(whole / "model.safetensors").keys() == load_file(parts / "model.safetensors").keys()
    for name, tensor in load_file(whole / "model.safetensors").items():
        assert torch.equal(tensor, load_file(parts / "model.safetensors")[name]), name

    def losses(folder):
        lines = [json.loads(text) for text in (folder / "progress.jsonl").read_text().splitlines()]
        return [(item["step"], item["error_ms"]) for item in lines]

    assert [step for step, _ in losses(whole)] == [4]
    assert losses(whole) == losses(parts)
    with pytest.raises(MynahError, match="another architecture or speakers"):
        train(TINY, options, examples["train"], examples["val"], parts, log=lambda _: None)


def test_the_command(mynah, alignments, recipe, tmp_path):
    result = mynah("train", "durations", recipe, "--data", alignments, "--out", tmp_path / "run")
    assert result.returncode == 0, result.stderr
    assert "train: 35 recordings" in result.stdout
    assert "1 speakers are known by name" in result.stdout
    assert Durations.from_pretrained(tmp_path / "run").config.speakers == ("ann",)
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert names == {
        "config.json",
        "model.safetensors",
        "progress.jsonl",
        "progress.png",
        "recipe.json",
        "state.pt",
    }


def test_the_scores(tmp_path):
    """A model that says 1 frame for every sound, and no pause."""
    torch.manual_seed(0)

    network = DurationNetwork(TINY)
    network.output.weight.data.zero_()
    network.output.bias.data.copy_(torch.tensor([0.0, -1.0]))
    path = tmp_path / "list.jsonl"
    path.write_text(json.dumps(line(split="val", phonemes=["k", ",", "t", "."], durations=[3, 0, 5, 2])))
    scores = evaluate(TINY, network.state_dict(), read_alignments(path, TINY)["val"])
    assert scores == {"error_ms": 60, "pause_error": 0.5, "pause_ms": 0, "length_ratio": 0.2}


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("{", "Expecting"),
        ("[]", "a JSON object"),
        ("[" * 100_000, ":1: "),
        (json.dumps({"split": "train", "phonemes": []}), "no 'durations'"),
        (json.dumps(line(split="dev")), "split='dev': one of train, val, test"),
        (json.dumps(line(speaker=3)), "speaker=3"),
        (json.dumps(line(phonemes="abc")), "phonemes: a list of texts"),
        (json.dumps(line(durations=[1])), "durations: 6 whole numbers"),
        (json.dumps(line(durations=[50, 5, 9, 4, -1, 50])), "durations: 6 whole numbers"),
        (json.dumps(line(durations=[50, 5, 9.5, 4, 1, 50])), "durations: 6 whole numbers"),
        (json.dumps(line(phonemes=["~", "k", "qq", "t", ".", "~"])), "'qq' is no symbol"),
    ],
)
def test_bad_lists(text, named, mynah, recipe, tmp_path):
    path = tmp_path / "list.jsonl"
    path.write_text(text + "\n")
    result = mynah("train", "durations", recipe, "--data", path, "--out", tmp_path / "run")
    assert result.returncode == 2
    (said,) = result.stderr.splitlines()
    assert named in said
    assert f"{path}:1: " in said
    assert not (tmp_path / "run").exists()


def test_other_bad_input(mynah, alignments, recipe, tmp_path):
    def refused(*arguments):
        result = mynah("train", "durations", *arguments, "--out", tmp_path / "run")
        assert result.returncode == 2
        (said,) = result.stderr.splitlines()
        assert not (tmp_path / "run").exists()
        return said

    assert "cannot be read" in refused(recipe, "--data", tmp_path / "nosuch")
    assert "not a readable recipe" in refused(tmp_path / "nosuch", "--data", alignments)
    assert "steps=0: at least 1" in refused(recipe, "--data", alignments, "--set", "train.steps=0")
    assert "lr=-1" in refused(recipe, "--data", alignments, "--set", "train.lr=-1")
    assert "unknown options" in refused(recipe, "--data", alignments, "--set", "train.epochs=3")
    named = refused(recipe, "--data", alignments, "--set", 'durations.speakers=["eve"]')
    assert "no recordings of eve" in named
    (tmp_path / "one.jsonl").write_text(json.dumps(line()))
    assert "no recordings of the split 'val'" in refused(recipe, "--data", tmp_path / "one.jsonl")
    (tmp_path / "bytes.jsonl").write_bytes(b"\xff\xfe")
    assert "not UTF-8" in refused(recipe, "--data", tmp_path / "bytes.jsonl")


def test_the_recipe_that_is_shipped():

    config, options = read_duration_recipe(Path(__file__).parents[1] / "runs" / "durations-16k.json", [])
    assert config == DurationConfig()
    assert options.steps >= 1000
