"""The codec as its users see it: exact lengths, rates and channels, streaming, errors, model folders."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from mynah.codec import Codec, checkpoint
from mynah.codec.codec import Encoded
from mynah.codec.network import SEARCH_PATHS, CodecNetwork
from mynah.data.errors import AudioError, CheckpointError

RATES = (8000, 11025, 16000, 22050, 44100, 48000, 96000, 192000)
HOP = 320


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=15, deadline=None)
@given(
    length=st.integers(1, 20000),
    sample_rate=st.sampled_from(RATES),
    channels=st.integers(1, 3),
    batch=st.integers(1, 2),
    bitrate=st.sampled_from([1.5, 3.0, 6.0]),
)
def test_length_rate_and_channels_come_back(tiny, length, sample_rate, channels, batch, bitrate):
    encoded = tiny.encode(noise(batch, channels, length), sample_rate, bitrate)
    own_length = max(1, (2 * length * 16000 + sample_rate) // (2 * sample_rate))
    frames = -(-own_length // HOP) + 1
    assert encoded.codes.shape == (batch * channels, {1.5: 3, 3.0: 6, 6.0: 12}[bitrate], frames)
    assert encoded.codes.dtype == torch.int64
    assert 0 <= int(encoded.codes.min()) <= int(encoded.codes.max()) < 1024
    assert encoded[1:] == (sample_rate, length, channels)
    wav = tiny.decode(encoded)
    assert wav.shape == (batch, channels, length)
    assert wav.dtype == torch.float32
    assert wav.abs().max() <= 1


@pytest.mark.parametrize("sample_rate", [8000, 16000, 192000])
def test_one_sample(tiny, sample_rate):
    encoded = tiny.encode(torch.full((1, 1, 1), 0.5), sample_rate)
    assert encoded.codes.shape == (1, 6, 2)
    assert tiny.decode(encoded).shape == (1, 1, 1)


def test_silence_has_one_code_and_is_finite(tiny):
    encoded = tiny.encode(torch.zeros(1, 1, 16000), 16000)
    steady = encoded.codes[0, :, 20:]  # past the reach of the start
    assert (steady == steady[:, :1]).all()
    assert torch.isfinite(tiny.decode(encoded)).all()


def test_full_scale_square_wave_stays_in_range(tiny):
    square = torch.sign(torch.sin(2 * torch.pi * 100 / 16000 * torch.arange(8000) + 0.1))[None, None]
    assert tiny.decode(tiny.encode(square, 16000)).abs().max() <= 1


def test_bare_codes_are_clipped_too(tiny_folder):
    codec = Codec.from_pretrained(tiny_folder)
    codec.network.decoder.head.bias += 6  # a decoder that is far too loud
    codes = torch.zeros(1, 3, 5, dtype=torch.int64)
    assert codec.decode(codes).abs().max() == 1
    assert codec.decode(codes).shape == (1, 1, 4 * HOP)


def test_channels_are_coded_alone(tiny):
    wav = noise(2, 2, 5000)
    together = tiny.encode(wav, 16000)
    alone = tiny.encode(wav[1:, 1:], 16000)
    assert torch.equal(together.codes[3:], alone.codes)
    assert torch.allclose(tiny.decode(together)[1, 1], tiny.decode(alone)[0, 0], atol=1e-6)


def test_lower_bitrates_are_the_first_codebooks(tiny):
    wav = noise(1, 1, 5000)
    full = tiny.encode(wav, 16000, 6.0).codes
    for bitrate, count in ((1.5, 3), (3.0, 6)):
        assert torch.equal(tiny.encode(wav, 16000, bitrate).codes, full[:, :count])


@settings(max_examples=8, deadline=None)
@given(cuts=st.lists(st.integers(1, 15), unique=True).map(sorted))
def test_whole_equals_streamed(tiny, cuts):
    """As documented: one more frame of silence in, the first `delay` samples out dropped."""
    length = 15 * HOP - 37
    wav = noise(2, 1, length)
    whole = tiny.encode(wav, 16000, 6.0)
    padded = torch.nn.functional.pad(wav, (0, 16 * HOP - length))
    state, codes = tiny.init_encode_state(2), []
    for block in padded.tensor_split([c * HOP for c in cuts], -1):
        step, state = tiny.encode_step(block, state, 12)
        codes.append(step)
    assert torch.equal(torch.cat(codes, -1), whole.codes)
    state, parts = tiny.init_decode_state(2), []
    for block in whole.codes.tensor_split(cuts, -1):
        step, state = tiny.decode_step(block, state)
        assert step.shape == (2, 1, block.shape[-1] * HOP)
        parts.append(step)
    streamed = torch.cat(parts, -1)[..., tiny.config.delay :][..., :length]
    assert torch.allclose(streamed.clamp(-1, 1), tiny.decode(whole), atol=1e-6)


def test_long_signals_pass_in_blocks_unnoticed(tiny, monkeypatch):
    wav = noise(1, 1, 20 * HOP + 5)
    whole = tiny.encode(wav, 16000)
    sound = tiny.decode(whole)
    monkeypatch.setattr("mynah.codec.codec.BLOCK_FRAMES", 3)
    assert torch.equal(tiny.encode(wav, 16000).codes, whole.codes)
    assert torch.allclose(tiny.decode(whole), sound, atol=1e-6)


def test_depths(tiny):
    """The last depth and the latent are what `features` and the encoder's blocks give."""
    wav = torch.randn(2, 1, 3300) * 0.1
    hidden, latent = tiny.depths(wav)
    assert hidden.shape == (tiny.config.encoder_layers + 2, 2, tiny.config.encoder_dim, 11)
    torch.testing.assert_close(latent, tiny.features(wav))
    encoder = tiny.network.encoder
    projected = encoder.normalise(encoder.output(hidden[-1].transpose(1, 2)))
    torch.testing.assert_close(projected.transpose(1, 2), latent)
    for i, block in enumerate(encoder.stack.blocks):
        x = hidden[i].transpose(1, 2)
        torch.testing.assert_close(block.step(x, block.init_state(2))[0].transpose(1, 2), hidden[i + 1])
    assert not hidden.is_inference()


