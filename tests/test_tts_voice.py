"""Voices: files that come back, damaged and hostile files, where they lie, and making one of a clip."""

import dataclasses
import json
import random
import struct

import pytest
import torch
from safetensors.torch import save

from mynah.data.errors import MynahError
from mynah.data.text import phonemize
from mynah.lm import LanguageModel
from mynah.tts import Voice, VoiceError, clone, voice_store
from mynah.tts.voice import MAX_BYTES


def make(**changes) -> Voice:
    codes = torch.arange(60).view(3, 20) * 17
    values = {"name": "ann", "codec": "tiny", "codec_hash": "ab" * 32, "codes": codes} | changes
    return Voice(**values)


FULL = {
    "phonemes": ("~", "ˈæ", "."),
    "durations": (3, 10, 7),
    "speaker": "ann",
    "lm": "some-lm",
    "rights": "CC0, Anné",
    "speaker_vector": torch.tensor([0.5, -1.0]),
}


def same(a: Voice, b: Voice) -> bool:
    def plain(voice):
        values = {f.name: getattr(voice, f.name) for f in dataclasses.fields(voice)}
        return {k: v.tolist() if isinstance(v, torch.Tensor) else v for k, v in values.items()}

    return plain(a) == plain(b)


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """The folders of shipped and of the user's voices, empty."""
    monkeypatch.setattr(voice_store, "SHIPPED", tmp_path / "shipped")
    monkeypatch.setenv("MYNAH_VOICES", str(tmp_path / "mine"))
    (tmp_path / "shipped").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    "voice",
    [
        make(),
        make(**FULL),
        make(codes=torch.zeros(6, 0, dtype=torch.int64), lm="x", speaker_vector=torch.ones(4)),
    ],
)
def test_a_voice_comes_back(voice, tmp_path):
    voice.save(tmp_path / "a.safetensors")
    loaded = Voice.load(tmp_path / "a.safetensors")
    assert same(loaded, voice)
    assert loaded.codes.dtype == torch.int64
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]


def test_its_prompt():
    voice = make(**FULL)
    prompt = voice.prompt(2)
    assert prompt.codes.shape == (2, 20)
    assert (prompt.phonemes, prompt.durations) == (voice.phonemes, voice.durations)
    assert make(codes=torch.zeros(6, 0, dtype=torch.int64)).prompt(3) is None


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"name": "Ann"}, "name='Ann'"),
        ({"name": "../ann"}, "name="),
        ({"name": "a" * 41}, "name="),
        ({"rights": "x" * 10_001}, "rights"),
        ({"codec": 3}, "codec"),
        ({"codes": torch.zeros(3, 20)}, "codes are torch.float32"),
        ({"codes": torch.zeros(3, dtype=torch.int64)}, r"shape \(3,\)"),
        ({"codes": torch.zeros(0, 4, dtype=torch.int64)}, r"shape \(0, 4\)"),
        ({"codes": torch.zeros(1, 3001, dtype=torch.int64)}, "3001 frames"),
        ({"codes": torch.full((3, 20), -1)}, r"-1\.\.-1"),
        ({"phonemes": ("a",)}, "1 phonemes and 0 durations"),
        ({"phonemes": ("a", "b"), "durations": (20, -1)}, "whole numbers"),
        ({"phonemes": ("a", "b"), "durations": (10, 9)}, "add up to 19 frames, the codes have 20"),
        ({"phonemes": ("",), "durations": (20,)}, "short texts"),
        ({"speaker_vector": torch.tensor([float("nan")])}, "NaN"),
        ({"speaker_vector": torch.ones(2, 2)}, r"shape \(2, 2\)"),
    ],
)
def test_what_is_no_voice(changes, named):
    with pytest.raises(VoiceError, match=named):
        make(**changes)


def refused(path, data: bytes) -> str:
    path.write_bytes(data)
    with pytest.raises(VoiceError) as error:
        Voice.load(path)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)
    return str(error.value)


