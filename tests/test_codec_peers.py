"""Peer tokenizers: shapes, rates, round trips and error lines, with small networks of random weights."""

import builtins
import json
import sys
import types

import pytest
import torch

from mynah.codec import Codec, peers
from mynah.codec.config import CodecConfig
from mynah.codec.network import CodecNetwork
from mynah.data.errors import AudioError, CheckpointError

FAMILIES = ("encodec", "mimi", "dac")
RATES = {"encodec": (1.5, 3.0, 6.0), "mimi": (0.0625, 0.125, 0.1875), "dac": (0.5, 1.0, 1.5, 2.0)}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A small model of each family, saved as its authors save theirs."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    models = {
        "encodec": transformers.EncodecModel(
            transformers.EncodecConfig(
                num_filters=4, hidden_size=16, num_lstm_layers=1, target_bandwidths=[1.5, 3.0, 6.0]
            )
        ),
        "mimi": transformers.MimiModel(
            transformers.MimiConfig(
                num_filters=4, hidden_size=16, codebook_size=32, codebook_dim=8, num_quantizers=3,
                vector_quantization_hidden_dimension=8, upsample_groups=16, num_hidden_layers=1,
                intermediate_size=16, num_attention_heads=2, num_key_value_heads=2,
            )
        ),
        "dac": transformers.DacModel(
            transformers.DacConfig(
                encoder_hidden_size=4, downsampling_ratios=[2, 4, 5, 8], decoder_hidden_size=32, n_codebooks=4
            )
        ),
    }  # fmt: skip
    root = tmp_path_factory.mktemp("peers")
    for family, model in models.items():
        # EnCodec and Mimi start with codebooks of zeros, in which every code is the first.
        for name, tensor in model.named_buffers():
            if name.endswith(("embed", "embed_sum", "embed_avg")):
                tensor.normal_()
        model.save_pretrained(root / family)
    return {family: root / family for family in models}


@pytest.fixture(scope="module")
def tokenizers(folders):
    return {family: peers.load_tokenizer(f"{family}:{folders[family]}") for family in FAMILIES}


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    config = CodecConfig(
        latent_dim=8, encoder_dim=16, encoder_layers=1, decoder_dim=16, decoder_layers=1, fine_dim=16,
        codebook_size=16, n_codebooks=4, bitrates=(0.4, 0.8),
    )  # fmt: skip
    return Codec(CodecNetwork(config))


