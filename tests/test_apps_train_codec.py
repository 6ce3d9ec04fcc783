"""Training a codec: it learns, its losses count as they should, it is validated, and what is wrong with a
recipe is said in one line."""

import dataclasses
import json
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


@pytest.fixture(autouse=True)
def small(monkeypatch, one_thread):
    monkeypatch.setattr(train_parts, "KMEANS_LATENTS", KMEANS_LATENTS)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory, speech) -> PackedCorpus:
    """Four pieces of the speech-like sound by two speakers of two groups."""
    path = tmp_path_factory.mktemp("corpus") / "train.pcm"
    pieces = np.array_split(speech, 4)
    pack([(f"r{i}", "ab"[i % 2], f"s{i % 2}", lambda w=w: w) for i, w in enumerate(pieces)], path)
    return open_packed(path)


def run(corpus: PackedCorpus, out: Path, options: TrainOptions = OPTIONS, **more) -> dict:
    """Train in this process; the state file's content."""
    train_codec.train(CONFIG, options, corpus, None, out, log=lambda _: None, **more)
    return torch.load(out / "state.pt", weights_only=True)


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
        ({}, ["train.stage=gan"], "stage='gan': reconstruction, decoder, adversarial are known"),
        ({}, ["train.stage=decoder"], "latent_steps=1500: 0 in stage=decoder"),
        ({}, ["train.batch=0"], "batch=0: at least 1"),
        ({}, ["train.crop=0.1"], r"crop=0\.1: at least"),
        ({}, ["train.latent_steps=20000"], "latent_steps=20000: between 0 and steps=10000"),
        ({}, ["train.rate_weights=[1,1]"], r"rate_weights=\(1, 1\): one weight for each"),
        ({}, ["train.rate_weights=[0,0,0]"], "none below 0, one above"),
        ({}, ["train.rate_weights=3"], "a list of numbers"),
        ({}, ["train.rate_weights=[1,1,1,1,1]"], "one weight for each"),
        (
            {"train": {"stage": "adversarial", "latent_steps": 0, "weights": {"mel": 1}}},
            ["train.rate_weights=[1,1,1,1]"],
            "one weight for each",
        ),
        ({}, ["train.latent_noise=[1,1]"], r"latent_noise=\(1, 1\): one for each of rate_weights"),
        ({}, ["train.complex_weights=[1,1]"], r"complex_weights=\(1, 1\): one for each of rate_weights"),
        ({}, ["train.complex_weights=[1,1,-1]"], "complex_weights=.*none below 0"),
        ({}, ['train.weights={"melody":1}'], "some of mel, perceptual, complex"),
        (
            {},
            ['train.weights={"intelligibility":1}', "train.crop=0.4"],
            r"crop=0\.4: at least 0\.5 seconds for",
        ),
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