def test_no_damage_is_more_than_a_line(tmp_path):
    """Cut anywhere, or with bytes changed, a file is refused or still a voice."""
    path = tmp_path / "a.safetensors"
    make(**FULL).save(path)
    good = path.read_bytes()
    for length in range(0, len(good), 7):
        refused(path, good[:length])
    refused(path, good + b"\0")
    rng = random.Random(0)
    n_loaded = 0
    for _ in range(200):
        data = bytearray(good)
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        path.write_bytes(data)
        try:
            voice = Voice.load(path)
        except VoiceError as error:
            assert "\n" not in str(error)
        else:
            n_loaded += 1
            assert isinstance(voice, Voice)
    assert n_loaded < 150


def header(text: str, size: int | None = None) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data) if size is None else size) + data


CODES = {"codes": torch.zeros(2, 3, dtype=torch.int16)}


def described(tensors=CODES, **changes) -> bytes:
    """A file with some tensors, whose metadata are changed."""
    about = dict.fromkeys(("name", "codec", "codec_hash", "lm", "speaker", "rights"), "a") | {"phonemes": []}
    metadata = {"format": "mynah-voice", "version": "1", "voice": json.dumps(about)} | changes
    return save(tensors, metadata)


def test_described_is_a_voice(tmp_path):
    (tmp_path / "a.safetensors").write_bytes(described())
    assert Voice.load(tmp_path / "a.safetensors").name == "a"


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (b"", "not a voice"),
        (b"RIFF" * 100, "not a voice"),
        (header("{}", size=2**63), "not a voice"),
        (header("{" * 1000), "not a voice"),
        (
            header('{"codes":{"dtype":"I16","shape":[1099511627776,64],"data_offsets":[0,140737488355328]}}'),
            "not",
        ),
        (header('{"codes":{"dtype":"I16","shape":[2,3],"data_offsets":[0,12]}}') + bytes(12), "not a voice"),
        (save(CODES, {"format": "pt"}), "not a voice"),
        (described(version="2"), "a voice of version 2, this program reads 1"),
        (described(voice="[" * 100_000), "not a voice, or damaged"),
        (described(voice="[]"), "its description"),
        (described(voice='{"name": "a"}'), "its description"),
        (bytes(MAX_BYTES + 1), "larger than"),
    ],
)
def test_hostile_and_foreign_files(tmp_path, data, named):
    assert named in refused(tmp_path / "a.safetensors", data)


@pytest.mark.parametrize(
    "tensors",
    [
        {"x": torch.zeros(3)},
        {"codes": torch.zeros(2, 3, dtype=torch.int64)},
        CODES | {"y": torch.zeros(1)},
        CODES | {"durations": torch.zeros(1, 1, dtype=torch.int32)},
        {"codes": torch.full((2, 3), -5, dtype=torch.int16)},
    ],
)
def test_tensors_that_do_not_belong(tmp_path, tensors):
    refused(tmp_path / "a.safetensors", described(tensors))


def test_models_it_was_not_made_for(speaking, tiny):
    lm, voice = LanguageModel.from_pretrained(speaking.lm), Voice.load(speaking.voice)
    voice.check(tiny, lm)
    for changes, named in (
        ({"codec_hash": "cd" * 32}, "made with codec tiny cdcdcdcd"),
        ({"codes": voice.codes[:2]}, "has 2 codebooks, tiny-lm needs 3"),
        ({"codes": voice.codes + 1024}, "codes above 1023"),
        ({"phonemes": ("h", "@", ".")}, "says '@'"),
        ({"lm": "other", "speaker_vector": torch.ones(4)}, "one of other with 4 dimensions"),
    ):
        with pytest.raises(VoiceError, match=named):
            dataclasses.replace(voice, **changes).check(tiny, lm)