def test_features(tiny):
    wav = noise(2, 1, 10 * HOP + 1)
    features = tiny.features(wav)
    assert features.shape == (2, tiny.config.latent_dim, 11)
    quantizer = tiny.network.quantizer
    codes = quantizer.encode(features.transpose(1, 2), 12, SEARCH_PATHS, tiny.operating_points)
    assert torch.equal(codes, tiny.encode(wav, 16000, 6.0).codes[..., :11])


def test_results_may_enter_another_networks_training(tiny):
    wav = noise(1, 1, 4 * HOP)
    codes, _ = tiny.encode_step(wav, tiny.init_encode_state(1), 3)
    sound, _ = tiny.decode_step(codes, tiny.init_decode_state(1))
    weight = torch.ones(1, requires_grad=True)
    (tiny.features(wav) * weight).sum().backward()
    (sound * weight).sum().backward()
    torch.nn.Embedding(1024, 2)(codes).sum().backward()
    sound += 1  # and may be changed in place
    assert weight.grad is not None


def test_arrays_and_other_precisions_are_taken(tiny):
    wav = noise(1, 2, 3000).double()
    codes = tiny.encode(wav, 16000).codes
    assert torch.equal(tiny.encode(wav.numpy(), 16000).codes, codes)
    assert torch.equal(tiny.encode(wav.numpy().astype(np.float32), 16000).codes, codes)


@pytest.mark.parametrize(
    ("wav", "named"),
    [
        (torch.zeros(1, 1, 0), "nothing to code"),
        (torch.zeros(1, 0, 5), "nothing to code"),
        (torch.zeros(0, 1, 5), "nothing to code"),
        (torch.zeros(5), r"\(5,\)"),
        (torch.zeros(1, 5), r"\(1, 5\)"),
        (torch.zeros(1, 1, 5, dtype=torch.int16), "int16"),
        (np.zeros((1, 1, 5), np.int32), "int32"),
        (torch.tensor([[[0.0, float("nan")]]]), "NaN or infinite"),
        (torch.tensor([[[0.0, -float("inf")]]]), "NaN or infinite"),
        (np.full((1, 1, 3), 1e300), "NaN or infinite"),  # beyond float32
    ],
)
def test_what_cannot_be_coded(tiny, wav, named):
    with pytest.raises(AudioError, match=named) as error:
        tiny.encode(wav, 16000)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("sample_rate", [0, -16000, 999, 2_000_000])
def test_a_sample_rate_out_of_range(tiny, sample_rate):
    with pytest.raises(AudioError, match=f"{sample_rate} Hz"):
        tiny.encode(noise(1, 1, 100), sample_rate)


def test_a_bitrate_that_is_not_offered(tiny):
    with pytest.raises(ValueError, match=r"2 kbit/s is not offered: choose one of 1\.5, 3, 6"):
        tiny.encode(noise(1, 1, 100), 16000, 2)
    with pytest.raises(ValueError, match="4 codebooks are no operating point"):
        tiny.decode(torch.zeros(1, 4, 3, dtype=torch.int64))


