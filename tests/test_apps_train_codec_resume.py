"""A codec's training goes on: to the bit after any stop, in two processes as in one, and from another codec
in the second stage, which keeps the tokens."""

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

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

pytest.importorskip("accelerate")

from mynah.apps import train_codec, train_parts
from mynah.apps.train_options import TrainOptions
from mynah.codec import Codec, checkpoint
from mynah.codec.config import CodecConfig
from mynah.codec.discriminator import MultiScaleDiscriminator
from mynah.codec.entropy_fit import fit_tables
from mynah.data.corpus import PackedCorpus, open_packed, pack
from mynah.data.errors import MynahError

CONFIG = CodecConfig(
    name="tiny",
    latent_dim=8,
    n_codebooks=3,
    codebook_size=16,
    bitrates=(0.2, 0.6),
    encoder_dim=16,
    encoder_layers=1,
    decoder_dim=16,
    decoder_layers=1,
    fine_dim=16,
    fine_layers=1,
)

pytestmark = pytest.mark.usefixtures("first_curves")
OPTIONS = TrainOptions(
    steps=8,
    latent_steps=4,
    batch=4,
    crop=0.3,
    lr=2e-3,
    warmup=1,
    decay=0.0,
    ema=0.9,
    rate_weights=(0.5, 0.5),
    latent_noise=(0.7, 0.3),
    bf16=False,
    evaluate_every=1000,
    save_every=1000,
)
KMEANS_LATENTS = 512

# Trains in a process of its own, given the packed corpus, the run's folder, latents for the start, config and
# options as JSON, and a folder for the state after each step, or "".
PROGRAM = """
import faulthandler, json, os, shutil, sys
from functools import partial
from pathlib import Path
import torch
from accelerate import PartialState
from mynah.apps import train_codec, train_parts
from mynah.apps.train_options import TrainOptions
from mynah.codec.config import CodecConfig
from mynah.data.corpus import open_packed

faulthandler.dump_traceback_later(150, exit=True)  # a process that hangs says where
torch.set_num_threads(1)
if "ADAM_EPS" in os.environ:
    torch.optim.AdamW = partial(torch.optim.AdamW, eps=float(os.environ["ADAM_EPS"]))
corpus, out, kmeans, config, options, states = sys.argv[1:]
out, step = Path(out), 0
train_parts.KMEANS_LATENTS = int(kmeans)

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

config, options = CodecConfig(**json.loads(config)), TrainOptions(**json.loads(options))
train_codec.train(config, options, open_packed(Path(corpus)), None, out, interrupted=keep)
"""


@pytest.fixture(autouse=True)
def small(monkeypatch, one_thread):
    monkeypatch.setattr(train_parts, "KMEANS_LATENTS", KMEANS_LATENTS)


@pytest.fixture(scope="module")
def corpus_path(tmp_path_factory, speech) -> Path:
    """Four pieces of the speech-like sound by two speakers of two groups."""
    path = tmp_path_factory.mktemp("corpus") / "train.pcm"
    pieces = np.array_split(speech, 4)
    pack([(f"r{i}", "ab"[i % 2], f"s{i % 2}", lambda w=w: w) for i, w in enumerate(pieces)], path)
    return path


@pytest.fixture(scope="module")
def corpus(corpus_path) -> PackedCorpus:
    return open_packed(corpus_path)


def given(corpus_path: Path, out: Path, options: TrainOptions, states: Path | str = "") -> list[str]:
    texts = [json.dumps(dataclasses.asdict(o)) for o in (CONFIG, options)]
    return [str(corpus_path), str(out), str(KMEANS_LATENTS), *texts, str(states)]


def run(corpus: PackedCorpus, out: Path, options: TrainOptions = OPTIONS, **more) -> dict:
    """Train in this process; the state file's content."""
    train_codec.train(CONFIG, options, corpus, None, out, log=lambda _: None, **more)
    return torch.load(out / "state.pt", weights_only=True)


class Keeper:
    """Asked after every step whether to stop, copies the state file of the step before."""

    def __init__(self, out: Path, kept: Path):
        self.out, self.kept, self.step = out, kept, 0

    def __call__(self) -> bool:
        if self.step:
            shutil.copy(self.out / "state.pt", self.kept / f"{self.step}.pt")
        self.step += 1
        return False


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
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train_parts, "KMEANS_LATENTS", KMEANS_LATENTS)
        torch.set_num_threads(1)
        run(corpus, out)
    return out


