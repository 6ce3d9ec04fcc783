"""Going on by the best of takes: what is heard of each, who wins, and what a user is told."""

import dataclasses
import os

import numpy as np
import pytest
import soundfile
import torch

from mynah.apps import continuing
from mynah.apps.continuing_takes import BestTakes, Listener
from mynah.codec.heads import OtherCodecError
from mynah.codec.heads.ctc import Scores
from mynah.data.errors import MynahError
from mynah.lm import LanguageModel, Sampling, checkpoint
from mynah.lm.network import LMNetwork

HOP = 320


class Phones:
    """Hears the phone of a frame in its first sample: tenths, 0 for silence."""

    def scores(self, wav, lengths):
        label = (10 * wav[:, 0, ::HOP]).round().long()
        frames = torch.nn.functional.one_hot(label, 10).float()
        return Scores(frames, frames)


@pytest.fixture
def voices() -> dict[int, float]:
    """How much like the prompt's voice a sound is that holds so many frames of speech; 1 where not named."""
    return {}


@pytest.fixture
def listener(tiny, voices, monkeypatch) -> Listener:
    """Decodes code c of the first codebook to a frame of c tenths."""

    def embed(head, wavs):
        likeness = [voices.get(int((wav[::HOP] > 0).sum()), 1.0) for wav in wavs]
        return np.array([[one, 1.0] for one in likeness], np.float32)

    def decode(codes):
        return (codes[:, :1, :-1] / 10.0).repeat_interleave(HOP, 2)

    monkeypatch.setattr(tiny, "decode", decode)
    monkeypatch.setattr("mynah.apps.continuing_takes.embed_all", embed)
    return Listener(tiny, Phones(), None, 2)


VOICE = np.array([1.0, 0.0])  # of a prompt


def codes(*first: int) -> torch.Tensor:
    """[3, N], the first codebook's given."""
    return torch.tensor([first, first, first])


def test_phones_of_a_part_are_counted_times_likeness(listener, voices):
    """Not those before it, nor what the codec's delay holds back; takes that end are shorter, or empty."""
    said = codes(*[1, 2, 3] * 40)
    takes = [codes(1, 1, 2, 2, 3, 3, 3), codes(0, 0, 0, 0, 1, 1, 5), codes(4, 5, 9), said[:, :0]]
    assert listener.scores(VOICE, said, takes) == [3.0, 1.0, 2.0, 0.0]
    voices |= {50 + 6: 0.5, 50 + 2: -0.25}  # of the first; of the second and third
    found = listener.scores(VOICE, said, takes)
    assert found == pytest.approx([1.5, 0.01, 0.02, 0.0])  # what is unlike anybody is better than silence


class Scripted:
    """A model whose takes of each part are given, and that notes what it was asked."""

    class config:
        frame_rate = 50

    def __init__(self, *parts):
        self.parts, self.asked = list(parts), []

    def hear(self, prompt):
        return prompt.codes

    def continue_codes(self, heard, seconds, *, generators, least_seconds, sampling):
        first = [generator.initial_seed() for generator in generators]
        self.asked.append((heard.shape[1], round(50 * seconds), round(50 * least_seconds), first))
        return type("Generation", (), {"codes": lambda _: self.parts.pop(0)})()


def ramp(n: int) -> torch.Tensor:
    """As many phones as there can be in n frames."""
    return codes(*[1 + i % 2 for i in range(n)])


def test_the_take_with_the_most_speech_goes_on(listener):
    quiet, loud = codes(*[0] * 80), ramp(80)
    model = Scripted([quiet, loud], [loud[:, :40], quiet[:, :40]])
    speak = BestTakes(model, listener, codes(1, 2), Sampling(), seed=7)
    parts = list(speak(codes(1, 2), 120, 100))
    assert torch.equal(torch.cat(parts, 1), torch.cat([loud, loud[:, :40]], 1))
    assert [asked[:3] for asked in model.asked] == [(2, 80, 80), (82, 40, 20)]
    assert model.asked[0][3] == model.asked[1][3]  # a take's generator goes on


def test_the_voice_is_the_prompts(listener, voices, monkeypatch):
    """All parts are compared with the voice of the prompt, not with that of the part before."""
    voices |= {1: 0.25, 80: 0.5}  # what is heard in the prompt's one frame, and in a part
    heard, scores = [], listener.scores

    def noted(voice, said, takes):
        heard.append(voice.tolist())
        return scores(voice, said, takes)

    monkeypatch.setattr(listener, "scores", noted)
    speak = BestTakes(Scripted(*[[ramp(80)] * 2] * 3), listener, codes(1, 2), Sampling(), 0)
    assert len(list(speak(codes(1, 2), 240, 240))) == 3
    assert heard == [[0.25, 1.0]] * 3


