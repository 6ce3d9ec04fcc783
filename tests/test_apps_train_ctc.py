"""Training a phone head: it resumes to the bit after any stop, and says what is wrong with its input."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import torch

pytest.importorskip("accelerate")

from mynah.apps.train_ctc import Spoken, train
from mynah.apps.train_ctc_data import for_codec
from mynah.apps.train_ctc_options import CtcOptions
from mynah.codec.heads import OtherCodecError, PhoneHead, PhoneHeadConfig
from mynah.codec.heads.phone_objective import Loss
from mynah.data import audio
from mynah.data.corpus import Entry, PackedCorpus
from mynah.data.errors import CheckpointError, MynahError
from mynah.data.utterances import Utterance

CONFIG = PhoneHeadConfig(name="small", dim=16, blocks=1, kernel=3, dropout=0.2)
OPTIONS = CtcOptions(
    steps=5, batch=3, warmup=1, ema=0.9, realign=2, bf16=False, evaluate_every=5, save_every=100
)

pytestmark = pytest.mark.usefixtures("first_curves")


@pytest.fixture(scope="module")
def spoken(speech) -> Spoken:
    """Six pieces of the speech-like sound, with words that nobody says in them."""
    pieces = np.array_split((speech * 32767).astype(np.int16), 6)
    lengths = [len(piece) for piece in pieces]
    entries = [Entry(f"r{i}", "ab"[i % 2], "s", sum(lengths[:i]), n) for i, n in enumerate(lengths)]
    words = ((1, 2), (3,)), ((4, 4, 5),)
    return Spoken(
        PackedCorpus(np.concatenate(pieces), entries),
        [Utterance(entry, words[i % 2]) for i, entry in enumerate(entries)],
    )


def run(tiny, spoken, out, config=CONFIG, options=OPTIONS, **more) -> int:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return train(for_codec(config, tiny), options, tiny, spoken, spoken, out, log=lambda _: None, **more)
    finally:
        torch.set_num_threads(threads)


def state(out) -> dict:
    return torch.load(out / "state.pt", weights_only=True)


def test_resumed_equals_uninterrupted(tiny, spoken, tmp_path):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert run(tiny, spoken, whole) == 5
    assert run(tiny, spoken, stopped, stop_at=2) == 2
    asked = []
    assert run(tiny, spoken, stopped, interrupted=lambda: bool(asked.append(0)) or len(asked) == 2) == 4
    assert run(tiny, spoken, stopped) == 5
    first, second = state(whole), state(stopped)
    for part in ("network", "average"):
        assert [k for k, v in first[part].items() if not torch.equal(v, second[part][k])] == []
    assert (whole / "model.safetensors").read_bytes() == (stopped / "model.safetensors").read_bytes()
    (line,) = [json.loads(text) for text in (whole / "progress.jsonl").read_text().splitlines()]
    assert {"step", "hours", "ctc", "frames", "per_a", "per_b"} == set(line)
    head = PhoneHead.from_pretrained(tiny, whole)
    assert head.config.codec_hash == tiny.codes_hash
    changed = dataclasses.replace(CONFIG, dim=24)
    with pytest.raises(MynahError, match="another architecture or codec"):
        run(tiny, spoken, stopped, config=changed)


def test_a_loss_that_is_not_finite_stops_the_run(tiny, spoken, tmp_path, monkeypatch):
    def broken(_model, _aligner, hidden, *_):
        return Loss(hidden.sum() * torch.nan, {"ctc": float("nan")})

    monkeypatch.setattr("mynah.apps.train_ctc.phone_loss", broken)
    with pytest.raises(MynahError, match=r"step 0: \['ctc'\] no longer finite"):
        run(tiny, spoken, tmp_path / "out")


@pytest.fixture
def data(tmp_path, speech):
    """Four short recordings in the layout of a manifest, two of them transcribed English."""
    folder = tmp_path / "data" / "corpus"
    folder.mkdir(parents=True)
    lines = []
    for i, (language, text) in enumerate([("en", "A cat."), ("en", "Two cats"), ("de", "Eins"), ("en", "")]):
        audio.save(folder / f"{i}.wav", speech[i * 8000 : i * 8000 + 16000], 16000)
        line = {
            "id": str(i),
            "audio": f"corpus/{i}.wav",
            "split": "val" if i == 1 else "train",
            "seconds": 1.0,
        }
        lines.append(json.dumps(line | {"language": language, "text": text}))
    (folder / "manifest.jsonl").write_text("\n".join(lines))
    return tmp_path / "data"


@pytest.fixture
def train_ctc(mynah, tmp_path, data, tiny_folder, monkeypatch):
    monkeypatch.setenv("MYNAH_CACHE", str(tmp_path / "cache"))

    def run(recipe: dict | str, *options):
        path = tmp_path / "recipe.json"
        path.write_text(recipe if isinstance(recipe, str) else json.dumps(recipe))
        out = tmp_path / "out"
        return mynah("train", "ctc", path, "--data", data, "--codec", tiny_folder, "--out", out, *options)

    return run


def test_the_command_trains_on_transcribed_english(train_ctc, tmp_path, tiny):
    recipe = {
        "head": {"dim": 16, "blocks": 1},
        "train": {"steps": 9, "batch": 2, "bf16": False, "corpus_weights": {"nowhere": 2.0}},
    }
    result = train_ctc(recipe, "--set", "train.steps=1")
    assert result.returncode == 0, result.stderr
    assert "corpus_weights: not in this data and ignored: nowhere" in result.stdout
    assert '"per_corpus"' in result.stdout
    assert PhoneHead.from_pretrained(tiny, tmp_path / "out").config.dim == 16
    (index,) = (tmp_path / "cache").glob("*/train.pcm.json")
    assert [entry[0] for entry in json.loads(index.read_text())] == ["0"]


@pytest.mark.parametrize(
    ("recipe", "options", "words"),
    [
        ("{", (), "not a readable recipe"),
        ({"codec": {}}, (), "unknown sections ['codec']; a recipe has head and train"),
        ({"train": {"colour": 1}}, (), "unknown options colour"),
        ({"train": {"steps": 0}}, (), "steps=0"),
        ({"train": {"longest": 0.1}}, (), "up to longest=0.1 s"),
        ({"head": {"kernel": 2}}, (), "kernel=2"),
        ({"train": {"corpus_weights": {"corpus": 0}}}, (), "one corpus at least"),
        ({}, ("--set", "codec.dim=3"), "expected train.NAME=VALUE or head.NAME=VALUE"),
        ({}, ("--codec", "nobody"), "'nobody' is neither a shipped codec"),
        ({}, ("--data", "nowhere"), "nowhere: no such folder"),
    ],
)
def test_one_line_for_what_is_wrong(train_ctc, tmp_path, recipe, options, words):
    result = train_ctc(recipe, *options)
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert words in line
    assert not (tmp_path / "out").exists()


def test_without_text_there_is_nothing_to_learn(train_ctc, data):
    manifest = data / "corpus" / "manifest.jsonl"
    manifest.write_text(manifest.read_text().replace('"en"', '"fr"'))
    result = train_ctc({})
    assert result.returncode == 2
    assert "no recordings with English text" in result.stderr


def test_a_run_starts_from_the_branches_that_fit(tiny, spoken, tmp_path):
    """Recognition goes on from an earlier head; the other branch, of another size, begins anew."""
    run(tiny, spoken, tmp_path / "first")
    other = dataclasses.replace(CONFIG, frame_depths=1)
    still = dataclasses.replace(OPTIONS, steps=1, lr=0.0)
    run(tiny, spoken, tmp_path / "second", other, still, initial=tmp_path / "first")
    before, after = (PhoneHead.from_pretrained(tiny, tmp_path / n).network for n in ("first", "second"))
    same = {k: torch.equal(v, after.ctc.state_dict()[k]) for k, v in before.ctc.state_dict().items()}
    assert all(same.values())
    assert not torch.equal(before.frames.output.weight, after.frames.output.weight)
    run(tiny, spoken, tmp_path / "third", CONFIG, still, initial=tmp_path / "first")
    third = PhoneHead.from_pretrained(tiny, tmp_path / "third").network
    assert torch.equal(before.frames.output.weight, third.frames.output.weight)
    deeper = dataclasses.replace(CONFIG, blocks=2)
    said = []
    train(
        for_codec(deeper, tiny),
        still,
        tiny,
        spoken,
        spoken,
        tmp_path / "deep",
        tmp_path / "first",
        log=said.append,
    )
    assert any(line.endswith("begun anew: ctc") for line in said)
    said.clear()
    shallow = for_codec(CONFIG, tiny)
    train(shallow, still, tiny, spoken, spoken, tmp_path / "back", tmp_path / "deep", log=said.append)
    assert any(line.endswith("begun anew: ctc") for line in said)
    fewer = dataclasses.replace(CONFIG, symbols=CONFIG.symbols[:-1])
    with pytest.raises(CheckpointError, match="its symbols differ"):
        run(tiny, spoken, tmp_path / "fourth", fewer, still, initial=tmp_path / "first")


def test_a_run_starts_from_the_head_of_an_earlier_codec(tiny, spoken, tmp_path):
    """The features of a codec that was trained on are much the same; the head is then the new codec's."""
    run(tiny, spoken, tmp_path / "first")
    shutil.copytree(tmp_path / "first", tmp_path / "earlier")
    stored = tmp_path / "earlier" / "config.json"
    stored.write_text(stored.read_text().replace(tiny.codes_hash, "ab" * 32))
    with pytest.raises(OtherCodecError):
        PhoneHead.from_pretrained(tiny, tmp_path / "earlier")
    still = dataclasses.replace(OPTIONS, steps=1, lr=0.0)
    run(tiny, spoken, tmp_path / "second", CONFIG, still, initial=tmp_path / "earlier")
    before, after = (PhoneHead.from_pretrained(tiny, tmp_path / n).network for n in ("first", "second"))
    assert all(
        torch.equal(v, after.state_dict()[k]) for k, v in before.state_dict().items() if "prior" not in k
    )
