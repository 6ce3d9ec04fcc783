"""The language model as its users see it: speaking, continuing, checkpoints, what it says to bad input."""

import dataclasses
import itertools
import json
import shutil
import time

import pytest
import torch
from safetensors.torch import load_file, save_file

from mynah.data.errors import CheckpointError
from mynah.lm import LanguageModel, LMConfig, Prompt, Sampling, checkpoint, patterns
from mynah.lm.condition import Condition
from mynah.lm.int8 import Int8Network
from mynah.lm.layers import rotation
from mynah.lm.network import Cache, LMNetwork

CONFIG = LMConfig(
    name="tiny-lm",
    n_codebooks=3,
    codebook_size=1024,
    max_frames=100,
    dim=16,
    layers=1,
    head_dim=8,
    embedding_dim=8,
    symbols=("a", "b", "ʃ", "sil"),
    phoneme_dim=16,
    phoneme_layers=1,
    speaker_dim=4,
)


def make_folder(folder, **changes):
    """A folder with an untrained model whose codes depend on everything it is told."""
    torch.manual_seed(0)
    network = LMNetwork(dataclasses.replace(CONFIG, **changes))
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    checkpoint.save(folder, network.config, network.state_dict())
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_folder(tmp_path_factory.mktemp("lm") / "tiny")


@pytest.fixture(scope="module")
def lm(folder) -> LanguageModel:
    return LanguageModel.from_pretrained(folder)