def noise(seconds: float, sample_rate: int, batch: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return 0.1 * torch.randn(batch, 1, round(seconds * sample_rate), generator=generator)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_offered_bitrate_gives_its_bits_and_comes_back(family, tokenizers):
    tokenizer = tokenizers[family]
    wav = noise(0.5, 16000)
    seconds = tokenizer.frame_rate
    assert tokenizer.bitrates == pytest.approx(RATES[family])
    books = []
    for bitrate in tokenizer.bitrates:
        codes = tokenizer.encode(wav, 16000, bitrate)
        assert codes.dtype == torch.int64 and codes.ndim == 3 and len(codes) == 2
        assert codes.min() >= 0 and codes.max() < tokenizer.codebook_size
        frames = codes.shape[2]
        assert 0.5 * seconds <= frames < 0.5 * seconds + 1
        bits = codes[0].numel() * (tokenizer.codebook_size.bit_length() - 1)
        assert bits * seconds / frames == pytest.approx(1000 * bitrate, rel=1e-3)
        out = tokenizer.decode(codes)
        assert out.dtype == torch.float32 and out.shape[:2] == (2, 1)
        assert 0.5 * tokenizer.sample_rate <= out.shape[2] <= frames * tokenizer.sample_rate / seconds
        assert torch.isfinite(out).all() and out.std() > 0
        books.append(codes.shape[1])
    assert books == sorted(set(books)) and books[-1] == tokenizer.n_codebooks


@pytest.mark.parametrize("family", FAMILIES)
def test_codes_are_those_of_the_model_itself(family, folders, tokenizers):
    """Loaded directly, without the adapter, and given sound at its own rate."""
    transformers = pytest.importorskip("transformers")
    name = {"encodec": "EncodecModel", "mimi": "MimiModel", "dac": "DacModel"}[family]
    model = getattr(transformers, name).from_pretrained(folders[family]).eval()
    tokenizer = tokenizers[family]
    wav = noise(0.48, tokenizer.sample_rate)
    with torch.no_grad():
        expected = model(wav).audio_codes if family != "encodec" else model(wav, bandwidth=6.0).audio_codes[0]
    found = tokenizer.encode(wav, tokenizer.sample_rate, tokenizer.bitrates[-1])
    assert len(found.unique()) > 4
    assert torch.equal(found, expected)


@pytest.mark.parametrize("family", FAMILIES)
def test_fewer_codebooks_are_the_first_ones(family, tokenizers):
    tokenizer = tokenizers[family]
    wav = noise(0.3, 16000)
    few, all_ = (tokenizer.encode(wav, 16000, tokenizer.bitrates[i]) for i in (0, -1))
    assert torch.equal(few, all_[:, : few.shape[1]])


def test_codes_can_go_into_training(tokenizers):
    """Tensors made in inference mode could not."""
    codes = tokenizers["dac"].encode(noise(0.1, 16000), 16000, 0.5)
    table = torch.nn.Embedding(1024, 2)
    table(codes).sum().backward()
    assert table.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("family", FAMILIES)
def test_a_bitrate_that_is_not_offered_lists_those_that_are(family, tokenizers):
    tokenizer = tokenizers[family]
    with pytest.raises(ValueError, match=f"{family}.* 7.7 kbit/s: choose one of .*{tokenizer.bitrates[1]:g}"):
        tokenizer.encode(noise(0.1, 16000), 16000, 7.7)


def test_only_mono(tokenizers, own):
    for tokenizer in (tokenizers["dac"], peers.CodecTokenizer(own)):
        with pytest.raises(AudioError, match="2 channels"):
            tokenizer.encode(torch.zeros(1, 2, 1600), 16000, tokenizer.bitrates[0])


def test_our_own_codec_is_a_tokenizer_too(own):
    tokenizer = peers.CodecTokenizer(own)
    own.network.quantizer.codebooks.normal_()
    wav = noise(0.5, 16000)
    codes = tokenizer.encode(wav, 16000, 0.8)
    assert torch.equal(codes, own.encode(wav, 16000, 0.8).codes) and codes.shape[1] == tokenizer.n_codebooks
    assert tokenizer.decode(codes).shape == (2, 1, 8000)
    assert (tokenizer.frame_rate, tokenizer.codebook_size, tokenizer.name) == (50.0, 16, "mynah-16k")


def test_wrong_places_give_one_clear_line(folders, tmp_path):
    (tmp_path / "empty").mkdir()
    cases = {
        f"encodec:{tmp_path}/nothing": "no such folder",
        "mimi:./nothing": "no such folder",
        f"dac:{tmp_path}/empty": "no weights that can be read",
        f"encodec:{folders['dac']}": "holds a model of type 'dac', not 'encodec'",
        "no-such-codec": "neither a shipped codec",
    }
    for spec, message in cases.items():
        with pytest.raises(CheckpointError, match=message) as caught:
            peers.load_tokenizer(spec)
        assert "\n" not in str(caught.value)


def damaged(folder, tmp_path, change):
    """A copy of a model with its tensors changed."""
    from safetensors.torch import load_file, save_file

    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "config.json").write_text((folder / "config.json").read_text())
    save_file(change(load_file(folder / "model.safetensors")), copy / "model.safetensors")
    return copy


def test_missing_tensors_are_not_left_random(folders, tmp_path):
    copy = damaged(
        folders["dac"], tmp_path, lambda t: {k: v for k, v in t.items() if k != "encoder.conv1.weight"}
    )
    with pytest.raises(
        CheckpointError, match=r"1 tensors are missing or misshapen, such as encoder.conv1.weight"
    ):
        peers.load_tokenizer(f"dac:{copy}")


