"""Losses: zero at equality, finite gradients, independent references, PESQ's ranking, and their shares."""

import numpy as np
import pytest
import torch
from scipy.signal import butter, lfilter
from scipy.stats import spearmanr

from mynah.codec.balancer import Balancer
from mynah.codec.config import CodecConfig
from mynah.codec.discriminator import MultiScaleDiscriminator, discriminator_loss, generator_losses
from mynah.codec.intelligibility import Unintelligibility
from mynah.codec.losses import SpectralLosses, mel_filters, rfft
from mynah.codec.network import CodecNetwork
from mynah.codec.objective import Adversarial, Reconstruction
from mynah.codec.perceptual import PerceptualDisturbance


@pytest.fixture(scope="module")
def voice(speech) -> torch.Tensor:
    """Two seconds of the speech-like sound, [1, T]."""
    return torch.from_numpy(speech[: 2 * 16000])[None]


@pytest.fixture(scope="module")
def spectral() -> SpectralLosses:
    return SpectralLosses()


@pytest.fixture(scope="module")
def perceptual() -> PerceptualDisturbance:
    return PerceptualDisturbance()


@pytest.fixture(scope="module")
def unintelligibility() -> Unintelligibility:
    return Unintelligibility()


def with_noise(wav: torch.Tensor, snr: float, seed: int = 0) -> torch.Tensor:
    noise = torch.randn(wav.shape, generator=torch.Generator().manual_seed(seed))
    return wav + noise * wav.std() * 10 ** (-snr / 20)


def test_rfft_passes_gradcheck_and_equals_torchs():
    x = torch.randn(3, 16, dtype=torch.float64, requires_grad=True)
    assert torch.allclose(rfft(x), torch.view_as_real(torch.fft.rfft(x)))
    assert torch.autograd.gradcheck(rfft, (x,))
    assert torch.autograd.gradcheck(lambda y: rfft(y).square().sum(-1).sqrt(), (x,))


@pytest.mark.parametrize(("n_fft", "n_mels"), SpectralLosses.SCALES)
def test_mel_filters_equal_librosas(n_fft, n_mels):
    librosa_filters = pytest.importorskip("librosa.filters")
    reference = librosa_filters.mel(sr=16000, n_fft=n_fft, n_mels=n_mels, htk=True, norm=None)
    mine = mel_filters(n_fft, n_mels, 16000)
    assert np.allclose(mine.T.numpy(), reference, atol=2e-4)
    assert (mine.sum(0) > 0).all()  # no filter between two bins


def test_spectral_losses_are_zero_at_equality_and_rise_with_noise(spectral, voice):
    assert [float(x) for x in spectral(voice, voice)] == [0, 0]
    values = [[float(x) for x in spectral(with_noise(voice, snr), voice)] for snr in (40, 30, 20, 10, 0)]
    assert all((np.diff(column) > 0).all() for column in np.array(values).T)


def test_log_mel_distance_of_a_gain_is_its_logarithm(spectral):
    """Twice as loud is ln 2 away in every band that lies far above the floor."""
    wav = 0.4 * torch.randn(1, 16000, generator=torch.Generator().manual_seed(0))
    mel, _ = spectral(2 * wav, wav)
    assert float(mel) == pytest.approx(np.log(2), rel=0.02)


@pytest.mark.parametrize("scale", [0.0, 1e-6, 0.1, 1.0])
@pytest.mark.parametrize("target_scale", [0.0, 0.1])
def test_gradients_are_finite_also_at_silence(spectral, perceptual, unintelligibility, scale, target_scale):
    generator = torch.Generator().manual_seed(0)
    target = target_scale * torch.randn(2, 8000, generator=generator)
    estimate = (scale * torch.randn(2, 8000, generator=generator)).requires_grad_()
    mel, compressed = spectral(estimate, target)
    distances = [loss(estimate, target).sum() for loss in (perceptual, unintelligibility)]
    for loss in (mel.sum(), compressed.sum(), *distances):
        (gradient,) = torch.autograd.grad(loss, estimate, retain_graph=True)
        assert torch.isfinite(loss)
        assert torch.isfinite(gradient).all()


