"""The network: shapes, latency and causality through gradients, streaming equal to the whole, its STFTs."""

import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mynah.codec.config import CodecConfig
from mynah.codec.layers import ChannelNorm, ConvNeXtBlock
from mynah.codec.network import CodecNetwork
from mynah.codec.stft import Analysis, Synthesis
from mynah.data.errors import CheckpointError

HOP = 320
CONFIG = CodecConfig(
    latent_dim=6,
    n_codebooks=3,
    codebook_size=1024,
    bitrates=(0.5, 1.5),
    encoder_dim=12,
    encoder_layers=2,
    decoder_dim=12,
    decoder_layers=2,
    fine_dim=8,
    fine_layers=2,
    kernel=3,
)
FRAMES = 12


@pytest.fixture(scope="module")
def network() -> CodecNetwork:
    torch.manual_seed(0)
    network = CodecNetwork(CONFIG).eval().requires_grad_(False)
    network.quantizer.codebooks.normal_(std=0.5)
    return network


@pytest.fixture(scope="module")
def wav() -> torch.Tensor:
    return 0.1 * torch.randn(2, FRAMES * HOP, generator=torch.Generator().manual_seed(1))


RATE = torch.tensor([0, 1])


def test_shapes(network, wav):
    latent = network.encoder(wav)
    assert latent.shape == (2, FRAMES, CONFIG.latent_dim)
    codes = network.quantizer.encode(latent, 2)
    assert codes.shape == (2, 2, FRAMES)
    assert codes.dtype == torch.int64
    assert network.decoder(latent, RATE).shape == wav.shape
    output, quantized = network(wav, RATE, torch.tensor([1, 3]))
    assert output.shape == wav.shape
    assert quantized.codes.shape == (2, 3, FRAMES)
    noisy, nothing = network(wav, RATE, torch.tensor([1, 3]), noise=torch.zeros(2, FRAMES, 6))
    assert noisy.shape == wav.shape
    assert nothing is None


@pytest.mark.parametrize("frame", [0, 4, FRAMES - 1])
def test_encoder_frames_depend_on_nothing_later(network, wav, frame):
    wav = wav.clone().requires_grad_()
    network.encoder(wav)[0, frame].sum().backward()
    reach = wav.grad[0].abs().nonzero().max()
    assert (frame + 1) * HOP - 4 <= reach < (frame + 1) * HOP  # a window's last samples weigh next to nothing
    assert not wav.grad[1].any()


@pytest.mark.parametrize("sample", [0, 5 * HOP, 7 * HOP - 1, FRAMES * HOP - 1])
def test_decoder_samples_depend_on_no_later_frame(network, sample):
    latent = torch.randn(2, FRAMES, 6).requires_grad_()
    network.decoder(latent, RATE)[0, sample].backward()
    frame = sample // HOP
    assert not latent.grad[0, frame + 1 :].any()
    if sample % HOP:  # a frame's first window starts from zero
        assert latent.grad[0, frame].any()
    assert not latent.grad[1].any()


@pytest.mark.parametrize("sample", [3 * HOP + 1, 5 * HOP + 7, 8 * HOP - 1])
def test_latency_is_a_hop_and_the_delay(network, wav, sample):
    """What stands for input sample s comes `delay` later and looks less than 640 samples ahead."""
    latency = HOP + CONFIG.delay
    assert latency == 640
    assert latency / CONFIG.sample_rate <= 0.040
    wav = wav.clone().requires_grad_()
    network.decoder(network.encoder(wav), RATE)[0, sample + CONFIG.delay].backward()
    ahead = int(wav.grad[0].abs().nonzero().max()) - sample
    assert ahead < latency
    if sample % HOP == 1:  # the sample that waits longest (a window's very first is zero)
        assert ahead > latency - 8


cuts = st.lists(st.integers(1, FRAMES - 1), unique=True).map(sorted)


@settings(max_examples=8, deadline=None)
@given(cuts=cuts)
def test_any_chunking_gives_the_same_codes_and_sound(network, wav, cuts):
    bounds = list(zip([0, *cuts], [*cuts, FRAMES], strict=True))
    whole_latent = network.encoder(wav)
    whole_codes = network.quantizer.encode(whole_latent, 3)
    whole_wav = network.decoder(network.quantizer.decode(whole_codes), RATE)
    state, codes = network.encoder.init_state(2), []
    for a, b in bounds:
        latent, state = network.encoder.step(wav[:, a * HOP : b * HOP], state)
        assert torch.allclose(latent, whole_latent[:, a:b], atol=1e-5)
        codes.append(network.quantizer.encode(latent, 3))
    assert torch.equal(torch.cat(codes, -1), whole_codes)
    state, parts = network.decoder.init_state(2), []
    for a, b in bounds:
        part, state = network.decoder.step(network.quantizer.decode(whole_codes[..., a:b]), RATE, state)
        parts.append(part)
    scale = whole_wav.abs().max()
    assert (torch.cat(parts, 1) - whole_wav).abs().max() < 1e-5 * scale


def test_streams_of_a_batch_do_not_mix(network, wav):
    alone = network.encoder(wav[1:])
    assert torch.allclose(network.encoder(wav)[1:], alone, atol=1e-5)