@pytest.mark.parametrize("stop", [2, 4, 6])
def test_resumes_bit_exactly(corpus, uninterrupted, tmp_path, stop):
    """Before, at and after the quantizer's start."""
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


def test_killed_at_a_random_moment_it_resumes_to_the_same(corpus, corpus_path, tmp_path):
    options = dataclasses.replace(OPTIONS, steps=14, latent_steps=5, batch=2, save_every=1, evaluate_every=5)
    out, delay = tmp_path / "killed", random.random()
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *given(corpus_path, out, options)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while not (out / "state.pt").exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    time.sleep(delay)
    process.kill()
    process.wait()
    reached = torch.load(out / "state.pt", weights_only=True)["step"]
    print(f"killed {delay:.3f} s after the first state, at step {reached}")
    if reached > 1:  # the codec's folder, written after the state, is whole, too
        Codec.from_pretrained(out)
    with open(out / "progress.jsonl", "a") as f:
        f.write('{"step": 3')  # as a kill while writing leaves it
    state = run(corpus, out, options)
    assert state["step"] == 14
    assert_same(state, run(corpus, tmp_path / "whole", options))
    logs = [(folder / "progress.jsonl").read_text().splitlines() for folder in (out, tmp_path / "whole")]
    assert [json.loads(line)["step"] for line in logs[0]] == [json.loads(line)["step"] for line in logs[1]]