def test_perceptual_is_next_to_zero_at_equality_and_monotone_in_snr(perceptual, voice):
    assert float(perceptual(voice, voice)) < 1e-3
    values = [float(perceptual(with_noise(voice, snr), voice)) for snr in (60, 50, 40, 30, 20, 10, 0)]
    assert (np.diff(values) > 0).all()
    assert values[-1] > 1


def test_perceptual_hears_what_is_missing_but_minds_additions_more(perceptual, voice):
    """The symmetric part alone answers for a lost band; noise of the same power costs more."""
    low = lfilter(*butter(4, 1500 / 8000), voice.numpy()).astype(np.float32)
    lost = torch.from_numpy(low) - voice
    missing = float(perceptual(torch.from_numpy(low), voice))
    added = float(perceptual(voice + lost.std() * torch.randn_like(voice), voice))
    assert missing > 0.5
    assert added > 2 * missing


def test_perceptual_is_blind_to_gain(perceptual, voice):
    noisy = with_noise(voice, 20)
    assert float(perceptual(0.2 * noisy, voice)) == pytest.approx(float(perceptual(noisy, voice)), rel=1e-3)


def test_losses_treat_items_of_a_batch_alone(spectral, perceptual, unintelligibility, voice):
    pair = torch.cat([with_noise(voice, 10), with_noise(voice, 30)])
    spectra = [lambda *x: spectral(*x)[0], lambda *x: spectral(*x)[1]]
    targets = torch.cat([voice, 0.03 * voice])
    for loss in (perceptual, unintelligibility, *spectra):
        together = loss(pair, targets)
        assert together.shape == (2,)
        for item, target, value in zip(pair, targets, together, strict=True):
            assert float(loss(item[None], target[None])) == pytest.approx(float(value), rel=1e-5)


def degradations(wav: np.ndarray) -> list[np.ndarray]:
    """Noise, bands, coarse amplitudes, and spectra with disturbed magnitudes and phases."""
    rng = np.random.default_rng(0)
    out = [with_noise(torch.from_numpy(wav), snr).numpy() for snr in (35, 25, 15, 5)]
    out += [lfilter(*butter(4, cutoff / 8000), wav) for cutoff in (1000, 2000, 3400, 5000)]
    out += [np.round(wav / wav.std() / step) * step * wav.std() for step in (0.5, 0.2, 0.05)]
    window = torch.hann_window(512)
    spectra = torch.stft(torch.from_numpy(wav), 512, 128, window=window, return_complex=True).numpy()
    for amount in (0.1, 0.3, 0.6, 1.0):
        deviation = rng.standard_normal(spectra.shape)
        for changed in (spectra * np.exp(amount * deviation), spectra * np.exp(3j * amount * deviation)):
            tensor = torch.from_numpy(changed.astype(np.complex64))
            out.append(torch.istft(tensor, 512, 128, window=window, length=len(wav)).numpy())
    return [np.asarray(d, np.float32) for d in out]


def test_perceptual_ranks_degradations_as_pesq_does(perceptual, speech):
    """Spearman's correlation over 19 degradations: 0.88 when this was written."""
    from mynah.data.metrics import pesq_wb

    wav = speech[: 4 * 16000]
    scores, disturbances = [], []
    for degraded in degradations(wav):
        scores.append(pesq_wb(wav, degraded))
        pair = torch.from_numpy(degraded)[None], torch.from_numpy(wav)[None]
        disturbances.append(-float(perceptual(*pair)))
    assert spearmanr(scores, disturbances).statistic > 0.85