def test_cut_weights_give_one_clear_line(folders, tmp_path):
    copy = damaged(folders["dac"], tmp_path, dict)
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="no weights that can be read") as caught:
        peers.load_tokenizer(f"dac:{copy}")
    assert "\n" not in str(caught.value)


def test_stereo_encodec_is_refused(folders, tmp_path):
    copy = damaged(folders["encodec"], tmp_path, dict)
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"normalize": True}))
    with pytest.raises(CheckpointError, match="only EnCodec's 24 kHz model"):
        peers.load_tokenizer(f"encodec:{copy}")


def test_not_on_this_machine_and_no_hub(monkeypatch, tmp_path):
    """Nothing listens at this address; nothing may wait or try again for minutes."""
    constants = pytest.importorskip("huggingface_hub.constants")
    pytest.importorskip("transformers")
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with pytest.raises(
        CheckpointError, match="mimi:nobody/nothing: not on this machine, and the hub cannot be"
    ):
        peers.load_tokenizer("mimi:nobody/nothing")
    with pytest.raises(
        CheckpointError, match="mimi:nobody/nothing: no weights that can be read on this machine"
    ):
        peers.load_tokenizer("mimi:nobody/nothing", download=False)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(CheckpointError, match="HF_HUB_OFFLINE forbids"):
        peers.load_tokenizer("mimi:nobody/nothing")


def no_package(monkeypatch, package, error):
    real = builtins.__import__

    def fake(name, *args, **kwargs):
        if name == package:
            raise error
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", fake)


@pytest.mark.parametrize("error", [ImportError("No module named 'transformers'"), OSError("libcudart.so.13")])
def test_without_transformers_the_extra_is_named(monkeypatch, error):
    no_package(monkeypatch, "transformers", error)
    with pytest.raises(CheckpointError, match=r"dac:descript/dac_16khz needs .*pip install 'mynah\[peers\]'"):
        peers.load_tokenizer("dac")


def test_weights_of_the_encodec_package(monkeypatch, tmp_path):
    """The package itself wants a torchaudio that is not beside every torch: a stand-in with its interface."""
    (tmp_path / "encodec_24khz-d7cc33bc.th").write_bytes(b"weights")
    no_package(monkeypatch, "encodec", OSError("libcudart.so.13: cannot open"))
    with pytest.raises(CheckpointError, match="need the package encodec, which cannot be imported"):
        peers.load_tokenizer(f"encodec:{tmp_path}")
    monkeypatch.undo()

    class EncodecModel:
        sample_rate, frame_rate, bits_per_codebook, bandwidth = 24000, 75, 10, 0.0
        target_bandwidths = (1.5, 3.0, 6, 12.0, 24.0)

        @staticmethod
        def encodec_model_24khz(repository):
            assert repository == tmp_path
            return EncodecModel()

        def eval(self):
            return self

        def set_target_bandwidth(self, bandwidth):
            assert bandwidth in self.target_bandwidths
            self.bandwidth = bandwidth

        def encode(self, wav):
            shape = len(wav), int(1000 * self.bandwidth / 750), wav.shape[2] // 320
            return [(torch.ones(shape, dtype=torch.int64), None)]

        def decode(self, frames):
            ((codes, scale),) = frames
            assert scale is None
            return torch.ones(len(codes), 1, codes.shape[2] * 320)

    monkeypatch.setitem(sys.modules, "encodec", types.SimpleNamespace(EncodecModel=EncodecModel))
    tokenizer = peers.load_tokenizer(f"encodec:{tmp_path}")
    assert tokenizer.bitrates == (1.5, 3.0, 6.0, 12.0, 24.0) and tokenizer.n_codebooks == 32
    codes = tokenizer.encode(noise(1, 16000), 16000, 6.0)
    assert codes.shape == (2, 8, 75) and tokenizer.decode(codes).shape == (2, 1, 24000)
