"""Training a language model: it learns, resumes to the bit after any stop, and does in two processes what it
does in one."""

import dataclasses
import json
import math
import os
import random
import shutil
import socket
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("accelerate")

from mynah.apps import train_lm
from mynah.apps.run_folder import write_recipe
from mynah.apps.train_lm_evaluate import LMValidation
from mynah.apps.train_lm_options import INVENTORY, LMTrainOptions, fitted, read_lm_recipe
from mynah.apps.train_lm_parts import Collator, start_from
from mynah.data.errors import MynahError
from mynah.data.shards import Label, ShardWriter, TokenCorpus, TokenInfo
from mynah.data.token_batches import Example
from mynah.lm import LanguageModel, LMConfig, Sampling
from mynah.lm.network import LMNetwork

INFO = TokenInfo("tiny", "ab" * 32, 50.0, 3, 16)
CONFIG = LMConfig(
    name="tiny-lm",
    codec="tiny",
    codec_hash=INFO.codec_hash,
    n_codebooks=3,
    codebook_size=16,
    max_frames=400,
    dim=32,
    layers=2,
    head_dim=16,
    embedding_dim=16,
    dropout=0.1,
    symbols=("a", "b", "~"),
    phoneme_dim=16,
    phoneme_layers=1,
    speaker_dim=2,
    speakers=("s1",),
)
OPTIONS = LMTrainOptions(
    steps=8,
    batch_frames=80,
    crop=0.4,
    lr=3e-3,
    warmup=2,
    decay=0.25,
    ema=0.9,
    stream_weights=(3.0, 1.0, 1.0),
    token_noise=0.1,
    phoneme_dropout=0.3,
    speaker_dropout=0.3,
    bf16=False,
    evaluate_every=1000,
    save_every=1000,
)

# Trains in a process of its own, given the tokens, the run's folder, config and options as JSON, and a folder
# for the state after each step, or "".
PROGRAM = """
import faulthandler, json, os, shutil, sys
from functools import partial
from pathlib import Path
import torch
from accelerate import PartialState
from mynah.apps import train_lm
from mynah.apps.train_lm_options import LMTrainOptions
from mynah.data.shards import TokenCorpus
from mynah.lm import LMConfig

faulthandler.dump_traceback_later(150, exit=True)  # a process that hangs says where
torch.set_num_threads(1)
if "ADAM_EPS" in os.environ:
    torch.optim.AdamW = partial(torch.optim.AdamW, eps=float(os.environ["ADAM_EPS"]))
tokens, out, config, options, states = sys.argv[1:]
out, step = Path(out), 0

def keep():
    global step
    state = PartialState()
    if step == 0 and state.is_main_process:
        world = torch.distributed.get_world_size() if state.use_distributed else 1
        (out / "world.txt").write_text(str(world))
    if states and state.is_main_process and step:
        shutil.copy(out / "state.pt", Path(states) / f"{step}.pt")
    step += 1
    return False

config, options = LMConfig(**json.loads(config)), LMTrainOptions(**json.loads(options))
train_lm.train(config, options, TokenCorpus(tokens), None, out, interrupted=keep)
"""


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def write_tokens(folder: Path, info: TokenInfo = INFO, aligned: bool = True) -> Path:
    """Twelve recordings, each of a few codes that recur, by three speakers; every other one is aligned."""
    rng = np.random.default_rng(0)
    with ShardWriter(folder, info) as writer:
        for i in range(12):
            frames = 12 + 3 * i
            codes = rng.integers(info.codebook_size, size=(info.n_codebooks, 4))
            codes = np.tile(codes, (1, frames))[:, :frames]
            split = "val" if i % 3 == 2 else "train"
            writer.add(Label(f"r{i}", "own", split, f"s{i % 3}", None, None, 0, 0, 0), codes)
            if aligned and i % 2:
                line = {"id": f"r{i}", "phonemes": ["a", "~", "b"], "durations": [4, 0, frames - 4]}
                with open(folder / "alignments.jsonl", "a") as f:
                    f.write(json.dumps(line) + "\n")
    return folder


