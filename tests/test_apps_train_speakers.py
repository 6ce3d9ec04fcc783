"""Training a speaker head: it resumes to the bit after any stop, and says what is wrong with its input."""

import dataclasses
import json
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("accelerate")

from mynah.apps.speakers import direction, embed_all
from mynah.apps.train_ctc_data import for_codec
from mynah.apps.train_speakers import equal_error_rates, train
from mynah.apps.train_speakers_options import SpeakerOptions
from mynah.codec.heads import SpeakerHead, SpeakerHeadConfig
from mynah.codec.heads.speaker import SpeakerNetwork
from mynah.codec.heads.speaker_objective import Loss
from mynah.data import audio
from mynah.data.corpus import Entry, PackedCorpus
from mynah.data.errors import MynahError
from mynah.data.voices import speakers_of

CONFIG = SpeakerHeadConfig(name="small", dim=16, blocks=1, kernel=3, embedding_dim=8, dropout=0.2)
OPTIONS = SpeakerOptions(
    steps=5,
    batch=3,
    shortest=0.3,
    longest=0.5,
    warmup=1,
    ema=0.9,
    bf16=False,
    evaluate_every=5,
    save_every=100,
)

pytestmark = pytest.mark.usefixtures("first_curves")


@pytest.fixture(scope="module")
def corpus(speech) -> PackedCorpus:
    """Pieces of 1.6 s of the speech-like sound, two for each of six speakers of two corpora."""
    pcm = (speech * 32767).astype(np.int16)
    pieces = [np.roll(pcm, -3000 * i)[:25600] for i in range(12)]
    entries = [Entry(f"r{i}", "ab"[i == 11], f"s{i % 6}", 25600 * i, 25600) for i in range(12)]
    return PackedCorpus(np.concatenate(pieces), entries)


def run(tiny, corpus, out, config=CONFIG, options=OPTIONS, **more) -> int:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    speakers = more.pop("speakers", speakers_of(corpus.entries, 1))
    more = {"log": lambda _: None} | more
    try:
        return train(for_codec(config, tiny), options, tiny, corpus, speakers, corpus, out, **more)
    finally:
        torch.set_num_threads(threads)


def state(out) -> dict:
    return torch.load(out / "state.pt", weights_only=True)


def test_resumed_equals_uninterrupted(tiny, corpus, tmp_path):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert run(tiny, corpus, whole) == 5
    assert run(tiny, corpus, stopped, stop_at=2) == 2
    asked = []
    assert run(tiny, corpus, stopped, interrupted=lambda: bool(asked.append(0)) or len(asked) == 2) == 4
    told = []
    assert run(tiny, corpus, stopped, log=told.append) == 5
    assert told[0] == "resumed at step 4"
    first, second = state(whole), state(stopped)
    for part in ("classifier", "average"):
        assert [k for k, v in first[part].items() if not torch.equal(v, second[part][k])] == []
    assert first["speakers"] == second["speakers"] == ["a/s0", "a/s1", "a/s2", "a/s3", "a/s4", "a/s5", "b/s5"]
    assert (whole / "model.safetensors").read_bytes() == (stopped / "model.safetensors").read_bytes()
    (line,) = [json.loads(text) for text in (whole / "progress.jsonl").read_text().splitlines()]
    assert {"step", "hours", "loss", "error", "eer_a", "eer_all"} == set(line)
    head = SpeakerHead.from_pretrained(tiny, whole)
    assert head.config.codec_hash == tiny.codes_hash
    changed = dataclasses.replace(CONFIG, dim=24)
    with pytest.raises(MynahError, match="another architecture, codec or speakers"):
        run(tiny, corpus, stopped, config=changed)
    fewer = speakers_of(corpus.entries, 1)[:-1]
    with pytest.raises(MynahError, match="another architecture, codec or speakers"):
        run(tiny, corpus, stopped, speakers=fewer)


def test_it_learns(tiny, corpus, tmp_path):
    """All weights move; another seed gives others."""
    options = dataclasses.replace(OPTIONS, steps=2)
    run(tiny, corpus, tmp_path / "a", options=options)
    run(tiny, corpus, tmp_path / "b", options=dataclasses.replace(options, seed=1))
    first, second = state(tmp_path / "a")["classifier"], state(tmp_path / "b")["classifier"]
    assert not torch.equal(first["directions"], second["directions"])
    torch.manual_seed(0)
    begun = SpeakerNetwork(for_codec(CONFIG, tiny)).state_dict()
    assert [k for k, v in begun.items() if torch.equal(v, first[f"network.{k}"])] == []


def test_a_loss_that_is_not_finite_stops_the_run(tiny, corpus, tmp_path, monkeypatch):
    def broken(cosines, *_):
        return Loss(cosines.sum() * torch.nan, {"loss": float("nan"), "error": 1.0})

    monkeypatch.setattr("mynah.apps.train_speakers.margin_loss", broken)
    with pytest.raises(MynahError, match=r"step 0: the loss is no longer finite"):
        run(tiny, corpus, tmp_path / "out")


def test_sounds_of_any_length_are_embedded(tiny, corpus):
    torch.manual_seed(0)
    head = SpeakerHead(tiny, SpeakerNetwork(for_codec(CONFIG, tiny)))
    wavs = [corpus.wav(corpus.entries[i])[: 900 * (40 - 7 * i % 41)] for i in range(10)] * 2
    found = embed_all(head, wavs)
    assert found.shape == (20, 8)
    for wav, one in zip(wavs, found, strict=True):
        np.testing.assert_allclose(head.embed(wav[None, None])[0], one, atol=1e-4)
    assert embed_all(head, []).shape == (0, 8)
    mean = direction(found)
    assert np.linalg.norm(mean) == pytest.approx(1, abs=1e-5)
    assert direction(np.zeros((2, 8), np.float32)).tolist() == [0.0] * 8


