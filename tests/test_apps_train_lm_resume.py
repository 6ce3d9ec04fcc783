"""A language model's training goes on: to the bit after any stop, in two processes as in one, and from a
model that knew no text."""

import dataclasses
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
import torch

pytest.importorskip("accelerate")

from mynah.apps import train_lm
from mynah.apps.train_lm_options import LMTrainOptions
from mynah.apps.train_lm_parts import start_from
from mynah.data.errors import MynahError
from mynah.data.shards import TokenCorpus, TokenInfo
from mynah.lm import LMConfig
from mynah.lm.network import LMNetwork

pytestmark = pytest.mark.usefixtures("one_thread", "first_curves")

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


@pytest.fixture(scope="module")
def tokens(tmp_path_factory, write_tokens) -> Path:
    return write_tokens(tmp_path_factory.mktemp("tokens"), INFO)


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


def given(tokens: Path, out: Path, options: LMTrainOptions, states: Path | str = "") -> list[str]:
    texts = [json.dumps(dataclasses.asdict(o)) for o in (CONFIG, options)]
    return [str(tokens), str(out), *texts, str(states)]


def test_killed_at_a_random_moment_it_resumes_to_the_same(corpus, tokens, tmp_path):
    options = dataclasses.replace(OPTIONS, steps=30, save_every=1, evaluate_every=5)
    out, delay = tmp_path / "killed", 0.3 * random.random()
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *given(tokens, out, options)],
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


def test_two_processes_train_as_one_with_the_double_batch(
    corpus, tokens, tmp_path, monkeypatch, python_program
):
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
            python = python_program(PROGRAM, "accelerate")
            command = [*python, *given(tokens, tmp_path / "run2", options, kept[1])]
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
    later = dataclasses.replace(CONFIG, codec_hash="cd" * 32)  # the codec was trained on
    assert start_from(LMNetwork(later), later, uninterrupted) == []
    told = []
    train_lm.train(CONFIG, options, corpus, None, tmp_path / "told", tmp_path / "mute", log=told.append)
    assert "begun anew: conditioner.encoder" in told[0]
    for change, named in (
        ({"pattern": "parallel"}, "its architecture or its codec differs"),
        ({"codec": "another"}, "its architecture or its codec differs"),
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