@pytest.fixture(scope="module")
def tokens(tmp_path_factory) -> Path:
    return write_tokens(tmp_path_factory.mktemp("tokens"))


@pytest.fixture(scope="module")
def corpus(tokens) -> TokenCorpus:
    return TokenCorpus(tokens)


def run(corpus: TokenCorpus, out: Path, options: LMTrainOptions = OPTIONS, config=CONFIG, **more) -> dict:
    """Train in this process; the state file's content."""
    train_lm.train(config, options, corpus, more.pop("validation", None), out, log=lambda _: None, **more)
    return torch.load(out / "state.pt", weights_only=True)


def flat(state: dict, prefix: str = "") -> dict[str, torch.Tensor]:
    """The tensors and numbers of a state file by name, `seconds` left out."""
    out: dict[str, torch.Tensor] = {}
    for key, value in state.items():
        if isinstance(value, dict):
            out |= flat(value, f"{prefix}{key}.")
        elif isinstance(value, torch.Tensor) or (isinstance(value, int | float) and key != "seconds"):
            out[f"{prefix}{key}"] = torch.as_tensor(value)
    return out


def assert_same(first: dict, second: dict) -> None:
    first, second = flat(first), flat(second)
    assert first.keys() == second.keys()
    assert [k for k in first if not torch.equal(first[k], second[k])] == []


@pytest.fixture(scope="module")
def uninterrupted(corpus, tmp_path_factory) -> Path:
    """A run of OPTIONS without a stop."""
    out = tmp_path_factory.mktemp("run") / "whole"
    torch.set_num_threads(1)
    run(corpus, out)
    return out


def test_overfits_one_recording(tmp_path, corpus):
    """Bits of a frame fall to a tenth, and it says what it has learned."""
    (one,) = [label for label in corpus.labels if label.id == "r0"]
    single = TokenCorpus(corpus.folder)
    single.labels = [one]
    quiet = {"token_noise": 0.0, "phoneme_dropout": 0.0, "speaker_dropout": 0.0}
    config = dataclasses.replace(CONFIG, speakers=(), dropout=0.0)
    options = dataclasses.replace(
        OPTIONS, steps=120, batch_frames=24, crop=0.3, lr=1e-2, evaluate_every=20, decay=0.5, **quiet
    )
    run(single, tmp_path, options, config)
    lines = [json.loads(line) for line in (tmp_path / "progress.jsonl").read_text().splitlines()]
    bits = [line["train_bits_per_frame"] for line in lines]
    assert [line["step"] for line in lines] == [20, 40, 60, 80, 100, 120]
    assert bits[-1] < 0.1 * 3 * math.log2(16)
    assert sum(lines[-1][f"train_bits_{k}"] for k in range(3)) == pytest.approx(bits[-1], abs=1e-3)
    assert (tmp_path / "progress.png").read_bytes().startswith(b"\x89PNG")
    model = LanguageModel.from_pretrained(tmp_path)
    truth = torch.from_numpy(corpus.codes(one))
    (said,) = model.continue_codes(
        [truth[:, :3]], 1.0, generators=[torch.Generator()], sampling=Sampling(temperature=0)
    ).codes()
    assert torch.equal(said, truth[:, 3:])


@pytest.mark.parametrize("stop", [1, 5])
def test_resumes_bit_exactly(corpus, uninterrupted, tmp_path, stop):
    """With dropout, token noise and dropped phonemes."""
    out = tmp_path / "out"
    assert run(corpus, out, stop_at=stop)["step"] == stop
    state = run(corpus, out)
    assert_same(state, torch.load(uninterrupted / "state.pt", weights_only=True))
    assert (out / "model.safetensors").read_bytes() == (uninterrupted / "model.safetensors").read_bytes()


