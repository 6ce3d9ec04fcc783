"""`mynah train codec`: from a folder of speech to a run, its cache, and Ctrl-C."""

import dataclasses
import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("accelerate")

from mynah.apps import train_data, train_parts
from mynah.apps.recordings import with_validation
from mynah.apps.run_folder import Interrupt
from mynah.codec import Codec
from mynah.data import audio
from mynah.data.errors import AudioError, MynahError
from mynah.data.manifest import read_manifest

pytestmark = pytest.mark.usefixtures("first_curves")

RECIPE = {
    "codec": {
        "name": "tiny",
        "latent_dim": 8,
        "n_codebooks": 2,
        "codebook_size": 16,
        "bitrates": [0.2, 0.4],
        "encoder_dim": 8,
        "encoder_layers": 1,
        "decoder_dim": 8,
        "decoder_layers": 1,
        "fine_dim": 8,
        "fine_layers": 1,
    },
    "train": {
        "steps": 4,
        "latent_steps": 2,
        "batch": 2,
        "crop": 0.2,
        "rate_weights": [1, 1],
        "latent_noise": [0.7, 0.3],
        "corpus_weights": {"librispeech": 4.0},
        "bf16": False,
        "evaluate_every": 2,
    },
}


@pytest.fixture(autouse=True)
def small(monkeypatch, tmp_path):
    monkeypatch.setenv("MYNAH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(train_parts, "KMEANS_LATENTS", 64)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def recipe(tmp_path) -> Path:
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps(RECIPE))
    return path


@pytest.fixture
def data(tmp_path, speech) -> Path:
    """A tree of five speakers with one file each, at 44.1 kHz in stereo."""
    folder = tmp_path / "speech"
    wav = audio.resample(speech[None, : 2 * 16000], 16000, 44100)
    for i in range(5):
        (folder / f"speaker{i}").mkdir(parents=True)
        audio.save(folder / f"speaker{i}" / "a.wav", np.concatenate([wav, 0.5 * wav]), 44100)
    return folder


def add_recording(folder: Path, corpus: str, split: str, wav: np.ndarray) -> None:
    """One more recording of a corpus with a manifest."""
    (folder / corpus).mkdir(parents=True, exist_ok=True)
    name, seconds = f"{corpus}/{split}", len(wav) / 16000
    audio.save(folder / f"{name}.wav", wav[None], 16000)
    with open(folder / corpus / "manifest.jsonl", "a") as f:
        f.write(json.dumps({"id": name, "audio": f"{name}.wav", "split": split, "seconds": seconds}) + "\n")