def test_a_name_of_another_training(speaking, tiny):
    """A model of the same name that was trained on other voices has other directions for them."""
    network = LanguageModel.from_pretrained(speaking.lm).network
    network.config = dataclasses.replace(network.config, speaker_dim=4, speakers=("eve", "ann"))
    lm, (eve, ann, *_) = LanguageModel(network), torch.eye(network.config.speaker_dim)
    voice = make(codec_hash=tiny.codes_hash, codes=torch.zeros(3, 0, dtype=torch.int64), lm=lm.config.name)
    dataclasses.replace(voice, speaker="ann", speaker_vector=ann).check(tiny, lm)
    dataclasses.replace(voice, speaker="", speaker_vector=eve).check(tiny, lm)  # a mixture, or one of its own
    for speaker, vector in (("ann", eve), ("zoe", ann)):
        with pytest.raises(VoiceError, match="none of this tiny-lm's: eve, ann"):
            dataclasses.replace(voice, speaker=speaker, speaker_vector=vector).check(tiny, lm)


def test_the_store(folders):
    with pytest.raises(VoiceError, match="there is no voice yet"):
        voice_store.default_name()
    with pytest.raises(VoiceError, match="'eve' is no voice; there are: none yet"):
        voice_store.find("eve")
    make(name="zoe").save(folders / "shipped" / "zoe.safetensors")
    (folders / "shipped" / "zoe.md").write_text("# Zoe\n")
    path = voice_store.add(make(), force=False)
    assert path == folders / "mine" / "ann.safetensors"
    assert (voice_store.shipped_names(), voice_store.user_names()) == (["zoe"], ["ann"])
    assert voice_store.default_name() == "zoe"
    assert same(voice_store.find("ann"), make())
    assert same(voice_store.find(str(path)), make())
    assert voice_store.card("zoe") == "# Zoe\n"
    assert voice_store.card("ann") is None
    for name, named in (
        ("ann", "--force replaces it"),
        ("zoe", "name of a shipped voice"),
        ("../x", "a name of lower-case"),
    ):
        with pytest.raises(VoiceError, match=named):
            voice_store.check_new(name, force=False)
    voice_store.add(make(rights="new"), force=True)
    assert voice_store.find("ann").rights == "new"
    with pytest.raises(VoiceError, match="'eve' is no voice; there are: zoe, ann"):
        voice_store.remove("eve")
    with pytest.raises(VoiceError, match="is a shipped voice"):
        voice_store.remove("zoe")
    voice_store.remove("ann")
    assert voice_store.user_names() == []


def test_a_store_that_cannot_be_written(folders, monkeypatch):
    (folders / "file").write_text("mine")
    monkeypatch.setenv("MYNAH_VOICES", str(folders / "file"))
    with pytest.raises(VoiceError, match="cannot be written"):
        voice_store.add(make(), force=False)
    assert (folders / "file").read_text() == "mine"


def clip(tiny, seconds: float) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return 0.1 * torch.randn(1, round(seconds * tiny.config.sample_rate), generator=generator)


def test_a_voice_from_a_clip(tiny):
    wav = clip(tiny, 3.01)
    voice = clone(tiny, "ann", wav)
    assert voice.codes.shape == (12, 150)  # whole frames, all codebooks
    encoded = tiny.encode(wav[None, :, : 150 * 320], 16_000, 6.0).codes[0, :, :150]
    assert torch.equal(voice.codes, encoded)
    assert (voice.codec_hash, voice.phonemes) == (tiny.codes_hash, ())
    assert "consent" in voice.rights

    def align(heard, said):
        assert heard.shape == (1, 150 * 320)
        return [(symbol, 10) for symbol in said.symbols[:15]]

    said = phonemize("A rolling stone gathers no moss.")
    voice = clone(tiny, "ann", wav, said, align)
    assert voice.phonemes == said.symbols[:15]
    assert voice.durations == (10,) * 15


@pytest.mark.parametrize(
    ("seconds", "loudness", "named"),
    [
        (2.99, 1, r"2.99 s long: 3 to 10 s"),
        (10.01, 1, "10.01 s long"),
        (4, 0, "silent"),
        (4, 1e-4, "silent"),
        (4, "short", "of it are not silence"),
    ],
)
def test_clips_that_are_no_voice(tiny, seconds, loudness, named):
    wav = clip(tiny, seconds)
    if loudness == "short":
        wav[:, 16_000:] = 0
    else:
        wav *= loudness
    with pytest.raises(MynahError, match=named):
        clone(tiny, "ann", wav)