def seeded(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def codes(*lengths: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randint(1024, (3, n), generator=generator) for n in lengths]


def test_speaking_lasts_as_long_as_the_durations(lm):
    first, second = lm.speak([["sil", "a"], ["b"]], [[2, 5], [4]], generators=seeded(0, 1)).codes()
    assert (first.shape, second.shape) == ((3, 7), (3, 4))
    assert first.dtype == torch.int64
    (alone,) = lm.speak([["b"]], [[4]], generators=seeded(1)).codes()
    assert torch.equal(alone, second)


def test_what_is_said_depends_on_all_that_is_given(lm):
    def spoken(phonemes=("a", "b"), durations=(3, 9), **options) -> torch.Tensor:
        options = {"generators": seeded(0), "sampling": Sampling(top_k=0, top_p=1.0)} | options
        return lm.speak([list(phonemes)], [list(durations)], **options).codes()[0]

    plain = spoken()
    assert torch.equal(spoken(), plain)
    assert torch.equal(spoken(prompts=[None], guidance=1, speaker=torch.zeros(1, 4)), plain)
    known = Prompt(codes(5)[0], ["ʃ", "sil"], [2, 3])
    others = [
        spoken(phonemes=("a", "ʃ")),
        spoken(durations=(9, 3)),
        spoken(generators=seeded(1)),
        spoken(guidance=4.0),
        spoken(guidance=0.0),
        spoken(sampling=Sampling(temperature=0)),
        spoken(speaker=torch.tensor([[1.0, 0, 0, 0]])),
        spoken(prompts=[Prompt(codes(5)[0])]),
        spoken(prompts=[known]),
        spoken(prompts=[known._replace(phonemes=["b", "sil"])]),
    ]
    assert all(other.shape == (3, 12) for other in others)
    assert all(not torch.equal(a, b) for i, a in enumerate([plain, *others]) for b in others[i:])


@pytest.mark.parametrize("pattern", patterns.PATTERNS)
@pytest.mark.parametrize("guidance", [0.0, 1.0, 2.5])
def test_a_prompt_that_was_heard_is_not_read_again(tmp_path, monkeypatch, pattern, guidance):
    lm = LanguageModel.from_pretrained(make_folder(tmp_path / "lm", layers=2, pattern=pattern))
    prompt, speaker = Prompt(codes(20)[0], ["ʃ", "sil", "a"], [2, 3, 15]), torch.tensor([[0.0, 1, 0, 0]])
    given = {"phonemes": [["a", "b"], ["b"]], "durations": [[3, 9], [4]], "guidance": guidance}

    def spoken(**options):
        return lm.speak(**given, generators=seeded(0, 1), **options).codes()

    expected = spoken(prompts=[prompt, prompt], speaker=speaker.repeat(2, 1))
    heard = lm.hear(prompt, speaker)
    read = []
    step = lm.network.step
    monkeypatch.setattr(lm.network, "step", lambda *a: (read.append(a[0].shape[2]), step(*a))[1])
    for _ in range(2):  # nothing that is said changes it
        assert all(map(torch.equal, spoken(heard=heard), expected))
    if pattern in patterns.STREAMABLE:
        assert max(read) == 1
    silent = lm.hear(speaker=speaker)
    assert all(map(torch.equal, spoken(heard=silent), spoken(speaker=speaker.repeat(2, 1))))
    with pytest.raises(ValueError, match="heard="):
        spoken(heard=heard, speaker=speaker)


def test_a_prompt_and_what_follows_are_encoded_apart(lm):
    encoder = lm.network.conditioner.encoder
    first, second = torch.tensor([[1, 2, 3]]), torch.tensor([[4, 2]])
    together = encoder(torch.cat([first, second], 1), torch.tensor([3]))
    apart = torch.cat([encoder(first), encoder(second)], 1)
    torch.testing.assert_close(together, apart)
    assert not torch.allclose(encoder(torch.cat([first, second], 1)), apart, atol=0.01)


@pytest.mark.parametrize(
    ("prompt", "speaker", "named"),
    [
        (Prompt(torch.zeros(3, 5)), None, "torch.float32"),
        (Prompt(codes(5)[0], ["a"], [4]), None, "durations add up to 4 frames"),
        (Prompt(codes(101)[0]), None, "2.02 s"),
        (None, torch.zeros(2, 4), r"shape \(2, 4\)"),
    ],
)
def test_what_cannot_be_heard(lm, prompt, speaker, named):
    with pytest.raises(ValueError, match=named):
        lm.hear(prompt, speaker)


def test_streaming(lm):
    def generation():
        return lm.speak([["a", "b"]], [[3, 9]], generators=seeded(0))

    frames = list(generation())
    assert [tuple(f.codes.shape) for f in frames] == [(1, 3, 1)] * 12
    assert torch.equal(torch.cat([f.codes[0] for f in frames], 1), generation().codes()[0])
    begun = generation()
    next(iter(begun))
    assert begun.codes()[0].shape == (3, 11)  # what is left
    table = torch.nn.Embedding(1024, 2)
    table(frames[0].codes).sum().backward()  # may enter another network's training
    table(generation().codes()[0]).sum().backward()


def test_continuing(lm):
    batch = lm.continue_codes(codes(10, 4), 0.5, least_seconds=0.5, generators=seeded(0, 1)).codes()
    assert [item.shape for item in batch] == [(3, 25), (3, 25)]
    (alone,) = lm.continue_codes(codes(10, 4)[1:], 0.5, least_seconds=0.5, generators=seeded(1)).codes()
    assert torch.equal(alone, batch[1])
    tensor = torch.stack(codes(4, 4))
    assert len(lm.continue_codes(tensor, 0.1, generators=seeded(0, 1)).codes()) == 2
    (nothing_before,) = lm.continue_codes(codes(0), 0.2, least_seconds=0.2, generators=seeded(0)).codes()
    assert nothing_before.shape == (3, 10)


@pytest.mark.parametrize("phonemes", [(), ("a", "b")])
def test_continuing_what_was_heard(tmp_path, lm, phonemes):
    """As many ways to go on as generators, each what it is without the memory; what was said may be told."""
    (prompt,) = codes(10)
    durations = [4, 6] if phonemes else ()
    vector = torch.ones(1, 4)
    heard = lm.hear(Prompt(prompt, phonemes, durations), vector)
    options = {"least_seconds": 0.5, "generators": seeded(0, 1)}
    takes = lm.continue_codes(heard, 0.5, **options).codes()
    assert [take.shape for take in takes] == [(3, 25), (3, 25)] and not torch.equal(*takes)
    if not phonemes:
        options["generators"] = seeded(0, 1)
        plain = lm.continue_codes([prompt] * 2, 0.5, speaker=vector.expand(2, -1), **options).codes()
        assert all(map(torch.equal, takes, plain))
    forgetful = heard._replace(memory=lm.hear().memory)
    options["generators"] = seeded(0, 1)
    assert all(map(torch.equal, takes, lm.continue_codes(forgetful, 0.5, **options).codes()))
    untold = lm.continue_codes(lm.hear(Prompt(prompt), vector), 0.5, **options | {"generators": seeded(0, 1)})
    assert torch.equal(untold.codes()[0], takes[0]) == (not phonemes)
    with pytest.raises(ValueError, match="holds the speaker"):
        lm.continue_codes(heard, 0.5, speaker=vector, generators=seeded(0))
    mute = LanguageModel.from_pretrained(make_folder(tmp_path / "mute", symbols=(), speaker_dim=0))
    (alone,) = mute.continue_codes([prompt], 0.5, least_seconds=0.5, generators=seeded(0)).codes()
    (again,) = mute.continue_codes(
        mute.hear(Prompt(prompt)), 0.5, least_seconds=0.5, generators=seeded(0)
    ).codes()
    assert torch.equal(alone, again)


def test_codes_are_the_codecs(lm, tiny):
    """What comes out can be decoded, frame by frame."""
    state, parts = tiny.init_decode_state(1), []
    for frames in lm.speak([["a"]], [[6]], generators=seeded(0)):
        wav, state = tiny.decode_step(frames.codes, state)
        parts.append(wav)
    assert torch.cat(parts, 2).shape == (1, 1, 6 * 320)


def test_codes_of_another_codec_are_noise(tmp_path, lm, tiny):
    lm.check_codec(tiny)  # an empty hash fits any
    own = LanguageModel.from_pretrained(
        make_folder(tmp_path / "own", codec="tiny", codec_hash=tiny.codes_hash)
    )
    own.check_codec(tiny)
    other = LanguageModel.from_pretrained(
        make_folder(tmp_path / "other", codec="great", codec_hash="ab" * 32)
    )
    with pytest.raises(
        CheckpointError, match=r"tiny-lm speaks codes of great abababab, not of tiny [0-9a-f]{8}"
    ):
        other.check_codec(tiny)


def test_weights_come_back_as_float32(folder, lm):
    stored = load_file(folder / "model.safetensors")
    assert {x.dtype for x in stored.values()} == {torch.float16}
    for name, value in lm.network.state_dict().items():
        assert value.dtype == torch.float32
        assert torch.equal(value, stored[name].float())
    assert not any(p.requires_grad for p in lm.network.parameters())
    assert not lm.network.training
    assert LMConfig.load(folder) == CONFIG


def test_a_shipped_model_is_found_by_name(tmp_path, monkeypatch):
    make_folder(tmp_path / "first")
    monkeypatch.setattr(checkpoint, "SHIPPED", tmp_path)
    assert LanguageModel.from_pretrained("first").config.name == "tiny-lm"
    with pytest.raises(CheckpointError, match=r"'second' is neither a shipped language model \(first\)"):
        LanguageModel.from_pretrained("second")


def damage_config(folder, **values):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


DAMAGES = {
    "weights are missing": lambda f: (f / "model.safetensors").unlink(),
    "weights are cut": lambda f: (f / "model.safetensors").write_bytes(
        (f / "model.safetensors").read_bytes()[:-9]
    ),
    "weights are a text": lambda f: (f / "model.safetensors").write_text("hello"),
    "config is no json": lambda f: (f / "config.json").write_text("{"),
    "config is a list": lambda f: (f / "config.json").write_text("[]"),
    "config is binary": lambda f: (f / "config.json").write_bytes(b"\xff\xfe\x00"),
    "config has more": lambda f: damage_config(f, learning_rate=0.1),
    "config is of a codec": lambda f: damage_config(f, sample_rate=16000),
    "config has other sizes": lambda f: damage_config(f, dim=24),
    "config has more layers": lambda f: damage_config(f, layers=2),
    "config has fewer symbols": lambda f: damage_config(f, symbols=["a"]),
    "config is wrong": lambda f: damage_config(f, layers="many"),
    "a tensor is missing": lambda f: save_file({"x": torch.zeros(1)}, f / "model.safetensors"),
}


@pytest.mark.parametrize("what", DAMAGES)
def test_a_damaged_folder_is_one_clear_line(what, folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy")
    DAMAGES[what](copy)
    with pytest.raises(CheckpointError) as error:
        LanguageModel.from_pretrained(copy)
    assert "\n" not in str(error.value)


def test_a_codecs_folder_is_refused(tiny_folder):
    with pytest.raises(CheckpointError, match="unknown keys"):
        LanguageModel.from_pretrained(tiny_folder)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"phonemes": [["a", "x"]]}, "'x' is no symbol of tiny-lm: it knows a b ʃ sil"),
        ({"phonemes": []}, "0 phonemes"),
        ({"phonemes": [["a"]]}, "1 phonemes, 2 durations"),
        ({"durations": [[1, 2], [3, 4]]}, "1 phonemes, 2 durations, 1 prompts, 1 generators"),
        ({"durations": [[0, 0]]}, "nothing to speak"),
        ({"phonemes": [[]], "durations": [[]]}, "nothing to speak|as many"),
        ({"durations": [[3, -1]]}, "a duration of -1 frames"),
        ({"durations": [[60, 41]]}, "2.02 s with the prompt: tiny-lm can speak 2 s at once"),
        ({"prompts": [Prompt(torch.zeros(3, 95, dtype=torch.int64))]}, "2.04 s with the prompt"),
        ({"prompts": [Prompt(torch.zeros(2, 5, dtype=torch.int64))]}, r"shape \(2, 5\)"),
        ({"prompts": [Prompt(torch.zeros(1, 3, 5, dtype=torch.int64))]}, r"shape \(1, 3, 5\)"),
        ({"prompts": [Prompt(torch.zeros(3, 5))]}, "torch.float32"),
        ({"prompts": [Prompt(torch.full((3, 5), 1024))]}, r"1024\.\.1024: 0\.\.1023"),
        ({"prompts": [Prompt(torch.full((3, 5), -1))]}, r"-1\.\.-1"),
        ({"prompts": [Prompt(codes(5)[0], ["a"], [4])]}, "durations add up to 4 frames, its codes have 5"),
        ({"prompts": [Prompt(codes(5)[0], ["a"])]}, "1 phonemes, 0 durations"),
        ({"generators": seeded(0, 1)}, "2 generators"),
        ({"guidance": -1.0}, "guidance=-1"),
        ({"guidance": float("nan")}, "guidance=nan"),
        ({"speaker": torch.zeros(1, 5)}, r"speaker has shape \(1, 5\)"),
        ({"speaker": torch.full((1, 4), torch.nan)}, "finite"),
    ],
)
def test_what_cannot_be_spoken(lm, changes, named):
    arguments = {"phonemes": [["a", "b"]], "durations": [[3, 4]], "generators": seeded(0)} | changes
    with pytest.raises(ValueError, match=named) as error:
        lm.speak(**arguments)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"seconds": 0}, "seconds=0"),
        ({"seconds": float("inf")}, "seconds=inf"),
        ({"seconds": 1.9}, "2.1 s with the prompt"),
        ({"least_seconds": 1.1}, "least_seconds=1.1: 0 to 1"),
        ({"least_seconds": -1}, "least_seconds=-1"),
        ({"least_seconds": float("nan")}, "least_seconds=nan"),
        ({"prompts": codes(3, 4)}, "2 prompts, 1 generators"),
        ({"prompts": []}, "0 prompts"),
        ({"prompts": [torch.zeros(3, 5)]}, "torch.float32"),
    ],
)
def test_what_cannot_be_continued(lm, changes, named):
    arguments = {"prompts": codes(10), "seconds": 1.0, "generators": seeded(0)} | changes
    with pytest.raises(ValueError, match=named):
        lm.continue_codes(**arguments)