def test_an_interrupt_is_saved_and_resumed(corpus, uninterrupted, tmp_path):
    out, asked = tmp_path / "out", []

    def interrupted() -> bool:
        asked.append(0)
        return len(asked) == 3

    assert run(corpus, out, interrupted=interrupted)["step"] == 3
    assert_same(run(corpus, out), torch.load(uninterrupted / "state.pt", weights_only=True))


def program(tokens: Path, out: Path, options: LMTrainOptions, states: Path | str = "") -> list[str]:
    texts = [json.dumps(dataclasses.asdict(o)) for o in (CONFIG, options)]
    return ["-c", PROGRAM, str(tokens), str(out), *texts, str(states)]


def test_killed_at_a_random_moment_it_resumes_to_the_same(corpus, tokens, tmp_path):
    options = dataclasses.replace(OPTIONS, steps=30, save_every=1, evaluate_every=4)
    out, delay = tmp_path / "killed", 0.3 * random.random()
    process = subprocess.Popen(
        [sys.executable, *program(tokens, out, options)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 140
    while not (out / "state.pt").exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    time.sleep(delay)
    process.kill()
    process.wait()
    reached = torch.load(out / "state.pt", weights_only=True)["step"]
    print(f"killed {delay:.3f} s after the first state, at step {reached}")
    with open(out / "progress.jsonl", "a") as f:
        f.write('{"step": 3')  # as a kill while writing leaves it
    state = run(corpus, out, options)
    assert state["step"] == 30
    assert_same(state, run(corpus, tmp_path / "whole", options))
    logs = [(folder / "progress.jsonl").read_text().splitlines() for folder in (out, tmp_path / "whole")]
    assert [json.loads(line)["step"] for line in logs[0]] == [json.loads(line)["step"] for line in logs[1]]


def test_two_processes_train_as_one_with_the_double_batch(corpus, tokens, tmp_path, monkeypatch):
    """After every step weights, averages and the optimizer's moments agree to 1e-3 of each tensor's largest
    value, with token noise and dropped conditions, and batches that do not divide evenly.

    Adam's eps is raised on both sides: by default it blows up the rounding errors of gradients that are zero.
    Dropout inside the network is drawn by each process for itself, so it is off."""
    monkeypatch.setattr(sys.modules[__name__], "CONFIG", dataclasses.replace(CONFIG, dropout=0.0))
    options = dataclasses.replace(OPTIONS, steps=4, save_every=1, batch_frames=100)
    kept = [tmp_path / "states1", tmp_path / "states2"]
    for folder in kept:
        folder.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    group = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": "2",
        "GLOO_SOCKET_IFNAME": "lo",
    }
    settings = {"OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true", "ADAM_EPS": "1e-3"}
    two = []
    for rank in range(2):
        with open(tmp_path / f"errors{rank}", "wb") as errors:
            command = [sys.executable, *program(tokens, tmp_path / "run2", options, kept[1])]
            env = {**os.environ, **group, **settings, "RANK": str(rank), "LOCAL_RANK": str(rank)}
            two.append(subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=errors))
    monkeypatch.setattr(torch.optim, "AdamW", partial(torch.optim.AdamW, eps=1e-3))
    steps = iter(range(5))

    def keep() -> bool:
        step = next(steps)
        if step:
            shutil.copy(tmp_path / "run1" / "state.pt", kept[0] / f"{step}.pt")
        return False

    run(corpus, tmp_path / "run1", options, CONFIG, interrupted=keep)
    for rank, process in enumerate(two):
        assert process.wait() == 0, (tmp_path / f"errors{rank}").read_text()
    assert (tmp_path / "run2" / "world.txt").read_text() == "2"
    for step in range(1, 5):
        one, other = (
            flat(torch.load(folder / f"{step}.pt" if step < 4 else last / "state.pt", weights_only=True))
            for folder, last in zip(kept, (tmp_path / "run1", tmp_path / "run2"), strict=True)
        )
        assert one.keys() == other.keys()
        for name, value in one.items():
            allowed = 1e-3 * float(value.abs().max()) + 1e-7
            assert float((value - other[name]).abs().max()) < allowed, (step, name)