def test_unintelligibility_is_one_less_estoi(unintelligibility, speech):
    """Within 0.01 for 19 degradations of 4 s and for the same with a second of silence in it."""
    from mynah.data.metrics import estoi

    wav = speech[: 4 * 16000]
    for changed, gap in ((degradations(wav), 0), (degradations(wav)[::4], 16000)):
        target = np.concatenate([wav[:32000], np.zeros(gap, np.float32), wav[32000:]])
        for degraded in changed:
            estimate = np.concatenate([degraded[:32000], np.zeros(gap, np.float32), degraded[32000:]])
            pair = torch.from_numpy(estimate)[None], torch.from_numpy(target)[None]
            assert 1 - float(unintelligibility(*pair)) == pytest.approx(estoi(target, estimate), abs=0.01)


def test_unintelligibility_is_zero_at_equality_and_for_too_little_speech(unintelligibility, voice):
    assert float(unintelligibility(voice, voice)) == pytest.approx(0, abs=1e-4)
    short = voice[:, :6000]
    assert float(unintelligibility(with_noise(short, 0), short)) == 0


def test_unintelligibility_alone_teaches(unintelligibility, voice):
    """Following its gradient makes a noisy sound more intelligible by ESTOI itself."""
    from mynah.data.metrics import estoi

    estimate = with_noise(voice, 0).requires_grad_()
    before = estoi(voice[0].numpy(), estimate.detach()[0].numpy())
    optimizer = torch.optim.Adam([estimate], lr=0.002)
    for _ in range(30):
        optimizer.zero_grad()
        unintelligibility(estimate, voice).sum().backward()
        optimizer.step()
    assert estoi(voice[0].numpy(), estimate.detach()[0].numpy()) > before + 0.1


def test_balancer_gives_each_loss_its_share():
    torch.manual_seed(0)
    output = torch.randn(2, 50, requires_grad=True)
    directions = {"a": torch.randn(2, 50), "b": 1e3 * torch.randn(2, 50), "c": 1e-4 * torch.randn(2, 50)}
    balancer = Balancer({"a": 0.5, "b": 0.25, "c": 1.0}, decay=0.9)

    def combined() -> torch.Tensor:
        return balancer.gradient({k: (output * d).sum() for k, d in directions.items()}, output)

    def norm(x: torch.Tensor) -> float:
        return float(x.norm(dim=1).mean())

    total = combined()
    own = norm(directions["a"])
    expected = directions["a"].clone()
    expected += directions["b"] * (0.25 / 0.5) * own / norm(directions["b"])
    expected += directions["c"] * (1.0 / 0.5) * own / norm(directions["c"])
    assert torch.allclose(total, expected, rtol=1e-4, atol=1e-5)
    for _ in range(50):
        combined()
    directions["b"] *= 100  # shows at first, as the moving average knows better, and is then scaled down
    assert norm(combined()) > 4 * own
    for _ in range(150):
        settled = combined()
    assert torch.allclose(settled, expected, rtol=1e-3, atol=1e-4)


def test_balancer_goes_on_from_its_state():
    output = torch.ones(1, 3, requires_grad=True)
    first, second = (Balancer({"a": 1.0, "b": 1.0}) for _ in range(2))
    losses = {"a": output.sum(), "b": 5 * output.square().sum()}
    first.gradient(losses, output)
    second.load_state_dict(first.state_dict())
    assert torch.equal(first.gradient(losses, output), second.gradient(losses, output))
    assert second.norms == first.norms


def test_a_loss_without_gradient_does_no_harm():
    output = torch.ones(1, 3, requires_grad=True)
    losses = {"a": output.sum(), "b": (0 * output).sum()}
    gradient = Balancer({"a": 1.0, "b": 1.0}).gradient(losses, output)
    assert torch.equal(gradient, torch.ones(1, 3))


def test_adversarial_losses_at_known_values():
    def judged(logit: float, feature: float) -> list:
        return [(torch.full((2, 1, 3, 3), logit), [torch.full((2, 4, 3, 3), feature)])] * 2

    assert float(discriminator_loss(judged(1.0, 0), judged(-1.0, 0))) == 0
    assert float(discriminator_loss(judged(2.0, 0), judged(-3.0, 0))) == 0
    assert float(discriminator_loss(judged(0.0, 0), judged(0.0, 0))) == 2
    assert float(discriminator_loss(judged(-1.0, 0), judged(1.0, 0))) == 4
    adversarial, matching = generator_losses(judged(0, 2.0), judged(0.25, 2.0))
    assert (float(adversarial), float(matching)) == (0.75, 0)
    adversarial, matching = generator_losses(judged(0, 2.0), judged(3.0, 1.0))
    assert (float(adversarial), float(matching)) == (0, 0.5)


