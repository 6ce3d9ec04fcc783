"""`mynah train average`: the mean of decoders, and only of those that read the same codes."""

import pytest
import torch

from mynah.codec import Codec, checkpoint


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
        ([other], "1 codec: two at least"),
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
    assert (result.returncode, "holds a codec already" in result.stderr) == (2, True)