def test_batches_know_what_is_known(corpus):
    collate = Collator(CONFIG, torch.device("cpu"))
    label = corpus.labels[1]
    known = Example(corpus.codes(label, 0, 8), True, "s1", corpus.alignments["r1"])
    strange = Example(corpus.codes(label, 0, 5), False, "s9", None)
    batch = collate([known, strange])
    assert batch.n_frames == [8, 5]
    assert batch.ended.tolist() == [True, False]
    assert torch.equal(batch.codes[0], torch.from_numpy(known.codes))
    assert torch.equal(batch.codes[1, :, :5], torch.from_numpy(strange.codes))
    assert batch.condition.phonemes.tolist() == [[1, 3, 2], [0, 0, 0]]
    assert batch.condition.durations.tolist() == [[4, 0, 11], [5, 0, 0]]
    assert batch.condition.speaker.tolist() == [[1, 0], [0, 0]]
    mute = dataclasses.replace(CONFIG, symbols=(), speaker_dim=0, speakers=())
    assert Collator(mute, torch.device("cpu"))([known]).condition == (None, None, None)


def test_a_model_without_text_learns_to_be_told(corpus, uninterrupted, tmp_path):
    """All that fits is taken over; phonemes and speakers begin anew."""
    mute = dataclasses.replace(CONFIG, symbols=(), speaker_dim=0, speakers=(), name="other", dropout=0.2)
    options = dataclasses.replace(OPTIONS, steps=1)
    first = run(corpus, tmp_path / "mute", options, mute)["average"]
    torch.manual_seed(5)
    network = LMNetwork(CONFIG)
    begun = start_from(network, CONFIG, tmp_path / "mute")
    assert begun
    assert all(name.startswith("conditioner.") for name in begun)
    for name, value in network.state_dict().items():
        if name not in begun:
            assert torch.equal(value, first[name].half().float()), name
    assert start_from(LMNetwork(CONFIG), CONFIG, uninterrupted) == []
    told = []
    train_lm.train(CONFIG, options, corpus, None, tmp_path / "told", tmp_path / "mute", log=told.append)
    assert "begun anew: conditioner.encoder" in told[0]
    for change, named in (
        ({"pattern": "parallel"}, "its architecture or its codec differs"),
        ({"codec_hash": "cd" * 32}, "its architecture or its codec differs"),
        ({"symbols": ("b", "a", "~")}, "its symbols differ"),
        ({"speakers": ("s0",)}, "its speakers differ"),
    ):
        other = dataclasses.replace(CONFIG, **change)
        with pytest.raises(MynahError, match=named):
            start_from(LMNetwork(other), other, uninterrupted)


def test_what_does_not_fit_together(corpus, uninterrupted, tmp_path):
    for change, named in (
        ({"layers": 3}, "holds a run of another architecture or codec"),
        ({"symbols": ("a", "b")}, "r1 is aligned with '~', not in lm.symbols"),
        ({"speakers": ("s1", "s2")}, "lm.speakers: no recordings of s2 to train on"),
    ):
        with pytest.raises(MynahError, match=named):
            run(corpus, uninterrupted, config=dataclasses.replace(CONFIG, **change))


def test_a_loss_that_is_not_finite_stops_the_run(corpus, tmp_path, monkeypatch):
    out = tmp_path / "out"
    run(corpus, out, stop_at=2)
    before = (out / "state.pt").read_bytes()
    call = train_lm.Objective.__call__

    def broken(self, *given):
        loss = call(self, *given)
        return loss._replace(nats=loss.nats * math.nan)

    monkeypatch.setattr(train_lm.Objective, "__call__", broken)
    with pytest.raises(MynahError, match=r"step 2: the loss is no longer finite"):
        run(corpus, out)
    assert (out / "state.pt").read_bytes() == before


