"""`mynah train average`: the mean of decoders that read the same codes, and of language models."""

import pytest
import torch

from mynah.codec import Codec, checkpoint
from mynah.lm import checkpoint as lm_checkpoint
from mynah.lm.config import LMConfig
from mynah.lm.network import LMNetwork


@pytest.fixture
def other(tiny_folder, tmp_path):
    """The tiny codec with another decoder."""
    config, tensors = checkpoint.load(tiny_folder)
    checkpoint.save(tmp_path / "other", config, {k: v + k.startswith("decoder.") for k, v in tensors.items()})
    return tmp_path / "other"


def test_the_decoder_is_the_mean_and_the_files_stay_readable(mynah, tiny_folder, tiny, other, tmp_path):
    tiny.tables.save(other / checkpoint.TABLES)
    out = tmp_path / "mean"
    result = mynah("train", "average", other, tiny_folder, "--out", out)
    assert result.returncode == 0, result.stderr
    (config, mean), (_, tensors) = checkpoint.load(out), checkpoint.load(tiny_folder)
    assert config == tiny.config
    for name, tensor in mean.items():
        torch.testing.assert_close(
            tensor, tensors[name] + 0.5 * name.startswith("decoder."), atol=2e-3, rtol=2e-3
        )
    assert Codec.from_pretrained(out).identity == Codec.from_pretrained(other).identity


def test_what_has_no_mean_is_refused(mynah, tiny_folder, other, tmp_path):
    config, tensors = checkpoint.load(tiny_folder)
    checkpoint.save(
        tmp_path / "encoder", config, {k: v + k.startswith("encoder.") for k, v in tensors.items()}
    )
    for folders, words in (
        ([other], "1 model: two at least"),
        ([other, tmp_path / "nothing"], "nothing"),
        ([other, tmp_path / "encoder"], "its codes are not those of"),
        ([other, "mynah-16k"], "mynah-16k: its architecture differs"),
    ):
        result = mynah("train", "average", *folders, "--out", tmp_path / "mean")
        assert result.returncode == 2
        (line,) = result.stderr.splitlines()
        assert words in line
        assert not (tmp_path / "mean").exists()
    result = mynah("train", "average", other, tiny_folder, "--out", other)
    assert (result.returncode, "holds a model already" in result.stderr) == (2, True)


def make_lm(folder, add: float = 0.0, **changes):
    torch.manual_seed(0)
    values = {
        "name": "tiny-lm",
        "n_codebooks": 3,
        "codebook_size": 64,
        "dim": 32,
        "layers": 1,
        "head_dim": 16,
    }
    network = LMNetwork(LMConfig(**values | changes))
    lm_checkpoint.save(folder, network.config, {k: v + add for k, v in network.state_dict().items()})
    return folder


def test_language_models_and_one_that_counts_twice(mynah, tmp_path):
    first = make_lm(tmp_path / "a")
    second = make_lm(tmp_path / "b", add=0.3, name="other", dropout=0.2, codec_hash="ab" * 32)
    result = mynah("train", "average", first, second, second, "--out", tmp_path / "mean")
    assert result.returncode == 0, result.stderr
    (one, mean) = (lm_checkpoint.load(folder) for folder in (first, tmp_path / "mean"))
    assert mean.config == one.config
    for name, tensor in mean.state_dict().items():
        torch.testing.assert_close(tensor, one.state_dict()[name] + 0.2, atol=2e-3, rtol=2e-3)


def test_language_models_without_a_mean(mynah, tiny_folder, tmp_path):
    first, damaged = make_lm(tmp_path / "a"), make_lm(tmp_path / "d")
    network = lm_checkpoint.load(damaged)
    rest = {name: tensor for name, tensor in network.state_dict().items() if name != "tables"}
    lm_checkpoint.save(damaged, network.config, rest)
    for other, words in (
        (make_lm(tmp_path / "b", dim=64), "its architecture or its codec differs"),
        (make_lm(tmp_path / "c", codec="other"), "its architecture or its codec differs"),
        ("mynah-lm", "mynah-lm: its architecture or its codec differs"),
        (tiny_folder, "unknown keys"),
        (damaged, "tensor tables is nothing"),
        (tmp_path / "nothing", "neither a shipped language model"),
    ):
        result = mynah("train", "average", first, other, "--out", tmp_path / "mean")
        assert (result.returncode, words in result.stderr) == (2, True), result.stderr
        assert not (tmp_path / "mean").exists()
