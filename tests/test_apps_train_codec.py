"""Training a codec: it learns, resumes to the bit after any stop, keeps the tokens in its second stage, and
does in two processes what it does in one."""

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
import soundfile
import torch
from safetensors.torch import load_file

pytest.importorskip("accelerate")

from mynah.apps import train_codec, train_parts
from mynah.apps.run_folder import write_recipe
from mynah.apps.train_evaluate import Validation
from mynah.apps.train_options import TrainOptions, read_recipe
from mynah.codec import Codec
from mynah.codec.config import CodecConfig
from mynah.codec.discriminator import MultiScaleDiscriminator
from mynah.codec.network import CodecNetwork
from mynah.codec.objective import Reconstruction
from mynah.data.corpus import Entry, PackedCorpus, open_packed, pack
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
def small(monkeypatch):
    monkeypatch.setattr(train_parts, "KMEANS_LATENTS", KMEANS_LATENTS)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


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


def program(corpus_path: Path, out: Path, options: TrainOptions, states: Path | str = "") -> list[str]:
    texts = [json.dumps(dataclasses.asdict(o)) for o in (CONFIG, options)]
    return ["-c", PROGRAM, str(corpus_path), str(out), str(KMEANS_LATENTS), *texts, str(states)]


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


def test_overfits_one_batch(corpus, tmp_path, monkeypatch):
    """The log-mel distance of one crop falls below 0.4 of that of the first steps."""
    monkeypatch.setattr("mynah.data.crops.augment", lambda wav, rng: wav)
    entry = corpus.entries[1]._replace(length=round(OPTIONS.crop * 16000))
    one = corpus._replace(entries=[entry])
    options = dataclasses.replace(
        OPTIONS,
        steps=70,
        latent_steps=40,
        batch=1,
        lr=4e-3,
        evaluate_every=10,
        rate_weights=(0.0, 1.0),
        latent_noise=(0.0, 0.4),
    )
    monkeypatch.setattr(train_parts, "KMEANS_LATENTS", 32)
    run(one, tmp_path / "out", options)
    lines = [json.loads(line) for line in (tmp_path / "out" / "progress.jsonl").read_text().splitlines()]
    mel = {line["step"]: line["mel"] for line in lines}
    assert mel[70] < 0.4 * mel[10]
    assert (tmp_path / "out" / "progress.png").read_bytes().startswith(b"\x89PNG")


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
    options = dataclasses.replace(OPTIONS, steps=14, latent_steps=5, batch=2, save_every=1, evaluate_every=2)
    out, delay = tmp_path / "killed", random.random()
    process = subprocess.Popen(
        [sys.executable, *program(corpus_path, out, options)],
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
    Codec.from_pretrained(out)  # the codec folder is whole, too
    with open(out / "progress.jsonl", "a") as f:
        f.write('{"step": 3')  # as a kill while writing leaves it
    state = run(corpus, out, options)
    assert state["step"] == 14
    assert_same(state, run(corpus, tmp_path / "whole", options))
    logs = [(folder / "progress.jsonl").read_text().splitlines() for folder in (out, tmp_path / "whole")]
    assert [json.loads(line)["step"] for line in logs[0]] == [json.loads(line)["step"] for line in logs[1]]


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
    out = tmp_path / "out"
    run(corpus, out, options, initial=uninterrupted)
    before, after = (load_file(folder / "model.safetensors") for folder in (uninterrupted, out))
    changed = {k.split(".")[0] for k in before if not torch.equal(before[k], after[k])}
    assert changed == {"decoder"}
    wav = torch.from_numpy(speech[:16000])[None, None]
    tokens = [Codec.from_pretrained(f).encode(wav, 16000, 0.6).codes for f in (uninterrupted, out)]
    assert torch.equal(*tokens)
    critic = [json.loads(line)["critic"] for line in (out / "progress.jsonl").read_text().splitlines()]
    assert min(critic) < 1.95  # 2 for one that knows nothing
    stopped = tmp_path / "stopped"
    run(corpus, stopped, options, initial=uninterrupted, stop_at=7)
    state = run(corpus, stopped, options, initial=uninterrupted)
    assert_same(state, torch.load(out / "state.pt", weights_only=True))


def test_two_processes_train_as_one_with_the_double_batch(corpus, corpus_path, tmp_path, monkeypatch):
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
            command = [sys.executable, *program(corpus_path, tmp_path / "run2", options, kept[1])]
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


def write(path: Path, recipe: object) -> Path:
    path.write_text(recipe if isinstance(recipe, str) else json.dumps(recipe))
    return path


@pytest.mark.parametrize(
    ("recipe", "overrides", "named"),
    [
        ("{", [], "not a readable recipe"),
        ([], [], "JSON object"),
        ({"tran": {}}, [], r"unknown sections \['tran'\]"),
        ({"train": []}, [], r"\(train\): a JSON object"),
        ({"train": {"step": 3}}, [], "unknown options step; known are stage, steps"),
        ({"codec": {"hop": 3}}, [], "unknown options hop; known are name"),
        ({"codec": {"kernel": -1}}, [], "kernel=-1"),
        ({}, ["steps=3"], "--set steps=3: expected train.NAME=VALUE"),
        ({}, ["train.steps"], "--set train.steps: expected"),
        ({}, ["train.steps="], "--set train.steps=: expected"),
        ({}, ["other.steps=3"], "--set other.steps=3: expected"),
        ({}, ["train.steps=many"], "steps='many': a whole number"),
        ({}, ["train.steps=1e3"], r"steps=1000\.0: a whole number"),
        ({}, ["train.bf16=1"], "bf16=1: true or false"),
        ({}, ["train.lr=NaN"], "lr=nan: a number"),
        ({}, ["train.lr=-1"], "lr=-1"),
        ({}, ["train.ema=1.5"], r"ema=1\.5: between 0 and 1"),
        ({}, ["train.stage=gan"], "stage='gan': reconstruction or adversarial"),
        ({}, ["train.batch=0"], "batch=0: at least 1"),
        ({}, ["train.crop=0.1"], r"crop=0\.1: at least"),
        ({}, ["train.latent_steps=20000"], "latent_steps=20000: between 0 and steps=10000"),
        ({}, ["train.rate_weights=[1,1]"], r"rate_weights=\(1, 1\): one weight for each"),
        ({}, ["train.rate_weights=[0,0,0]"], "none below 0, one above"),
        ({}, ["train.rate_weights=3"], "a list of numbers"),
        ({}, ["train.rate_weights=[1,1,1,1,1]"], "one weight for each"),
        (
            {"train": {"stage": "adversarial", "weights": {"mel": 1}}},
            ["train.rate_weights=[1,1,1,1]"],
            "one weight for each",
        ),
        ({}, ["train.latent_noise=[1,1]"], r"latent_noise=\(1, 1\): one for each of rate_weights"),
        ({}, ["train.complex_weights=[1,1]"], r"complex_weights=\(1, 1\): one for each of rate_weights"),
        ({}, ["train.complex_weights=[1,1,-1]"], "complex_weights=.*none below 0"),
        ({}, ['train.weights={"melody":1}'], "some of mel, perceptual, complex"),
        ({}, ['train.weights={"mel":"much"}'], "an object of numbers"),
        ({}, ['train.corpus_weights={"a":-1}'], "none below 0"),
    ],
)
def test_recipe_errors_are_one_clear_line(tmp_path, recipe, overrides, named):
    path = write(tmp_path / "recipe.json", recipe)
    with pytest.raises(MynahError, match=named) as error:
        read_recipe(path, overrides)
    assert "\n" not in str(error.value)


def test_a_missing_recipe(tmp_path):
    with pytest.raises(MynahError, match=r"none\.json: not a readable recipe"):
        read_recipe(tmp_path / "none.json", [])


def test_overrides_and_round_trip(tmp_path):
    path = write(tmp_path / "recipe.json", {"codec": {"name": "x"}, "train": {"steps": 2000}})
    overrides = ["train.lr=0.01", "codec.kernel=5", 'train.corpus_weights={"a":2}', "codec.name=y"]
    codec, train = read_recipe(path, overrides)
    assert (codec.name, codec.kernel, train.steps, train.lr) == ("y", 5, 2000, 0.01)
    assert train.corpus_weights == {"a": 2}
    write_recipe(tmp_path, codec=codec, train=train)
    assert read_recipe(tmp_path / "recipe.json", []) == (codec, train)


def test_the_projects_recipes_are_readable():
    recipes = sorted((Path(__file__).parents[1] / "runs").glob("codec-*.json"))
    assert recipes
    for path in recipes:
        read_recipe(path, [])


def test_learning_rate():
    options = TrainOptions(steps=100, latent_steps=0, lr=1.0, warmup=10, decay=0.2)
    rates = [options.learning_rate(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9:81] == [1.0] * 72
    assert rates[90] == pytest.approx(0.5)
    assert np.all(np.diff(rates[80:]) < 0)
    assert rates[-1] == pytest.approx(0.05)


def test_what_does_not_fit_together(corpus, uninterrupted, tmp_path):
    adversarial = dataclasses.replace(OPTIONS, stage="adversarial", weights={"mel": 1.0, "features": 1.0})
    with pytest.raises(MynahError, match="stage=adversarial needs --init"):
        run(corpus, tmp_path / "a", adversarial)
    other = dataclasses.replace(CONFIG, kernel=5)
    with pytest.raises(MynahError, match="its architecture differs"):
        train_codec.train(other, OPTIONS, corpus, None, tmp_path / "b", initial=uninterrupted)
    with pytest.raises(MynahError, match="a run of another architecture or stage"):
        train_codec.train(other, OPTIONS, corpus, None, uninterrupted)
    with pytest.raises(MynahError, match="a run of another architecture or stage"):
        run(corpus, uninterrupted, adversarial, initial=uninterrupted)


def test_the_complex_loss_counts_by_operating_point(speech):
    wav = torch.from_numpy(speech[: 2 * 9600]).view(2, -1)
    rough = wav + 0.1 * torch.randn_like(wav)
    plain = Reconstruction({"mel": 1.0}, 0.25, 16000)
    weighted = Reconstruction({"mel": 1.0}, 0.25, 16000, (0.0, 2.0))
    expected = plain.losses(rough[1:], wav[1:], torch.tensor([1]))
    losses = weighted.losses(rough, wav, torch.tensor([0, 1]))
    assert float(losses["complex"]) == pytest.approx(float(expected["complex"]), rel=1e-5)
    assert float(losses["mel"]) == float(plain.losses(rough, wav, torch.tensor([0, 1]))["mel"])


def test_crops_beyond_the_operating_points_pass_unquantized(speech):
    wav = torch.from_numpy(speech[:9600])[None]
    torch.manual_seed(0)
    network = CodecNetwork(CONFIG)
    network.quantizer.codebooks.normal_(std=0.3)
    objective = Reconstruction({"mel": 1.0}, 0.25, 16000)
    network.eval()
    told = [objective(network, CONFIG, wav, torch.tensor([rate])).report["mel"] for rate in (1, 2)]
    with torch.no_grad():
        whole = network.decoder(network.encoder(wav), torch.tensor([1]))[:, CONFIG.delay :]
        mel = objective.losses(whole, wav[:, : -CONFIG.delay], torch.tensor([1]))["mel"]
    assert told[1] == pytest.approx(float(mel), rel=1e-4)
    assert told[0] != pytest.approx(told[1], rel=1e-4)


def test_a_loss_that_is_not_finite_stops_the_run(corpus, tmp_path, monkeypatch):
    out = tmp_path / "out"
    run(corpus, out, stop_at=2)
    before = (out / "state.pt").read_bytes()
    losses = train_codec.Reconstruction.losses

    def broken(self, *given):
        return {k: v * float("nan") for k, v in losses(self, *given).items()}

    monkeypatch.setattr(train_codec.Reconstruction, "losses", broken)
    with pytest.raises(MynahError, match=r"step 2: .*'mel'.* no longer finite"):
        run(corpus, out)
    assert (out / "state.pt").read_bytes() == before


def test_validation_scores_and_keeps_what_was_heard(corpus, uninterrupted, tmp_path):
    halves = [Entry(str(i), "a", f"s{i}", 28960 * i, 28960) for i in range(2)]
    corpus = corpus._replace(entries=halves)
    validation = Validation(corpus, ("a",), clips=2, seconds=1.0, shown=1)
    assert len(validation.wavs) == 2
    tensors = load_file(uninterrupted / "model.safetensors")
    tensors = {k: v.float() for k, v in tensors.items()}
    scores = validation.run(CONFIG, tensors, tmp_path / "s")
    assert {"pesq_0.2", "pesq_0.6", "estoi_0.2", "mel_distance_0.6", "used", "entropy_bits"} <= scores.keys()
    assert len(scores["used"]) == 3
    assert all(
        1 <= used <= 16 and bits <= np.log2(used) + 1e-6
        for used, bits in zip(scores["used"], scores["entropy_bits"])
    )
    assert {p.name for p in (tmp_path / "s").iterdir()} == {"0_0.2.wav", "0_0.6.wav", "0.png"}
    whole = validation.run(CONFIG, tensors, tmp_path / "latents", quantized=False)
    assert whole.keys() == {"pesq_latents", "estoi_latents", "mel_distance_latents"}
    assert whole["mel_distance_latents"] not in scores.values()
    assert soundfile.info(tmp_path / "latents" / "0_latents.wav").frames == 16000
    with pytest.raises(MynahError, match="no recording of c of at least a second"):
        Validation(corpus, ("c",))


def test_codes_of_random_training_lead_nowhere_else(corpus, uninterrupted):
    """The run's folder is a codec."""
    codec = Codec.from_pretrained(uninterrupted)
    wav = torch.from_numpy(corpus.wav(corpus.entries[0]))[None, None]
    assert codec.decode(codec.encode(wav, 16000, 0.2)).shape == wav.shape
