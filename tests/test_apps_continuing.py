"""`mynah continue`: the prompt and what follows, streamed, in pieces where it is long; bad input."""

import dataclasses
import os

import numpy as np
import pytest
import soundfile
import torch

from mynah.apps import continuing
from mynah.data import audio
from mynah.lm import LanguageModel, LMConfig, Sampling, checkpoint
from mynah.lm.network import LMNetwork

CONFIG = LMConfig(
    name="tiny-lm",
    codec="tiny",
    n_codebooks=3,
    max_frames=120,
    dim=32,
    layers=1,
    head_dim=16,
    embedding_dim=8,
)


def make_model(folder, **change) -> LMNetwork:
    torch.manual_seed(0)
    network = LMNetwork(dataclasses.replace(CONFIG, **change))
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    checkpoint.save(folder, network.config, network.state_dict())
    return network


@pytest.fixture(scope="module")
def model(tmp_path_factory, tiny):
    folder = tmp_path_factory.mktemp("lm")
    make_model(folder, codec_hash=tiny.weights_hash)
    return folder


@pytest.fixture
def tree(tmp_path, speech):
    """A folder with talk.wav, two seconds in stereo at 22.05 kHz, and a bystander."""
    (tmp_path / "bystander.wav").write_bytes(b"mine")
    wav = audio.resample(np.stack([speech[:32000], speech[:32000]]), 16000, 22050)
    audio.save(tmp_path / "talk.wav", wav, 22050)
    return tmp_path


@pytest.fixture
def go_on(mynah, tree, model, tiny_folder):
    def run(name="talk.wav", *options, target="out.wav"):
        out = [tree / target] if target else []
        models = ["--model", model, "--codec", tiny_folder]
        return mynah("continue", tree / name, *out, *models, "--seconds", 1, *options)

    return run


def test_it_begins_with_the_prompt_and_goes_on(go_on, tree, tiny):
    result = go_on("talk.wav", "--least", 1)
    assert result.returncode == 0, result.stderr
    assert "1.00 s added" in result.stderr
    said, rate = soundfile.read(tree / "out.wav", dtype="float32")
    assert (rate, len(said)) == (
        16000,
        (60 + 50 - 1) * 320,
    )  # of the prompt's 100 frames the last 60 are kept
    prompt = continuing.read_prompt(str(tree / "talk.wav"), tiny, 3, 60)
    assert prompt.shape == (3, 60)
    expected = tiny.decode(prompt[None])[0, 0].numpy()
    assert np.abs(said[: len(expected) - 320] - expected[:-320]).max() < 1e-3


def test_the_same_seed_says_the_same(go_on, tree):
    said = {}
    for name, options in (
        ("a.wav", ("--seed", 3)),
        ("b.wav", ("--seed", 3)),
        ("c.wav", ("--seed", 4)),
        ("d.wav", ("--seed", 3, "--temperature", 0)),
        ("e.wav", ("--seed", 4, "--temperature", 0)),
    ):
        assert go_on("talk.wav", "--least", 1, *options, target=name).returncode == 0
        said[name[0]] = (tree / name).read_bytes()
    assert said["a"] == said["b"]
    assert said["d"] == said["e"]
    assert len({said["a"], said["c"], said["d"]}) == 3


def test_by_default_it_lies_beside_the_prompt(go_on, tree):
    assert go_on(target=None).returncode == 0
    assert audio.probe(tree / "talk-continued.wav").sample_rate == 16000
    assert "exists already" in go_on(target=None).stderr
    assert go_on("talk.wav", "--force", target=None).returncode == 0


def test_what_is_longer_than_the_model_speaks_comes_in_pieces(model):
    """Each from the last half of what was said, with one generator; no more than asked for."""
    speaker = LanguageModel.from_pretrained(model)
    prompt = torch.randint(1024, (3, 30), generator=torch.Generator().manual_seed(0))
    pieces = list(continuing.continued(speaker, prompt, 200, 200, Sampling(), seed=1))
    codes = torch.from_numpy(np.concatenate(pieces, 2))[0]
    assert codes.shape == (3, 200)
    generator = torch.Generator().manual_seed(1)
    said = prompt
    for n in (90, 60, 50):
        options = {"generators": [generator], "least_seconds": n / 50}
        (new,) = speaker.continue_codes([said[:, -60:]], n / 50, **options).codes()
        said = torch.cat([said, new], 1)
    assert torch.equal(said[:, 30:], codes)


