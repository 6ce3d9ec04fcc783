"""Training a language model: it learns, is validated, and its recipe has to fit the tokens."""

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("accelerate")

from mynah.apps import train_lm
from mynah.apps.run_folder import write_recipe
from mynah.apps.train_lm_evaluate import LMValidation
from mynah.apps.train_lm_options import INVENTORY, LMTrainOptions, fitted, read_lm_recipe
from mynah.apps.train_lm_parts import Collator
from mynah.data.errors import MynahError
from mynah.data.shards import Label, ShardWriter, TokenCorpus, TokenInfo
from mynah.data.token_crops import Example
from mynah.lm import LanguageModel, LMConfig, Sampling
from mynah.lm.condition import Condition
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


@pytest.fixture(scope="module")
def corpus(tmp_path_factory, write_tokens) -> TokenCorpus:
    return TokenCorpus(write_tokens(tmp_path_factory.mktemp("tokens"), INFO))


def run(corpus: TokenCorpus, out: Path, options: LMTrainOptions = OPTIONS, config=CONFIG, **more) -> dict:
    """Train in this process; the state file's content."""
    train_lm.train(config, options, corpus, more.pop("validation", None), out, log=lambda _: None, **more)
    return torch.load(out / "state.pt", weights_only=True)


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


def test_batches_from_another_process_are_the_same(tmp_path, corpus):
    here = run(corpus, tmp_path / "here")
    beside = run(corpus, tmp_path / "beside", dataclasses.replace(OPTIONS, workers=1))
    for name, tensor in here["network"].items():
        assert torch.equal(tensor, beside["network"][name]), name


def test_batches_know_what_is_known(corpus):
    collate = Collator(CONFIG)
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
    assert batch.prompt_frames.tolist() == [0, 0]
    mute = dataclasses.replace(CONFIG, symbols=(), speaker_dim=0, speakers=())
    assert Collator(mute)([known]).condition == Condition()


def test_prompts_come_before_what_is_learned(corpus):
    collate = Collator(CONFIG)
    label = corpus.labels[1]
    known = Example(corpus.codes(label, 0, 8), True, "s1", corpus.alignments["r1"])
    strange = Example(corpus.codes(label, 0, 5), False, "s9", None)
    batch = collate([known._replace(prompt=strange, foreign=True), strange._replace(prompt=known), known])
    assert batch.n_frames == [13, 13, 8]
    assert batch.prompt_frames.tolist() == [5, 8, 0]
    assert batch.foreign.tolist() == [True, False, False]
    assert batch.codes[0].tolist() == np.concatenate([strange.codes, known.codes], 1).tolist()
    assert batch.condition.phonemes.tolist() == [[0, 1, 3, 2], [1, 3, 2, 0], [1, 3, 2, 0]]
    assert batch.condition.durations.tolist() == [[5, 4, 0, 11], [4, 0, 11, 5], [4, 0, 11, 0]]
    assert batch.condition.prompt.tolist() == [1, 3, 0]
    assert batch.condition.speaker.tolist() == [[1, 0], [0, 0], [1, 0]]


def test_training_after_prompts(tmp_path, monkeypatch):
    """What is learned is what is counted, and a run that was stopped goes on with the same prompts."""
    with ShardWriter(tmp_path / "tokens", INFO) as writer:
        for i in range(8):
            codes = np.random.default_rng(i).integers(INFO.codebook_size, size=(3, 60 + i))
            writer.add(Label(f"r{i}", "own", "train", f"s{i % 2}", None, None, 0, 0, 0), codes)
            line = {"id": f"r{i}", "phonemes": ["a", "b"], "durations": [30, 30 + i]}
            if i != 5:  # its text is not known
                with open(tmp_path / "tokens" / "alignments.jsonl", "a") as f:
                    f.write(json.dumps(line) + "\n")
    corpus = TokenCorpus(tmp_path / "tokens")
    config = dataclasses.replace(CONFIG, max_frames=80)
    options = dataclasses.replace(OPTIONS, steps=4, crop=1.3, batch_frames=200, prompted=0.7, ends_after=1.26)
    seen, items = [], []
    call = train_lm.Objective.__call__

    def watched(self, network, config, batch, generators, share):
        loss = call(self, network, config, batch, generators, share)
        told = batch.condition.phonemes.any(1)
        seen.append(
            (batch.prompt_frames.tolist(), batch.foreign.tolist(), loss.learned.tolist(), share.tolist())
        )
        items.extend(zip(batch.prompt_frames > 0, told, batch.ended, batch.n_frames, strict=True))
        return loss

    monkeypatch.setattr(train_lm.Objective, "__call__", watched)
    whole = run(corpus, tmp_path / "whole", options, config)
    prompts, foreign, learned, shares = zip(*seen, strict=True)
    assert learned == shares
    assert sum(n > 0 for step in prompts for n in step) > 8
    assert {told for step in foreign for told in step} == {True, False}
    assert {bool(told) for prompted, told, *_ in items if prompted} == {True, False}, "joined without text"
    assert not any(prompted and not told and ended for prompted, told, ended, _ in items)
    assert {n >= 63 for *_, ended, n in items if ended} == {True}, "shorter ones need not end"
    run(corpus, tmp_path / "parts", options, config, stop_at=2)
    again = run(corpus, tmp_path / "parts", options, config)
    for name, value in whole["network"].items():
        assert torch.equal(value, again["network"][name]), name


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


def test_validation(tmp_path, tiny, write_tokens):
    """Bits of an untrained model are those of even chances; what it says is kept as sound and picture."""
    info = TokenInfo("tiny", tiny.codes_hash, 50.0, 3, 1024)
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
        ({}, ["train.ends_after=-1"], "ends_after=-1: not below 0"),
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
        ({}, {"crop": 0.9, "prompted": 0.5}, r"prompted=0\.5 needs a crop of 1 seconds"),
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
    for path in ("lm-16k", "lm-voices-16k", "lm-large"):
        config, options = read_lm_recipe(runs / f"{path}.json", [])
        fitted(config, options, TokenInfo("mynah-16k", "", 50.0, 3, 1024))
    for section in ("lm", "train"):
        one, other = (recipe[section] for recipe in found)
        texts = [{k: v for k, v in s.items() if isinstance(v, str) and k != "name"} for s in (one, other)]
        assert texts[0] == texts[1]
    size = sum(p.numel() for p in LMNetwork(read_lm_recipe(runs / "lm-16k.json", [])[0]).parameters())
    assert 5e6 < size < 30e6


@pytest.mark.parametrize("given", ["--codec", None])
def test_the_command(mynah, tmp_path, tiny, tiny_folder, other_codec, write_tokens, given):
    info = TokenInfo("tiny", tiny.codes_hash, 50.0, 3, 1024)
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