def test_trains_from_a_folder_and_fills_the_runs_folder(mynah, recipe, data, tmp_path):
    out = tmp_path / "out"
    (data / "speaker3" / "broken.wav").write_bytes(b"RIFF and no more")
    result = mynah("train", "codec", recipe, "--data", data, "--out", out, "--set", "train.steps=6")
    assert result.returncode == 0, result.stderr
    assert "librispeech" in result.stdout  # its weight is ignored, and said so
    assert "left out as not readable: 1, listed in" in result.stdout
    (unreadable,) = (tmp_path / "cache").glob("*/unreadable.txt")
    assert "broken.wav" in unreadable.read_text()
    lines = [json.loads(line) for line in (out / "progress.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 4, 6]
    assert {"pesq_0.2", "estoi_0.4", "mel", "used"} <= lines[-1].keys()
    names = {p.name for p in out.iterdir()}
    assert {"recipe.json", "progress.png", "samples", "state.pt", "config.json", "model.safetensors"} <= names
    assert json.loads((out / "recipe.json").read_text())["train"]["steps"] == 6
    assert Codec.from_pretrained(out).config.name == "tiny"


def test_packs_as_16_khz_mono_with_validation_speakers(data):
    told = []
    corpora = train_data.packed(data, [], told.append)
    assert {e.group for c in corpora for e in c.entries} == {"all"}
    assert {e.length for c in corpora for e in c.entries} == {32000}
    speakers = [{e.speaker for e in c.entries} for c in corpora]
    assert not speakers[0] & speakers[1]
    assert min(map(len, speakers)) == 1
    entry = corpora.train.entries[0]
    expected = audio.load(data / entry.speaker / "a.wav", 16000).wav.mean(0)
    assert np.abs(corpora.train.wav(entry) - expected).max() < 1e-4


def test_a_corpus_is_packed_once_and_again_when_it_changes(data, monkeypatch):
    first = train_data.packed(data, [], train_data._nothing)

    def never(*_: object) -> None:
        raise AssertionError("decoded again")

    with monkeypatch.context() as patch:
        patch.setattr(train_data, "_read", never)
        assert train_data.packed(data, [], train_data._nothing).train.entries == first.train.entries
    changed = data / first.train.entries[0].speaker / "a.wav"
    audio.save(changed, np.zeros((1, 1000), np.float32), 16000, force=True)
    again = train_data.packed(data, [], train_data._nothing)
    assert again.train.entries[0].length == 1000


def test_groups_are_the_folders_of_manifests_and_can_be_left_out(tmp_path, speech):
    folder, told = tmp_path / "corpora", []
    for corpus, split in (
        ("librispeech", "train"),
        ("librispeech", "val"),
        ("noise", "train"),
        ("own", "train"),
    ):
        add_recording(folder, corpus, split, speech[:16000])
    corpora = train_data.packed(folder, ["noise", "music"], told.append)
    assert [{e.group for e in c.entries} for c in corpora] == [{"librispeech", "own"}, {"librispeech"}]
    assert told[0] == f"--exclude: no music in {folder}"


def test_speakers_are_held_out_only_where_there_is_no_val(data):
    recordings = read_manifest(data)
    assert with_validation(recordings) == recordings
    train = [dataclasses.replace(r, split="train") for r in recordings]
    assert {r.split for r in with_validation(train)} == {"train", "val"}


def test_ctrl_c_saves_and_the_same_command_goes_on(recipe, data, tmp_path, monkeypatch):
    out, told = tmp_path / "out", []
    real = train_parts.collate

    def press(crops: list) -> tuple:
        os.kill(os.getpid(), signal.SIGINT)
        return real(crops)

    with monkeypatch.context() as patch:
        patch.setattr("mynah.apps.train_codec.collate", press)
        assert not train_data.train_codec(recipe, data, out, log=told.append)
    assert told[-1] == f"stopped at step 1 of 4, saved in {out}: the same command goes on from there"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert train_data.train_codec(recipe, data, out, log=told.append)
    assert "resumed at step 1" in told


def test_a_second_ctrl_c_stops_at_once():
    with pytest.raises(KeyboardInterrupt), Interrupt() as interrupt:
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupt.seen
        os.kill(os.getpid(), signal.SIGINT)


def test_exit_code_of_an_interrupted_run(mynah, recipe, data, monkeypatch):
    monkeypatch.setattr(train_data, "train_codec", lambda *_: False)
    assert mynah("train", "codec", recipe, "--data", data).returncode == 130


def test_errors_are_one_line_and_exit_with_2(mynah, recipe, data, tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    for arguments, named in (
        ([tmp_path / "none.json", "--data", data], "none.json: not a readable recipe"),
        ([recipe, "--data", tmp_path / "nowhere"], "nowhere: no such folder"),
        ([recipe, "--data", tmp_path / "empty"], "empty: no recordings"),
        ([recipe, "--data", data, "--set", "train.step=1"], "unknown options step"),
        (
            [recipe, "--data", data, "--set", "codec.sample_rate=24000", "--set", "codec.bitrates=[0.3,0.6]"],
            "codec.sample_rate=24000: training works at 16000 Hz",
        ),
        ([recipe, "--data", data, "--exclude", "all"], "no recordings to train on"),
    ):
        result = mynah("train", "codec", *arguments)
        assert result.returncode == 2
        assert named in result.stderr
        assert len(result.stderr.strip().splitlines()) == 1
    monkeypatch.setattr(train_data.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    with pytest.raises(MynahError, match="MiB are free; set MYNAH_CACHE"):
        train_data.packed(data, [], train_data._nothing)


def test_nothing_readable(tmp_path, data):
    for path in data.rglob("*.wav"):
        path.write_bytes(b"no sound")
    with pytest.raises(MynahError, match=r"none of the .* recordings could be read"):
        train_data.packed(data, [], train_data._nothing)
    with pytest.raises(AudioError):
        read_manifest(data)