def test_the_rate_embedding_reaches_the_output(network):
    latent = torch.randn(1, 4, 6)
    low, high = (network.decoder(latent, torch.tensor([r])) for r in (0, 1))
    assert not torch.allclose(low, high, rtol=1e-2)


@pytest.mark.parametrize(("n_fft", "subframes"), [(640, 2), (640, 4), (320, 2), (640, 1)])
def test_synthesis_of_the_true_spectra_gives_the_delayed_input(n_fft, subframes):
    """Undo the analysis' compression: overlap-add gives back the input, n_fft - subhop samples later."""
    subhop = HOP // subframes
    analysis, synthesis = Analysis(n_fft, subhop, subframes), Synthesis(n_fft, subhop)
    wav = torch.randn(2, 9 * HOP, generator=torch.Generator().manual_seed(0))
    features, _ = analysis.step(wav, analysis.init_state(2))
    bins = n_fft // 2 + 1
    parts = features.view(2, -1, 3 * bins)
    magnitude = (parts[..., 2 * bins :] / 0.3).exp()
    compressed = torch.view_as_complex(parts[..., : 2 * bins].unflatten(-1, (bins, 2)).contiguous())
    spectra = compressed * magnitude**0.7
    out, _ = synthesis.step(spectra, synthesis.init_state(2))
    delay = n_fft - subhop
    assert out.shape == wav.shape
    assert torch.allclose(out[:, delay:], wav[:, :-delay], atol=2e-5)
    assert out[:, :delay].abs().max() < 1e-5  # the silence before the first sample


def test_analysis_of_a_tone_peaks_in_its_bin():
    analysis = Analysis(640, 160, 2)
    wav = 0.5 * torch.sin(2 * torch.pi * 1000 / 16000 * torch.arange(4 * HOP))
    features, _ = analysis.step(wav[None], analysis.init_state(1))
    log_magnitude = features[0, -1].view(2, 3, 321)[-1, 2] / 0.3
    assert int(log_magnitude.argmax()) == 40  # 1000 Hz / 25 Hz
    assert float(log_magnitude.max().exp()) == pytest.approx(0.5 * 320 / 2, rel=1e-3)


def test_a_kernel_of_one_has_no_past():
    block = ConvNeXtBlock(4, 1, 2, 1.0)
    state = block.init_state(1)
    for _ in range(3):
        y, state = block.step(torch.randn(1, 5, 4), state)
        assert y.shape == (1, 5, 4)
        assert state.shape == (1, 0, 4)


def test_channel_norm_learns_the_statistics_of_batches():
    torch.manual_seed(0)
    norm = ChannelNorm(3, momentum=0.2)
    scale, shift = torch.tensor([0.5, 2.0, 9.0]), torch.tensor([-1.0, 0.0, 30.0])
    for _ in range(40):
        y = norm(torch.randn(8, 50, 3) * scale + shift, batch_statistics=True)
    assert torch.allclose(y.mean((0, 1)), torch.zeros(3), atol=1e-5)
    assert torch.allclose(y.std((0, 1)), torch.ones(3), atol=1e-2)
    assert torch.allclose(norm.mean, shift, atol=0.3)
    assert torch.allclose(norm.variance.sqrt(), scale, rtol=0.05)
    before = norm.mean.clone()
    norm(torch.randn(8, 50, 3))
    assert torch.equal(norm.mean, before)  # left alone without batch_statistics


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"hop_length": 321}, "hop_length=321"),
        ({"n_fft": 100}, "n_fft=100"),
        ({"n_fft": 1280}, "n_fft=1280"),
        ({"codebook_size": 1000}, "codebook_size=1000"),
        ({"codebook_size": 1}, "bitrates"),
        ({"bitrates": (1.5, 0.5)}, "bitrates"),
        ({"bitrates": (0.7, 1.5)}, "0.7"),
        ({"bitrates": (0.0, 1.5)}, "0 is no multiple"),
        ({"bitrates": (0.5, 1.0)}, "all 3 codebooks"),
        ({"bitrates": ()}, "bitrates"),
        ({"bitrates": "fast"}, "fast"),
        ({"kernel": 0}, "kernel=0"),
        ({"kernel": 3.0}, "kernel=3.0"),
        ({"expansion": True}, "expansion=True"),
        ({"fine_layers": -1}, "fine_layers=-1"),
        ({"name": ""}, "name=''"),
    ],
)
def test_a_wrong_config_is_refused_in_one_line(changes, named):
    with pytest.raises(CheckpointError, match=named) as error:
        dataclasses.replace(CONFIG, **changes)
    assert "\n" not in str(error.value)


def test_derived_sizes():
    config = CodecConfig()
    assert (config.frame_rate, config.bits_per_code, config.subhop, config.delay) == (50, 10, 160, 320)
    assert [config.codebooks_at(b) for b in config.bitrates] == [3, 6, 12]
    with pytest.raises(ValueError, match=r"4 kbit/s is not offered: choose one of 1\.5, 3, 6"):
        config.codebooks_at(4)
    assert dataclasses.replace(CONFIG, fine_layers=0).fine_layers == 0
