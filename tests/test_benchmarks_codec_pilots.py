"""The alternatives that benchmarks/codec_pilots.py sets against the package's design, in tiny sizes."""

import importlib
import math
from pathlib import Path
from types import ModuleType

import pytest
import torch

from mynah.apps import train_parts
from mynah.apps.train_options import TrainOptions
from mynah.codec.config import CodecConfig
from mynah.data.corpus import PackedCorpus, pack
from mynah.data.utterances import Utterance

CONFIG = CodecConfig(
    name="tiny",
    latent_dim=8,
    n_codebooks=2,
    codebook_size=32,
    bitrates=(0.25, 0.5),
    encoder_dim=8,
    encoder_layers=1,
    decoder_dim=8,
    decoder_layers=1,
    fine_dim=8,
    fine_layers=1,
)
OPTIONS = TrainOptions(batch=2, crop=0.4, rate_weights=(1, 1, 1), latent_noise=(0.5, 0.2, 0.1))


@pytest.fixture(scope="module")
def modules() -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parents[1] / "benchmarks"))
        return importlib.import_module("pilot_modules")


@pytest.fixture(scope="module")
def pilots(modules) -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parents[1] / "benchmarks"))
        return importlib.import_module("codec_pilots")


@pytest.fixture
def corpus(tmp_path, speech) -> PackedCorpus:
    return pack([("r", "a", "s", lambda: speech)], tmp_path / "train.pcm")


def test_transposed_decoder_is_causal_and_as_long_as_its_frames(modules):
    torch.manual_seed(0)
    decoder, latent, rate = modules.TransposedDecoder(CONFIG, 32), torch.randn(2, 6, 8), torch.tensor([0, 1])
    with torch.no_grad():
        whole, start = decoder(latent, rate), decoder(latent[:, :4], rate)
    assert whole.shape == (2, 6 * 320)
    torch.testing.assert_close(whole[:, : 4 * 320], start)
    with pytest.raises(ValueError, match="hop of 320"):
        modules.TransposedDecoder(CONFIG, 32, (8, 5))


def test_factorised_codes_decode_to_what_training_decodes_from(modules):
    torch.manual_seed(0)
    quantizer, latent = modules.FactorisedQuantizer(3, 32, 8, 4), torch.randn(2, 5, 8)
    quantized = quantizer(latent, torch.tensor([3, 2]))
    codes = quantizer.encode(latent, 3)
    assert torch.equal(codes, quantized.codes)
    torch.testing.assert_close(quantizer.decode(codes[:1]), quantized.latent[:1])
    torch.testing.assert_close(quantizer.decode(codes[1:, :2]), quantized.latent[1:])
    quantized.commitment.backward()
    assert quantizer.codebooks.grad.abs().sum((1, 2)).min() > 0


@pytest.mark.parametrize("arm", ["factorised", "phones"])
def test_an_arm_trains_and_is_measured(pilots, modules, corpus, arm, one_thread, monkeypatch):
    monkeypatch.setattr(train_parts, "KMEANS_LATENTS", 64)
    torch.manual_seed(0)
    network = pilots.PilotNetwork(CONFIG, arm, 32)
    phones = modules.Phones(CONFIG.latent_dim, 4, 0.5) if arm == "phones" else None  # `ours` and more
    spoken = [Utterance(corpus.entries[0], ((1, 2), (3,)))]
    told = pilots.train(network.train(), phones, corpus, spoken, OPTIONS, 0.3)
    assert told["steps"] >= 1
    scores = pilots.evaluate(network.eval(), [corpus.wav(corpus.entries[0])[:16000]])
    assert all(math.isfinite(scores[f"estoi_{bitrate:g}"]) for bitrate in CONFIG.bitrates)
    heard = pilots.probe(network, (corpus, corpus), (spoken, spoken), 4, 0.05)
    assert heard["phone_error"] >= 0