@pytest.mark.parametrize(
    ("codes", "named"),
    [
        (torch.zeros(3, 4, dtype=torch.int64), r"\(3, 4\)"),
        (torch.zeros(1, 3, 4), "float32"),
        (torch.zeros(1, 3, 0, dtype=torch.int64), r"\(1, 3, 0\)"),
        (torch.full((1, 3, 4), 1024), r"1024\.\.1024: 0\.\.1023"),
        (torch.full((1, 3, 4), -1), r"-1\.\.-1"),
    ],
)
def test_codes_that_cannot_be_decoded(tiny, codes, named):
    with pytest.raises(AudioError, match=named):
        tiny.decode(codes)
    with pytest.raises(AudioError, match=named):
        tiny.decode(Encoded(codes, 16000, 100, 1))


@pytest.mark.parametrize("shape", [(1, 1, 319), (1, 1, 0), (1, 2, 320), (1, 320)])
def test_steps_take_whole_frames_of_mono(tiny, shape):
    with pytest.raises(AudioError, match="is expected"):
        tiny.encode_step(torch.zeros(*shape), tiny.init_encode_state(1), 3)


def test_from_pretrained_restores_what_was_saved(tiny_folder, tmp_path):
    codec = Codec.from_pretrained(tiny_folder)
    again = tmp_path / "again"
    checkpoint.save(again, codec.config, codec.network.state_dict())
    assert not list(again.glob("*.part"))
    assert (again / "model.safetensors").read_bytes() == (tiny_folder / "model.safetensors").read_bytes()
    copy = Codec.from_pretrained(str(again))
    assert copy.config == codec.config
    assert copy.weights_hash == codec.weights_hash
    assert not copy.network.training
    wav = noise(1, 1, 3000)
    assert torch.equal(copy.encode(wav, 16000).codes, codec.encode(wav, 16000).codes)


def test_weights_are_stored_in_16_bits(tiny_folder):
    torch.manual_seed(0)
    stored = load_file(tiny_folder / "model.safetensors")
    assert {t.dtype for t in stored.values()} == {torch.float16}
    loaded = Codec.from_pretrained(tiny_folder).network.state_dict()
    assert all(torch.equal(loaded[k], stored[k].float()) for k in stored)
    assert {t.dtype for t in loaded.values()} == {torch.float32}


def test_the_hash_changes_with_any_byte(tiny_folder, tmp_path):
    folder = tmp_path / "codec"
    shutil.copytree(tiny_folder, folder)
    before = checkpoint.weights_hash(folder)
    assert len(before) == 64
    assert before == checkpoint.weights_hash(tiny_folder)
    rng = np.random.default_rng(0)
    for name in ("config.json", "model.safetensors"):
        path = folder / name
        original = path.read_bytes()
        for position in (0, len(original) - 1, *rng.integers(len(original), size=5)):
            changed = bytearray(original)
            changed[position] ^= 1 << int(rng.integers(8))
            path.write_bytes(changed)
            assert checkpoint.weights_hash(folder) != before
        path.write_bytes(original)
    assert checkpoint.weights_hash(folder) == before
    for name in ("card.md", "tables.safetensors"):  # words, and what the file format hashes by itself
        (folder / name).write_text("something")
    assert checkpoint.weights_hash(folder) == before


def test_the_hash_of_codes_does_not_tell_zeros_apart(tiny):
    """A small weight may be stored as -0.0, and averaging makes 0.0 of it: they code alike."""
    tensors = [{"encoder.x": torch.tensor([1.0, zero])} for zero in (0.0, -0.0, 1e-9)]
    hashes = [checkpoint.codes_hash(tiny.config, one) for one in tensors]
    assert hashes[0] == hashes[1] != hashes[2]


def test_the_hash_of_codes_is_that_of_encoder_and_quantizer(tiny_folder, tmp_path):
    config, tensors = checkpoint.load(tiny_folder)
    before = checkpoint.codes_hash(config, tensors)
    assert before == Codec.from_pretrained(tiny_folder).codes_hash and len(before) == 64
    for name, tensor in tensors.items():
        changed = tensor.clone()
        changed.view(-1)[-1] += 0.5
        same = checkpoint.codes_hash(config, tensors | {name: changed}) == before
        assert same == (name.startswith("decoder.") or name == "quantizer.counts"), name
    for field, value in (("name", "b"), ("decoder_dim", 8), ("fine_layers", 0), ("decoder_layers", 9)):
        assert checkpoint.codes_hash(dataclasses.replace(config, **{field: value}), tensors) == before
    for field, value in (("n_fft", 320), ("bitrates", (3.0, 6.0)), ("encoder_layers", 9)):
        assert checkpoint.codes_hash(dataclasses.replace(config, **{field: value}), tensors) != before