def test_a_line_of_a_run_that_was_killed_before_its_first_state_is_taken_back(corpus, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "progress.jsonl").write_text('{"step": 4, "mel": 9}\n{"st')
    run(corpus, out, dataclasses.replace(OPTIONS, steps=8, evaluate_every=4))
    lines = [json.loads(line) for line in (out / "progress.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [4, 8]
    assert lines[0]["mel"] != 9


def test_the_adversarial_stage_keeps_the_tokens(corpus, uninterrupted, tmp_path, speech, monkeypatch):
    """Encoder and quantizer stay to the bit, the decoder changes, the critic's loss falls; it resumes to the
    bit."""
    options = TrainOptions(
        stage="adversarial",
        steps=20,
        latent_steps=0,
        batch=3,
        crop=0.2,
        lr=3e-3,
        warmup=1,
        decay=0.0,
        ema=0.9,
        rate_weights=(0.5, 0.5),
        weights={"mel": 0.8, "adversarial": 0.1, "features": 0.1},
        bf16=False,
        evaluate_every=5,
    )

    def critic() -> MultiScaleDiscriminator:
        return MultiScaleDiscriminator((256,), 8)

    monkeypatch.setattr(train_codec, "MultiScaleDiscriminator", critic)
    out, first = tmp_path / "out", shutil.copytree(uninterrupted, tmp_path / "first")
    Codec.from_pretrained(first).tables.save(first / checkpoint.TABLES)
    run(corpus, out, options, initial=first)
    assert_same_tokens(first, out, speech)
    critic = [json.loads(line)["critic"] for line in (out / "progress.jsonl").read_text().splitlines()]
    assert min(critic) < 1.95  # 2 for one that knows nothing
    stopped = tmp_path / "stopped"
    run(corpus, stopped, options, initial=uninterrupted, stop_at=7)
    state = run(corpus, stopped, options, initial=uninterrupted)
    assert_same(state, torch.load(out / "state.pt", weights_only=True))


def test_the_decoder_stage_keeps_the_tokens(corpus, uninterrupted, tmp_path, speech):
    """It hears the codes that files have, and its losses fall."""
    options = dataclasses.replace(
        OPTIONS, stage="decoder", steps=24, latent_steps=0, complex_weights=(0.5, 1.0), evaluate_every=8
    )
    out, first = tmp_path / "out", shutil.copytree(uninterrupted, tmp_path / "first")
    Codec.from_pretrained(first).tables.save(first / checkpoint.TABLES)
    run(corpus, out, options, initial=first)
    assert_same_tokens(first, out, speech)
    shutil.copytree(first, tmp_path / "other")
    few = np.random.default_rng(0).integers(4, size=(CONFIG.n_codebooks, 4000))
    fit_tables([few], CONFIG.codebook_size).save(tmp_path / "other" / checkpoint.TABLES)
    before = (out / checkpoint.TABLES).read_bytes()
    run(corpus, out, options, initial=tmp_path / "other")
    assert (out / checkpoint.TABLES).read_bytes() == before, "a run that is taken up keeps its tables"
    mel = [json.loads(line)["mel"] for line in (out / "progress.jsonl").read_text().splitlines()]
    assert mel[-1] < 0.95 * mel[0]
    codec = Codec.from_pretrained(first)
    codec.network.freeze_codes()
    wav, books = torch.from_numpy(speech[:16000])[None], torch.tensor([1])
    heard, _ = codec.network(wav, torch.tensor([0]), books)
    decoded = codec.decode(codec.encode(wav[None], 16000, 0.2))
    delay = codec.config.delay
    assert torch.allclose(heard[:, delay:], decoded[0, :, : 16000 - delay], atol=1e-4)


def assert_same_tokens(first: Path, second: Path, speech: np.ndarray) -> None:
    """The decoders differ, and nothing else."""
    codecs = [Codec.from_pretrained(folder) for folder in (first, second)]
    assert codecs[0].identity == codecs[1].identity, "reads other files"
    before, after = (load_file(folder / "model.safetensors") for folder in (first, second))
    changed = {k.split(".")[0] for k in before if not torch.equal(before[k], after[k])}
    assert changed == {"decoder"}
    wav = torch.from_numpy(speech[:16000])[None, None]
    assert torch.equal(*(codec.encode(wav, 16000, 0.6).codes for codec in codecs))


def test_two_processes_train_as_one_with_the_double_batch(
    corpus, corpus_path, tmp_path, monkeypatch, python_program
):
    """After every step of the latent noise, the k-means start and the quantizer: weights, codebooks, averages
    and the optimizer's moments (the moving averages of the gradients) agree to 1e-3 of each tensor's largest
    value, and to 5e-2 once rounding may tip the choice between two codes.

    Adam's eps is raised on both sides: by default it blows up the rounding errors of gradients that are
    zero."""
    options = dataclasses.replace(OPTIONS, steps=6, latent_steps=3, save_every=1)
    kept = [tmp_path / "states1", tmp_path / "states2"]
    for folder in kept:
        folder.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # What `torchrun` sets, without its agent, which looks up names that a machine without network cannot.
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
            command = [*python, *given(corpus_path, tmp_path / "run2", options, kept[1])]
            env = {**os.environ, **group, **settings, "RANK": str(rank), "LOCAL_RANK": str(rank)}
            two.append(subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=errors))
    monkeypatch.setattr(torch.optim, "AdamW", partial(torch.optim.AdamW, eps=1e-3))
    run(corpus, tmp_path / "run1", options, interrupted=Keeper(tmp_path / "run1", kept[0]))
    for rank, process in enumerate(two):
        assert process.wait() == 0, (tmp_path / f"errors{rank}").read_text()
    assert (tmp_path / "run2" / "world.txt").read_text() == "2"
    for step in range(1, 7):
        states = [
            torch.load(folder / f"{step}.pt" if step < 6 else tmp_path / run_ / "state.pt", weights_only=True)
            for folder, run_ in zip(kept, ("run1", "run2"), strict=True)
        ]
        norms = [state.pop("balancer")["norms"] for state in states]
        # Half a batch has twice the gradient for each item: it is the ratios that count.
        for name in norms[0]:
            ratios = [n[name] / n["mel"] for n in norms]
            assert ratios[0] == pytest.approx(ratios[1], rel=1e-3), (step, name)
        one, other = map(flat, states)
        for name, value in one.items():
            tolerance = 1e-3 if step <= options.latent_steps else 5e-2
            allowed = tolerance * float(value.abs().max()) + 1e-7
            assert float((value - other[name]).abs().max()) < allowed, (step, name)


def test_what_does_not_fit_together(corpus, uninterrupted, tmp_path):
    weights = {"mel": 1.0, "features": 1.0}
    adversarial = dataclasses.replace(OPTIONS, stage="adversarial", latent_steps=0, weights=weights)
    with pytest.raises(MynahError, match="stage=adversarial needs --init"):
        run(corpus, tmp_path / "a", adversarial)
    other = dataclasses.replace(CONFIG, kernel=5)
    with pytest.raises(MynahError, match="its architecture differs"):
        train_codec.train(other, OPTIONS, corpus, None, tmp_path / "b", initial=uninterrupted)
    with pytest.raises(MynahError, match="a run of another architecture or stage"):
        train_codec.train(other, OPTIONS, corpus, None, uninterrupted)
    with pytest.raises(MynahError, match="a run of another architecture or stage"):
        run(corpus, uninterrupted, adversarial, initial=uninterrupted)
