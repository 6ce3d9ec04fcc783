"""Going on by the best of takes: what is heard of each, who wins, and what a user is told."""

import numpy as np
import pytest
import soundfile
import torch

from mynah.apps import continuing
from mynah.apps.continuing_takes import BestTakes, Listener
from mynah.codec.heads import OtherCodecError, SpeakerHead
from mynah.codec.heads.ctc import Scores
from mynah.lm import LanguageModel, Sampling

HOP = 320


class Phones:
    """Hears the phone of a frame in its first sample: tenths, 0 for silence."""

    def scores(self, wav, lengths):
        label = (10 * wav[:, 0, ::HOP]).round().long()
        frames = torch.nn.functional.one_hot(label, 10).float()
        return Scores(frames, frames)


@pytest.fixture
def listener(tiny, speaker_folder, monkeypatch) -> Listener:
    """Decodes code c of the first codebook to a frame of c tenths; hears all voices as alike."""

    def decode(codes):
        return (codes[:, :1, :-1] / 10.0).repeat_interleave(HOP, 2)

    monkeypatch.setattr(tiny, "decode", decode)
    heard = Listener(tiny, Phones(), SpeakerHead.from_pretrained(tiny, speaker_folder), 2)
    monkeypatch.setattr(
        "mynah.apps.continuing_takes.embed_all", lambda head, wavs: np.eye(1)[[0] * len(wavs)]
    )
    return heard


def codes(*first: int) -> torch.Tensor:
    """[3, N], the first codebook's given."""
    return torch.tensor([first, first, first])


def test_phones_of_a_part_are_counted_times_likeness(listener, monkeypatch):
    """Not those before it, nor what the codec's delay holds back; takes that end are shorter, or empty."""
    said = codes(*[1, 2, 3] * 40)
    takes = [codes(1, 1, 2, 2, 3, 3, 3), codes(0, 0, 0, 0, 1, 1, 5), codes(4, 5, 9), said[:, :0]]
    assert listener.scores(np.ones(1), said, takes) == [3.0, 1.0, 2.0, 0.0]
    voices = np.array([[0.5], [1.0], [-0.25], [0.0]])
    monkeypatch.setattr("mynah.apps.continuing_takes.embed_all", lambda head, wavs: voices[: len(wavs)])
    assert listener.scores(np.ones(1), said, takes) == [1.5, 1.0, -0.5, 0.0]


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
    assert model.asked == [(2, 80, 80, [7, 1_000_007]), (82, 40, 20, [7, 1_000_007])]


def test_takes_that_end_early_win_where_most_do(listener):
    """One in three that ends is passed over, though it says more; two in three are not."""
    listener.takes = 3
    end, quiet, loud = ramp(30), codes(*[0] * 79, 1), ramp(80)
    model = Scripted([end, quiet, quiet], [quiet, end, end[:, :9]], [loud] * 3)
    speak = BestTakes(model, listener, codes(1, 2), Sampling(), seed=0)
    assert [part.shape[1] for part in speak(codes(1, 2), 400, 0)] == [80, 30]
    empty = Scripted([ramp(0)] * 3)
    assert list(BestTakes(empty, listener, codes(1, 2), Sampling(), 0)(codes(1, 2), 400, 0)) == []


def test_takes_differ(listener, speaking):
    """Seeds of takes differ in what a generator looks at, for any seed a user may give."""
    for seed in (0, 2**32):
        speak = BestTakes(LanguageModel.from_pretrained(speaking.lm), listener, codes(1, 2), Sampling(), seed)
        first = {torch.rand(1, generator=generator).item() for generator in speak.generators}
        assert len(first) == 2


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
    for takes, target in ((None, "a.wav"), (None, "-"), (1, "a.wav"), (3, "-")):
        continuing.listener(tiny, takes, target)
    assert made == [8, 3]
    monkeypatch.undo()
    assert continuing.listener(tiny, None, "a.wav") is None
    with pytest.raises(OtherCodecError):
        continuing.listener(tiny, 2, "a.wav")


def test_the_command_says_how_it_chose(
    mynah, speaking, tiny, tiny_folder, speaker_folder, speech, tmp_path, monkeypatch
):
    """The same seed and takes give the same bytes, other than the first take's, and the file tells."""
    real = Listener.from_pretrained.__func__

    def tiny_heads(cls, codec, takes):
        return cls(codec, Phones(), SpeakerHead.from_pretrained(codec, speaker_folder), takes)

    monkeypatch.setattr(Listener, "from_pretrained", classmethod(tiny_heads))
    soundfile.write(tmp_path / "talk.wav", speech[:32000], 16000)
    said = {}
    for name, takes in (("a", 3), ("b", 3), ("c", None), ("d", 1)):
        continuing.speak_on(
            str(tmp_path / "talk.wav"),
            str(tmp_path / f"{name}.wav"),
            str(speaking.lm),
            str(tiny_folder),
            seconds=1.0,
            at_least=1.0,
            temperature=1.0,
            seed=5,
            takes=takes,
            force=False,
            advance=lambda seconds: None,
        )
        said[name] = soundfile.read(tmp_path / f"{name}.wav")[0].tobytes()
        with soundfile.SoundFile(tmp_path / f"{name}.wav") as file:
            assert ("best of" in file.comment) == (takes != 1)
            assert takes != 3 or "seed 5, best of 3 takes" in file.comment
    assert said["a"] == said["b"] and said["a"] != said["d"] and len(said["a"]) == len(said["d"])
    monkeypatch.setattr(Listener, "from_pretrained", classmethod(real))
    out = tmp_path / "e.wav"
    models = ["--model", speaking.lm, "--codec", tiny_folder]
    refused = mynah("continue", tmp_path / "talk.wav", out, "--takes", 2, *models)
    assert refused.returncode == 2 and "phones-16k reads features of" in refused.stderr and not out.exists()