def test_models_that_cannot_do_everything(tmp_path):
    mute = LanguageModel.from_pretrained(make_folder(tmp_path / "mute", symbols=(), speaker_dim=0))
    with pytest.raises(ValueError, match="trained without text"):
        mute.speak([["a"]], [[3]], generators=seeded(0))
    with pytest.raises(ValueError, match="takes no speaker vector"):
        mute.continue_codes(codes(3), 0.1, speaker=torch.zeros(1, 4), generators=seeded(0))
    assert mute.continue_codes(codes(3), 0.1, least_seconds=0.1, generators=seeded(0)).codes()[0].shape == (
        3,
        5,
    )
    planned = LanguageModel.from_pretrained(make_folder(tmp_path / "planned", pattern="coarse_first"))
    with pytest.raises(ValueError, match="coarse_first"):
        planned.continue_codes(codes(3), 0.1, generators=seeded(0))
    assert planned.speak([["a"]], [[6]], generators=seeded(0)).codes()[0].shape == (3, 6)


@pytest.fixture
def wide(tmp_path):
    """A model that is wide enough for weights in 8 bits; exact, and rounded."""
    folder = make_folder(tmp_path / "wide", dim=32, layers=2)
    return [LanguageModel.from_pretrained(folder, int8=int8) for int8 in (False, True)]