def test_takes_that_end_early_compete_where_most_do(listener):
    """One in three that ends is passed over, though it says more; two in three are not."""
    listener.takes = 3
    end, quiet, loud = ramp(30), codes(*[0] * 79, 1), ramp(80)
    model = Scripted([end, quiet, quiet], [end, end, loud], [quiet, end, end[:, :9]], [loud] * 3)
    speak = BestTakes(model, listener, codes(1, 2), Sampling(), seed=0)
    assert [part.shape[1] for part in speak(codes(1, 2), 400, 0)] == [80, 80, 30]
    empty = Scripted([ramp(0)] * 3)
    assert list(BestTakes(empty, listener, codes(1, 2), Sampling(), 0)(codes(1, 2), 400, 0)) == []


def test_takes_and_seeds_differ(listener):
    """No take of a seed is one of another's, as far apart as they may lie."""
    first = [
        torch.rand(1, generator=generator).item()
        for seed in (0, 1, 1_000_000, 2**31, 2**32 - 1)
        for generator in BestTakes(Scripted(), listener, codes(1, 2), Sampling(), seed).generators
    ]
    assert len(set(first)) == len(first) == 10


def test_beyond_what_the_model_speaks_at_once(tmp_path, tiny, tiny_listeners, speaking):
    """Parts go on through the pieces that a model of 2.4 s needs, to the length that was asked for."""
    network = LMNetwork(dataclasses.replace(checkpoint.load(speaking.lm).config, max_frames=120))
    model = LanguageModel(network)
    prompt = torch.randint(1024, (3, 90), generator=torch.Generator().manual_seed(0))
    ear = Listener.from_pretrained(tiny, 3)
    parts = list(continuing.continued(model, prompt, 200, 190, Sampling(), 0, ear))
    assert [part.shape[2] for part in parts][:3] == [60, 60, 60]  # after the last 60 frames each
    assert 190 <= sum(part.shape[2] for part in parts) <= 200


@pytest.mark.parametrize("takes", [1, 33])
def test_a_choice_needs_takes(tiny, takes):
    with pytest.raises(ValueError, match=f"takes={takes}: 2 to 32"):
        Listener(tiny, None, None, takes)


def test_who_listens(tiny, monkeypatch, tmp_path):
    """Eight takes into a file where heads fit, one into a pipe; unfit heads matter where asked for."""
    made = []
    monkeypatch.setattr(
        Listener, "from_pretrained", classmethod(lambda cls, codec, takes: made.append(takes))
    )
    os.mkfifo(tmp_path / "pipe")
    cases = ((None, "a.wav"), (None, "-"), (None, str(tmp_path / "pipe")), (1, "a.wav"), (3, "-"))
    for takes, target in cases:
        continuing.listener_for(tiny, takes, 1.0, target)
    assert continuing.listener_for(tiny, None, 0.0, "a.wav") is None
    assert made == [8, 3]
    with pytest.raises(MynahError, match="--takes 2: at --temperature 0 all takes are the same"):
        continuing.listener_for(tiny, 2, 0.0, "a.wav")
    monkeypatch.undo()
    assert continuing.listener_for(tiny, None, 1.0, "a.wav") is None
    with pytest.raises(OtherCodecError):
        continuing.listener_for(tiny, 2, 1.0, "a.wav")


def test_the_command_says_how_it_chose(mynah, tiny_listeners, speaking, tiny_folder, speech, tmp_path):
    """The same seed and takes give the same bytes, other than the first take's, and the file tells."""
    soundfile.write(tmp_path / "talk.wav", speech[:32000], 16000)
    models = ["--model", speaking.lm, "--codec", tiny_folder, "--seconds", 2, "--least", 2, "--seed", 5]
    said = {}
    for name, takes in (("a", ("--takes", 3)), ("b", ("--takes", 3)), ("c", ()), ("d", ("--takes", 1))):
        done = mynah("continue", tmp_path / "talk.wav", tmp_path / f"{name}.wav", *models, *takes)
        assert done.returncode == 0, done.stderr
        said[name] = soundfile.read(tmp_path / f"{name}.wav")[0].tobytes()
        with soundfile.SoundFile(tmp_path / f"{name}.wav") as file:
            chosen = {"c": ", best of 8 takes", "d": ""}.get(name, ", best of 3 takes")
            assert file.comment.endswith(f"seed 5{chosen})")
    assert said["a"] == said["b"] and said["a"] != said["d"] and len(said["a"]) == len(said["d"])


def test_heads_of_another_codec(mynah, speaking, tiny_folder, speech, tmp_path):
    soundfile.write(tmp_path / "talk.wav", speech[:32000], 16000)
    models = ["--model", speaking.lm, "--codec", tiny_folder]
    out = tmp_path / "out.wav"
    refused = mynah("continue", tmp_path / "talk.wav", out, "--takes", 2, *models)
    assert refused.returncode == 2 and "phones-16k reads features of" in refused.stderr
    assert not out.exists()