def test_validation(tmp_path, tiny):
    """Bits of an untrained model are those of even chances; what it says is kept as sound and picture."""
    info = TokenInfo("tiny", tiny.weights_hash, 50.0, 3, 1024)
    corpus = TokenCorpus(write_tokens(tmp_path / "tokens", info))
    options = dataclasses.replace(OPTIONS, crop=0.6)
    config = fitted(dataclasses.replace(CONFIG, codec_hash=""), options, info)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mynah.apps.train_lm_evaluate.PROMPT_SECONDS", 0.2)
        patch.setattr("mynah.apps.train_lm_evaluate.CONTINUED_SECONDS", 0.4)
        validation = LMValidation(corpus, config, options, tiny)
    assert validation.whose == "held-out"
    assert {label.speaker for label in validation.labels} == {"s2"}
    assert [label.id for label in validation.prompts] == ["r8", "r11"]
    # Eight recordings of 4 codes each are known, so those of the others are new: log2 of all counts.
    torch.manual_seed(0)
    network = LMNetwork(config)
    scores = validation.run(network.state_dict(), tmp_path / "samples")
    assert scores["bits_per_frame"] == pytest.approx(3 * math.log2(1025), rel=0.01)
    assert scores["bits_per_frame"] == pytest.approx(sum(scores[f"bits_{k}"] for k in range(3)), abs=1e-3)
    assert scores["bits_marginal"] == pytest.approx(validation.marginal, abs=1e-3)
    assert 20 < scores["bits_marginal"] < 40
    assert scores["bits_told"] != scores["bits_per_frame"]
    assert 0 < scores["seconds_continued"] <= 0.4
    assert 0 <= scores["silence"] <= 1
    assert {p.name for p in (tmp_path / "samples").iterdir()} == {"0.wav", "0.png", "1.wav", "1.png"}
    again = validation.run(network.state_dict(), tmp_path / "again")
    assert again == scores
    assert (tmp_path / "again" / "1.wav").read_bytes() == (tmp_path / "samples" / "1.wav").read_bytes()
    with pytest.raises(MynahError, match="no recordings of music to validate on"):
        LMValidation(corpus, config, dataclasses.replace(options, validation_corpora=("music",)), tiny)


def write(path: Path, recipe: object) -> Path:
    path.write_text(recipe if isinstance(recipe, str) else json.dumps(recipe))
    return path


@pytest.mark.parametrize(
    ("recipe", "overrides", "named"),
    [
        ("{", [], "not a readable recipe"),
        ({"codec": {}}, [], r"unknown sections \['codec'\]; a recipe has lm and train"),
        ({"train": {"step": 3}}, [], "unknown options step; known are steps"),
        ({"lm": {"depth": 3}}, [], "unknown options depth; known are name"),
        ({"lm": {"head_dim": 7}}, [], "head_dim=7"),
        ({}, ["codec.name=3"], "--set codec.name=3: expected train.NAME=VALUE or lm.NAME=VALUE"),
        ({}, ["train.token_noise=2"], "token_noise=2: between 0 and 1"),
        ({}, ["train.clip=0"], "clip=0: above 0"),
        ({}, ["train.lr=-1"], "lr=-1: not below 0"),
        ({}, ["train.steps=0"], "steps=0: at least 1"),
        ({}, ["train.stream_weights=[0]"], "none below 0, one above"),
        ({}, ["train.validation_corpora=3"], "validation_corpora=3: a list of texts"),
        ({}, ['train.corpus_weights={"a":-1}'], "none below 0"),
        ({}, ['lm.speakers=["a"]'], "speakers: 1 voices, speaker_dim=0 is too small"),
    ],
)
def test_recipe_errors_are_one_clear_line(tmp_path, recipe, overrides, named):
    with pytest.raises(MynahError, match=named) as error:
        read_lm_recipe(write(tmp_path / "recipe.json", recipe), overrides)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("config", "options", "named"),
    [
        ({}, {"stream_weights": (1.0, 1.0)}, "one for each of the tokens' 3 streams"),
        ({}, {"crop": 9.0}, r"crop=9: a frame to 8 seconds"),
        ({}, {"crop": 0.001}, "crop=0.001: a frame to"),
        ({}, {"batch_frames": 10}, "batch_frames=10: at least a crop's 20 frames"),
        ({}, {"phonemes": True}, "leave lm.symbols out"),
    ],
)
def test_options_that_do_not_fit_the_tokens(config, options, named):
    with pytest.raises(MynahError, match=named):
        fitted(dataclasses.replace(CONFIG, **config), dataclasses.replace(OPTIONS, **options), INFO)