@pytest.mark.parametrize("cuts", [[9], [4, 5], [5, 1, 1, 1, 1]])
@torch.no_grad()
def test_a_step_in_int8_is_near(wide, cuts):
    exact, fast = wide
    assert isinstance(fast.network, Int8Network)
    tokens = torch.randint(1024, (2, 3, 9), generator=seeded(0)[0])
    time = torch.arange(9).expand(2, -1)
    turn = rotation(time, exact.config.head_dim)
    whole = exact.network(tokens, time, Condition())
    conditions = fast.network.conditioner(time, Condition())
    cache = Cache(exact.config, 2, 9, fast.network.tables)
    for end, n in zip(itertools.accumulate(cuts), cuts, strict=True):
        now = slice(end - n, end)
        near = fast.network.step(tokens[..., now], conditions[:, now], turn[..., now, :], cache, n)
        assert 0 < (near - whole[:, now]).norm() < 0.02 * whole[:, now].norm()
    assert cache.length == 9


def test_int8_says_the_same_in_any_batch(wide):
    _, fast = wide
    arguments = [["a", "b"], ["ʃ"], ["b"]], [[3, 9], [8], [4]]
    together = fast.speak(*arguments, generators=seeded(0, 1, 2), guidance=2.0).codes()
    for i in range(3):
        one = [part[i : i + 1] for part in arguments]
        assert torch.equal(fast.speak(*one, generators=seeded(i), guidance=2.0).codes()[0], together[i])


def test_int8_is_for_wide_models_on_a_cpu(tmp_path):
    folder = make_folder(tmp_path / "narrow", dim=16)
    assert isinstance(LanguageModel.from_pretrained(folder, int8=True).network, LMNetwork)
    with pytest.raises(ValueError, match="device='cuda'"):
        LanguageModel.from_pretrained(folder, device="cuda", int8=True)


def test_many_symbols_are_checked_and_named_in_moments():
    began = time.monotonic()
    config = dataclasses.replace(CONFIG, symbols=tuple(f"p{i}" for i in range(50_000)))
    assert time.monotonic() - began < 2
    with pytest.raises(ValueError, match="and 49900 more") as found:
        config.ids(["nowhere"])
    assert len(str(found.value)) < 700