def test_discriminator_shapes_and_gradients():
    torch.manual_seed(0)
    critic = MultiScaleDiscriminator((256, 128), 4)
    real, fake = 0.1 * torch.randn(2, 4000), (0.1 * torch.randn(2, 4000)).requires_grad_()
    judged = critic(fake)
    assert len(judged) == 2
    for (logits, features), n_fft in zip(judged, (256, 128), strict=True):
        frames = (4000 - n_fft) // (n_fft // 4) + 1
        assert logits.shape[:3] == (2, 1, frames)
        assert len(features) == 5
    adversarial, matching = generator_losses(critic(real), judged)
    for loss in (adversarial, matching):
        (gradient,) = torch.autograd.grad(loss, fake, retain_graph=True)
        assert torch.isfinite(gradient).all()
        assert gradient.abs().sum() > 0
    _, equal = generator_losses(critic(real), critic(real))
    assert equal.item() == 0


def test_one_judgement_serves_decoder_and_discriminator():
    """The discriminator gets the gradients of a pass of its own; neither loss moves what the other trains."""
    torch.manual_seed(0)
    network = CodecNetwork(CodecConfig(latent_dim=8, encoder_dim=16, decoder_dim=16, fine_dim=16))
    config = network.config
    torch.nn.init.normal_(network.quantizer.codebooks)
    network.freeze_codes()
    frozen = {k: v.clone() for k, v in network.quantizer.state_dict().items()}
    weights = {"mel": 1.0, "intelligibility": 1.0, "adversarial": 1.0, "features": 1.0}
    torch.manual_seed(0)
    critic = MultiScaleDiscriminator((256, 128), 4)
    objective = Adversarial(Reconstruction({"mel": 1.0}, 0.0, config.sample_rate), critic, weights)
    wav, rate = 0.1 * torch.randn(2, 20 * config.hop_length), torch.tensor([0, 1])
    step, critic_loss = objective(network, config, wav, rate)
    step.loss.backward()
    assert all(p.grad is None for p in critic.parameters())
    decoder = {k: p.grad.clone() for k, p in network.named_parameters() if p.grad is not None}
    assert {k.split(".")[0] for k in decoder} == {"decoder"}
    assert all(torch.equal(v, frozen[k]) for k, v in network.quantizer.state_dict().items())
    critic_loss.backward()
    for k, p in network.named_parameters():
        assert p.grad is None if k not in decoder else torch.equal(p.grad, decoder[k])
    shared = [p.grad.clone() for p in critic.parameters()]

    critic.zero_grad()
    books = torch.tensor([config.codebooks_at(b) for b in config.bitrates])[rate]
    with torch.no_grad():
        output = network(wav, rate, books)[0][:, config.delay :]
    alone = discriminator_loss(critic(wav[:, : -config.delay]), critic(output))
    torch.testing.assert_close(alone, critic_loss)
    alone.backward()
    for p, gradient in zip(critic.parameters(), shared, strict=True):
        torch.testing.assert_close(p.grad, gradient)


def test_discriminator_learns_to_tell_noise_from_tones():
    torch.manual_seed(0)
    critic = MultiScaleDiscriminator((128,), 8)
    optimizer = torch.optim.Adam(critic.parameters(), 1e-2)
    time = torch.arange(1000) / 16000
    losses = []
    for _ in range(15):
        tones = 0.3 * torch.sin(2 * torch.pi * (200 + 3000 * torch.rand(4, 1)) * time)
        loss = discriminator_loss(critic(tones), critic(0.2 * torch.randn(4, 1000)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] > 1.9
    assert min(losses) < 0.5