def test_a_recipe_is_fitted_to_the_tokens_and_read_back(tmp_path):
    options = dataclasses.replace(OPTIONS, phonemes=True)
    config = fitted(LMConfig(name="x", max_frames=100), options, INFO)
    assert (config.codec, config.codec_hash, config.n_codebooks, config.codebook_size) == (
        "tiny",
        "ab" * 32,
        3,
        16,
    )
    assert config.symbols == INVENTORY
    write_recipe(tmp_path, lm=config, train=options)
    assert read_lm_recipe(tmp_path / "recipe.json", []) == (config, options)
    assert fitted(config, options, INFO) == config


def test_the_projects_recipes_differ_in_numbers_only():
    runs = Path(__file__).parents[1] / "runs"
    found = [json.loads((runs / f"{name}.json").read_text()) for name in ("lm-16k", "lm-large")]
    for path in ("lm-16k", "lm-large"):
        config, options = read_lm_recipe(runs / f"{path}.json", [])
        fitted(config, options, TokenInfo("mynah-16k", "", 50.0, 6, 1024))
    for section in ("lm", "train"):
        one, other = (recipe[section] for recipe in found)
        texts = [{k: v for k, v in s.items() if isinstance(v, str) and k != "name"} for s in (one, other)]
        assert texts[0] == texts[1]
    size = sum(p.numel() for p in LMNetwork(read_lm_recipe(runs / "lm-16k.json", [])[0]).parameters())
    assert 5e6 < size < 30e6


@pytest.mark.parametrize("given", ["--codec", None])
def test_the_command(mynah, tmp_path, tiny, tiny_folder, other_codec, given):
    info = TokenInfo("tiny", tiny.weights_hash, 50.0, 3, 1024)
    tokens = write_tokens(tmp_path / "tokens", info, aligned=False)
    lm = {"dim": 16, "layers": 1, "head_dim": 16, "embedding_dim": 8, "max_frames": 50}
    train = {"steps": 2, "batch_frames": 60, "crop": 0.4, "stream_weights": [1, 1, 1], "bf16": False}
    recipe = write(
        tmp_path / "small.json", {"lm": lm, "train": {**train, "corpus_weights": {"absent": 2, "own": 1}}}
    )
    out, options = tmp_path / "out", ["--data", tokens, "--out", tmp_path / "out"]
    if given is None:
        for arguments, named in (
            ([recipe, *options], "'tiny' is neither a shipped codec"),
            ([recipe, *options, "--codec", other_codec], "not of tiny"),
            ([recipe, "--data", tmp_path / "nowhere"], "no tokens in it (mynah tokenize makes them)"),
            ([tmp_path / "none.json", *options], "not a readable recipe"),
            ([recipe, *options, "--codec", tiny_folder, "--init", tmp_path], "config.json: not a readable"),
        ):
            result = mynah("train", "lm", *arguments)
            assert result.returncode == 2
            assert named in result.stderr
            assert len(result.stderr.strip().splitlines()) == 1
        return
    result = mynah("train", "lm", recipe, *options, given, tiny_folder)
    assert result.returncode == 0, result.stderr
    assert "that are not in these tokens are ignored: absent" in result.stdout
    assert "validated on 4 recordings of held-out speakers" in result.stdout
    names = {path.name for path in out.iterdir()}
    assert {"recipe.json", "progress.jsonl", "progress.png", "state.pt", "config.json"} <= names
    model = LanguageModel.from_pretrained(out)
    model.check_codec(tiny)
    assert model.config.n_codebooks == 3