def test_speakers_are_compared_within_their_corpus(tiny, corpus):
    head = SpeakerHead(tiny, SpeakerNetwork(for_codec(CONFIG, tiny)))
    found = equal_error_rates(head, corpus)
    assert list(found) == ["a", "all"]
    assert (found["a"].same, found["a"].different, found["a"].speakers) == (5, 50, 6)
    assert (found["all"].same, found["all"].different, found["all"].speakers) == (5, 61, 7)
    assert equal_error_rates(head, corpus._replace(entries=corpus.entries[:1])) == {}


def test_the_benchmark_measures_the_same(tiny, corpus, speaker_folder, tmp_path):
    """From files as from a packed corpus."""
    lines = []
    for entry in corpus.entries:
        (tmp_path / entry.group).mkdir(exist_ok=True)
        audio.save(tmp_path / entry.group / f"{entry.id}.wav", corpus.wav(entry), 16000)
        line = {"id": entry.id, "audio": f"{entry.group}/{entry.id}.wav", "split": "test", "seconds": 1.6}
        lines.append((entry.group, json.dumps(line | {"speaker": entry.speaker})))
    for group in "ab":
        own = [line for name, line in lines if name == group]
        (tmp_path / group / "manifest.jsonl").write_text("\n".join(own))
    program = runpy.run_path(str(Path(__file__).parents[1] / "benchmarks" / "speaker_eer.py"))
    head = SpeakerHead.from_pretrained(tiny, speaker_folder)
    assert program["measure"](head, tmp_path, "test") == equal_error_rates(head, corpus)
    assert program["measure"](head, tmp_path, "val") == {}


@pytest.fixture
def data(tmp_path, speech):
    """Recordings of three speakers and of nobody in the layout of a manifest."""
    folder = tmp_path / "data" / "corpus"
    folder.mkdir(parents=True)
    lines = []
    for i, speaker in enumerate(["ann", "bob", "ann", None, "eve"]):
        audio.save(folder / f"{i}.wav", speech[i * 8000 : i * 8000 + 16000], 16000)
        line = {
            "id": str(i),
            "audio": f"corpus/{i}.wav",
            "seconds": 1.0,
            "split": "val" if i == 4 else "train",
        }
        lines.append(json.dumps(line | ({"speaker": speaker} if speaker else {})))
    (folder / "manifest.jsonl").write_text("\n".join(lines))
    return tmp_path / "data"


@pytest.fixture
def train_speakers(mynah, tmp_path, data, tiny_folder, monkeypatch):
    monkeypatch.setenv("MYNAH_CACHE", str(tmp_path / "cache"))

    def run(recipe: dict | str, *options):
        path = tmp_path / "recipe.json"
        path.write_text(recipe if isinstance(recipe, str) else json.dumps(recipe))
        out = tmp_path / "out"
        return mynah(
            "train", "speakers", path, "--data", data, "--codec", tiny_folder, "--out", out, *options
        )

    return run


def test_the_command_trains_on_whoever_is_known(train_speakers, tmp_path, tiny):
    recipe = {
        "head": {"dim": 16, "blocks": 1},
        "train": {
            "steps": 9,
            "batch": 2,
            "least": 1.0,
            "shortest": 0.3,
            "longest": 0.4,
            "bf16": False,
            "corpus_weights": {"nowhere": 2.0},
        },
    }
    result = train_speakers(recipe, "--set", "train.steps=1")
    assert result.returncode == 0, result.stderr
    assert "corpus_weights: not in this data and ignored: nowhere" in result.stdout
    assert "speakers: 2 (corpus 2)" in result.stdout
    assert SpeakerHead.from_pretrained(tiny, tmp_path / "out").config.dim == 16
    (index,) = (tmp_path / "cache").glob("*/train.pcm.json")
    assert [entry[0] for entry in json.loads(index.read_text())] == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("recipe", "options", "words"),
    [
        ("{", (), "not a readable recipe"),
        ({"codec": {}}, (), "unknown sections ['codec']; a recipe has head and train"),
        ({"train": {"colour": 1}}, (), "unknown options colour"),
        ({"train": {"steps": 0}}, (), "steps=0"),
        ({"train": {"shortest": 5.0}}, (), "shortest=5, longest=4: at least 0.1 s, in this order"),
        ({"train": {"margin": 2.0}}, (), "margin=2.0: between 0 and 1"),
        ({"train": {"least": 1.5}}, (), "1 speakers to train on with least=1.5 s, two are needed"),
        ({"train": {"least": 1.0, "corpus_weights": {"corpus": 0}}}, (), "one corpus at least"),
        ({"head": {"kernel": 2}}, (), "kernel=2"),
        ({}, ("--set", "codec.dim=3"), "expected train.NAME=VALUE or head.NAME=VALUE"),
        ({}, ("--codec", "nobody"), "'nobody' is neither a shipped codec"),
        ({}, ("--data", "nowhere"), "nowhere: no such folder"),
    ],
)
def test_one_line_for_what_is_wrong(train_speakers, tmp_path, recipe, options, words):
    result = train_speakers(recipe, *options)
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert words in line
    assert not (tmp_path / "out").exists()


def test_without_speakers_there_is_nothing_to_learn(train_speakers, data):
    manifest = data / "corpus" / "manifest.jsonl"
    manifest.write_text(manifest.read_text().replace('"speaker"', '"nobody"'))
    result = train_speakers({})
    assert result.returncode == 2
    assert "no recordings whose speaker is known" in result.stderr