def test_it_stops_where_the_model_ends_the_speech(tmp_path, tiny):
    """A model that always wants to end does so at the first frame at which it may."""
    network = make_model(tmp_path, codec_hash=tiny.weights_hash)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(0)
    speaker = LanguageModel(network)
    prompt = torch.zeros(3, 30, dtype=torch.int64)
    step = LMNetwork.step

    def ending(self, *given):
        logits = step(self, *given)
        logits[:, :, 0, 1024] = 50
        return logits

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LMNetwork, "step", ending)
        pieces = list(continuing.continued(speaker, prompt, 200, 100, Sampling(), seed=1))
    assert sum(piece.shape[2] for piece in pieces) == 100


def test_sound_leaves_while_it_is_made(tree, model, tiny_folder, monkeypatch):
    """The first block is written before the last frame exists."""
    events = []
    real = continuing.continued

    def noted(*given):
        for codes in real(*given):
            events.append("made")
            yield codes

    monkeypatch.setattr(continuing, "continued", noted)
    continuing.speak_on(
        str(tree / "talk.wav"),
        str(tree / "out.wav"),
        str(model),
        str(tiny_folder),
        1.0,
        1.0,
        1.0,
        0,
        False,
        lambda seconds: events.append("written"),
    )
    assert "written" in events[: events.index("made") + 1]
    made = [i for i, event in enumerate(events) if event == "made"]
    assert "written" in events[made[10] : made[30]]


def check_refused(result, tree, *words):
    assert result.returncode == 2, result.stderr
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("mynah: ")
    for word in words:
        assert word in line
    assert (tree / "bystander.wav").read_bytes() == b"mine"
    names = os.listdir(tree)
    assert "out.wav" not in names
    assert not [name for name in names if name.endswith(".part")]


@pytest.mark.parametrize(
    ("wav", "words"),
    [
        (0.3 * np.ones(15999), "0.99 s long, at least 1 s are needed to go on from"),
        (np.zeros(20000), "silent, there is no voice"),
        (1e-4 * np.sin(np.arange(20000)), "silent, there is no voice"),
        (np.r_[np.sin(np.arange(20000)), np.nan], "sample 20000 of channel 0 is nan"),
        (np.zeros(0), "holds no samples"),
    ],
)
def test_a_prompt_that_is_none(go_on, tree, wav, words):
    soundfile.write(tree / "a.wav", wav, 16000, subtype="FLOAT")
    check_refused(go_on("a.wav"), tree, "a.wav", words)


def test_bad_input(go_on, mynah, tree, model, other_codec, tmp_path_factory):
    (tree / "text.wav").write_text("This is no sound. " * 99)
    foreign = tmp_path_factory.mktemp("foreign")
    make_model(foreign, codec_hash="ab" * 32)
    odd = tmp_path_factory.mktemp("odd")
    make_model(odd, n_codebooks=4)
    for arguments, target, words in (
        (("none.wav",), "out.wav", "none.wav: "),
        (("text.wav",), "out.wav", "not a sound file"),
        (("talk.wav",), "bystander.wav", "exists already, --force replaces it"),
        (("talk.wav",), "nowhere/out.wav", "there is no folder"),
        (("talk.wav",), "out.xyz", "the name has to end in"),
        (("talk.wav",), "talk.wav", "is the input as well"),
        (("talk.wav", "--seconds", 0), "out.wav", "--seconds 0: a time"),
        (("talk.wav", "--seconds", "nan"), "out.wav", "--seconds nan: a time"),
        (("talk.wav", "--least", -1), "out.wav", "--least -1: a time"),
        (("talk.wav", "--temperature", -1), "out.wav", "--temperature -1: a number"),
        (("talk.wav", "--model", "nobody"), "out.wav", "'nobody' is neither a shipped language model"),
        (("talk.wav", "--codec", "nobody"), "out.wav", "'nobody' is neither a shipped codec"),
        (("talk.wav", "--codec", other_codec), "out.wav", "speaks codes of tiny"),
        (("talk.wav", "--model", foreign), "out.wav", "speaks codes of tiny abababab"),
        (("talk.wav", "--model", odd), "out.wav", "speaks 4 codes a frame"),
    ):
        check_refused(go_on(*arguments, target=target), tree, words)


def test_without_weights_it_says_so(mynah, tree):
    check_refused(
        mynah("continue", tree / "talk.wav", tree / "out.wav"), tree, "'mynah-lm' is neither a shipped"
    )