def test_a_codec_with_another_decoder_reads_the_same_files(tiny_folder, tmp_path):
    config, tensors = checkpoint.load(tiny_folder)
    decoder = {k: v * 1.01 if k.startswith("decoder.") else v for k, v in tensors.items()}
    checkpoint.save(tmp_path / "decoder", config, decoder)
    checkpoint.save(
        tmp_path / "encoder", config, tensors | {"encoder.output.bias": tensors["encoder.output.bias"] + 1}
    )
    first, better, foreign = map(
        Codec.from_pretrained, (tiny_folder, tmp_path / "decoder", tmp_path / "encoder")
    )
    assert first.weights_hash != better.weights_hash
    assert first.identity == better.identity != foreign.identity


def test_an_unknown_name_lists_the_shipped_ones(tmp_path, monkeypatch):
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}")
    monkeypatch.setattr(checkpoint, "SHIPPED", tmp_path)
    with pytest.raises(CheckpointError, match=r"'third'.*\(first, second\)"):
        Codec.from_pretrained("third")
    with pytest.raises(CheckpointError, match="neither a shipped codec"):
        Codec.from_pretrained(tmp_path)


@pytest.fixture
def folder(tiny_folder, tmp_path):
    return shutil.copytree(tiny_folder, tmp_path / "codec")


def test_a_config_with_unknown_or_wrong_values(folder):
    config = json.loads((folder / "config.json").read_text())
    for changed, named in (
        (config | {"depth": 3}, r"unknown keys \['depth'\]"),
        (config | {"kernel": "7"}, "kernel='7'"),
        (config | {"n_codebooks": 13}, "all 13 codebooks"),
        (config | {"bitrates": [float("nan")]}, r"bitrates=\(nan,\): kbit/s up to 10000"),
        (config | {"bitrates": [1.5, 1e308]}, r"bitrates=\(1\.5, 1e\+308\): kbit/s up to 10000"),
        (config | {"bitrates": [10**400]}, "bitrates=.*: a list of numbers"),
        (config | {"encoder_dim": 10**6}, "encoder_dim=1000000: a whole number up to 8192"),
        (config | {"fine_dim": 8192, "fine_layers": 200}, "weights in all, 1000000000 at most"),
        (config | {"n_fft": 10**9}, "n_fft=1000000000"),
        ([1, 2], "JSON object"),
    ):
        (folder / "config.json").write_text(json.dumps(changed))
        with pytest.raises(CheckpointError, match=named):
            Codec.from_pretrained(folder)
    for text in ('{"name": ', "[" * 100_000):
        (folder / "config.json").write_text(text)
        with pytest.raises(CheckpointError, match=r"config\.json: not a readable"):
            Codec.from_pretrained(folder)


def test_tensors_missing_extra_or_misshapen(folder):
    path = folder / "model.safetensors"
    tensors = load_file(path)
    name = "quantizer.codebooks"
    for changed, named in (
        ({k: v for k, v in tensors.items() if k != name}, f"{name} is nothing"),
        (tensors | {"other": torch.zeros(1)}, r"other is \(1,\), config.json asks for nothing"),
        (tensors | {name: tensors[name][:3].clone()}, rf"{name} is \(3, 1024, 8\), .* \(12, 1024, 8\)"),
    ):
        save_file(changed, path)
        with pytest.raises(CheckpointError, match=named):
            Codec.from_pretrained(folder)


def test_damaged_weights(folder):
    path = folder / "model.safetensors"
    whole = path.read_bytes()
    for content in (b"", whole[:4], whole[:100], whole[:-1], whole + b"x", b"\xff" * 100, b"hello" * 100):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match=r"model\.safetensors: not readable weights"):
            Codec.from_pretrained(folder)
    path.unlink()
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        Codec.from_pretrained(folder)


def test_a_failed_save_leaves_the_earlier_codec(folder, monkeypatch):
    before = checkpoint.weights_hash(folder)
    codec = Codec.from_pretrained(folder)
    monkeypatch.setattr(checkpoint.os, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        checkpoint.save(folder, codec.config, CodecNetwork(codec.config).state_dict())
    assert checkpoint.weights_hash(folder) == before
