"""Metrics: published values, analytic values, an independent implementation, and order."""

import subprocess
import sys
import warnings

import numpy as np
import pytest

from mynah.data import metrics
from mynah.data.errors import AudioError, MynahError
from mynah.data.stft import mel_filterbank, stft_magnitude

PAIRS = [metrics.pesq_wb, metrics.stoi, metrics.estoi, metrics.si_sdr, metrics.mel_distance]
PACKAGES = {
    metrics.pesq_wb: "pesq",
    metrics.stoi: "pystoi",
    metrics.estoi: "pystoi",
    metrics.dnsmos: "speechmos",
}


def needs(*packages):
    """Skip where the extra is not installed; `[test]` includes it."""
    for package in packages:
        pytest.importorskip(package)


def voice(seconds: float = 3.0) -> np.ndarray:
    """Four syllables a second of a buzz at 120 Hz with vibrato: enough like speech for every metric."""
    time = np.arange(round(16_000 * seconds)) / 16_000
    buzz = sum(
        np.sin(2 * np.pi * 120 * h * time + 3 * np.sin(2 * np.pi * 3 * time)) / h for h in range(1, 20)
    )
    wav = buzz * np.clip(np.sin(2 * np.pi * 2 * time), 0, 1)
    return 0.3 * wav / np.abs(wav).max()


def noise(size: int, level: float = 1.0) -> np.ndarray:
    return level * np.random.default_rng(0).standard_normal(size)


def test_pesq_of_identical_sounds_is_the_top_of_p862_2():
    """The mapping of P.862.2 at its highest raw score, 4.5."""
    needs("pesq")
    top = 0.999 + 4 / (1 + np.exp(-1.3669 * 4.5 + 3.8224))
    assert top == pytest.approx(4.643888, abs=1e-6)
    assert metrics.pesq_wb(voice(), voice()) == pytest.approx(top, abs=1e-5)


BURSTS = """
import sys
import numpy as np
from mynah.data import metrics
time = np.arange(round(float(sys.argv[1]) * 16_000))
wav = 0.5 * np.sin(2 * np.pi * 440 * time / 16_000) * (time % int(sys.argv[2]) < int(sys.argv[3]))
print(metrics.pesq_wb(wav, wav + 1e-3 * np.random.default_rng(0).standard_normal(len(wav))))
"""


@pytest.mark.parametrize(("seconds", "period", "on"), [(18, 6208, 2944), (18, 6400, 3008), (60, 6400, 3008)])
def test_pesq_has_room_for_every_utterance(seconds, period, on):
    """Bursts as dense as PESQ still tells apart, in another process: it is killed where they are too many."""
    needs("pesq")
    command = [sys.executable, "-c", BURSTS, str(seconds), str(period), str(on)]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run
    assert 1 < float(run.stdout) < 4.65


def test_pesq_of_a_long_sound_is_the_mean_of_its_pieces():
    needs("pesq")
    ref = voice(20.0)
    deg = ref + noise(len(ref), 0.001) * np.linspace(0.1, 1, len(ref))
    halves = [metrics.pesq_wb(ref[part], deg[part]) for part in (slice(160_000), slice(160_000, None))]
    assert halves[0] != halves[1]
    assert metrics.pesq_wb(ref, deg) == pytest.approx(np.mean(halves), abs=1e-9)
    ref[160_000:] = 0
    assert metrics.pesq_wb(ref, deg) == halves[0]


def test_stoi_and_estoi_of_identical_sounds_are_one():
    needs("pystoi")
    assert metrics.stoi(voice(), voice()) == pytest.approx(1, abs=1e-6)
    assert metrics.estoi(voice(), voice()) == pytest.approx(1, abs=1e-6)


def test_fixed_noisy_sound():
    """Values of pesq 0.0.4 and pystoi 0.4.1 on this sound, to notice a library that changes."""
    needs("pesq", "pystoi")
    ref = voice()
    deg = ref + noise(len(ref), 0.001)
    assert metrics.pesq_wb(ref, deg) == pytest.approx(1.482, abs=0.01)
    assert metrics.stoi(ref, deg) == pytest.approx(0.8649, abs=1e-3)
    assert metrics.estoi(ref, deg) == pytest.approx(0.3725, abs=1e-3)


@pytest.mark.parametrize("metric", PAIRS)
def test_more_noise_is_worse(metric):
    needs(*[PACKAGES[metric]] if metric in PACKAGES else [])
    ref = voice()
    scores = [metric(ref, ref + noise(len(ref), level)) for level in (1e-4, 1e-3, 1e-2)]
    better = sorted(scores, reverse=metric is not metrics.mel_distance)
    assert scores == better and len(set(scores)) == 3


@pytest.mark.parametrize("snr", [-5.0, 0.0, 12.5, 40.0])
@pytest.mark.parametrize("scale", [0.1, 1.0, -3.0])
def test_si_sdr_of_orthogonal_noise_is_the_ratio(snr, scale):
    time = np.arange(16_000) / 16_000
    ref = np.sin(2 * np.pi * 100 * time)
    rest = np.cos(2 * np.pi * 100 * time) * 10 ** (-snr / 20)
    assert metrics.si_sdr(ref, scale * (ref + rest) + 0.2) == pytest.approx(snr, abs=1e-9)


def test_si_sdr_ends():
    ref = voice()
    assert metrics.si_sdr(ref, ref) == np.inf
    assert metrics.si_sdr(ref, 0.3 * ref) > 250
    assert np.isnan(metrics.si_sdr(ref, np.full(len(ref), 0.1)))
    assert np.isnan(metrics.si_sdr(np.full(len(ref), 0.1), ref))


def test_mel_distance_of_a_gain_is_its_logarithm():
    ref = noise(32_000, 0.1)
    assert metrics.mel_distance(ref, ref) == 0
    assert metrics.mel_distance(ref, ref / 10) == pytest.approx(1, abs=1e-6)
    assert metrics.mel_distance(ref / 10, ref) == pytest.approx(1, abs=1e-6)


def test_mel_distance_stops_at_the_floor():
    silence = np.zeros(16_000)
    assert metrics.mel_distance(silence, silence + 1e-9) == 0
    ref = noise(16_000, 0.1)
    bands = mel_filterbank() @ stft_magnitude(ref)
    expected = float(np.mean(np.log10(bands) + 5))
    assert metrics.mel_distance(ref, silence) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("sample_rate", "n_fft", "n_mels"), [(16_000, 1024, 80), (44_100, 2048, 128)])
def test_mel_filterbank_is_librosas(sample_rate, n_fft, n_mels):
    librosa = pytest.importorskip("librosa")
    reference = librosa.filters.mel(sr=sample_rate, n_fft=n_fft, n_mels=n_mels)
    assert np.abs(mel_filterbank(sample_rate, n_fft, n_mels) - reference).max() < 1e-6


@pytest.mark.parametrize("length", [1, 255, 256, 5000])
def test_stft_is_librosas(length):
    librosa = pytest.importorskip("librosa")
    wav = noise(length, 0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # librosa finds one sample short
        reference = np.abs(librosa.stft(wav, n_fft=1024, hop_length=256, pad_mode="constant"))
    assert stft_magnitude(wav).shape == (513, 1 + length // 256)
    assert np.abs(stft_magnitude(wav) - reference).max() < 1e-5


def test_long_spectrogram_has_no_seams(monkeypatch):
    wav = noise(20_000)
    whole = stft_magnitude(wav)
    monkeypatch.setattr("mynah.data.stft._FRAMES_AT_ONCE", 7)
    assert np.array_equal(stft_magnitude(wav), whole)


def test_dnsmos_hears_background_noise():
    needs("speechmos")
    wav = voice(9.5)  # one window of 9.01 s: what is shorter is repeated to several
    clean, noisy = metrics.dnsmos(wav), metrics.dnsmos(wav + noise(len(wav), 0.05))
    assert all(1 <= score <= 5 for score in (*clean, *noisy))
    assert noisy.bak < clean.bak - 0.3 and noisy.ovrl < clean.ovrl
    loud = metrics.dnsmos(wav * 10)  # speechmos itself refuses samples beyond full scale
    assert loud == metrics.dnsmos(np.clip(wav * 10, -1, 1))
    twice = np.tile(wav[:80_000], 2)  # what is shorter than a window is repeated
    assert metrics.dnsmos(wav[:80_000]) == metrics.dnsmos(twice)


@pytest.mark.parametrize("metric", [metrics.pesq_wb, metrics.stoi, metrics.estoi])
def test_silence_and_too_short_are_nan(metric):
    needs(PACKAGES[metric])
    silence = np.zeros(32_000)
    for ref, deg in [
        (silence, silence),
        (silence, voice(2.0)),
        (voice()[2000:3000], voice()[2000:3000]),
        (voice()[:1], voice()[:1]),
        (silence[:0], silence[:0]),
    ]:
        assert np.isnan(metric(ref, deg))


def test_silent_decoding_counts_as_worst_or_undefined():
    needs("pesq", "pystoi")
    ref = voice()
    silence = np.zeros(len(ref))
    assert np.isnan(metrics.pesq_wb(ref, silence)) and np.isnan(metrics.si_sdr(ref, silence))
    assert metrics.estoi(ref, silence) == pytest.approx(0, abs=0.05)
    assert metrics.stoi(ref, silence) == pytest.approx(0, abs=0.05)
    assert metrics.mel_distance(ref, silence) > 1


def test_too_short_for_the_others():
    needs("speechmos")
    assert np.isnan(metrics.si_sdr(np.zeros(0), np.zeros(0)))
    assert np.isnan(metrics.mel_distance(np.zeros(0), np.zeros(0)))
    assert np.isfinite(metrics.mel_distance(np.ones(1), np.zeros(1)))
    for wav in (np.zeros(0), np.zeros(32_000), voice(0.9)):
        assert np.isnan(metrics.dnsmos(wav)).all()


@pytest.mark.parametrize("metric", PAIRS)
@pytest.mark.parametrize(
    ("deg", "message"),
    [
        (np.zeros(99), "the reference has 100 samples, the degraded sound 99"),
        (np.zeros((1, 100)), r"degraded sound: float64 of shape \[1, 100\], expected floating point \[T\]"),
        (np.zeros(100, np.int16), "degraded sound: int16"),
        (np.array([0.0] * 42 + [np.nan] * 58), "degraded sound: sample 42 is not a finite number"),
    ],
)
def test_pairs_that_do_not_fit(metric, deg, message):
    with pytest.raises(AudioError, match=message):
        metric(np.zeros(100), deg)


@pytest.mark.parametrize("metric", PACKAGES)
def test_missing_package_is_named(metric, monkeypatch):
    package = PACKAGES[metric]
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setitem(sys.modules, f"{package}.dnsmos", None)
    arguments = [voice()] if metric is metrics.dnsmos else [voice(), voice()]
    with pytest.raises(MynahError, match=rf"needs the package {package}: pip install 'mynah\[metrics\]'"):
        metric(*arguments)


def test_silence_ratio():
    rng = np.random.default_rng(0)
    loud = 0.1 * rng.standard_normal(16_000)
    assert metrics.silence_ratio(loud, loud) == 0
    half = loud * np.repeat([1.0, 0.0], 8_000)
    assert metrics.silence_ratio(half, loud) == pytest.approx(0.5)
    assert metrics.silence_ratio(loud, half) == 0
    assert metrics.silence_ratio(0.02 * loud, loud) == 0
    assert metrics.silence_ratio(0.005 * loud, loud) == 1
    assert np.isnan(metrics.silence_ratio(loud[:100], loud))
    assert np.isnan(metrics.silence_ratio(loud, np.zeros(16_000)))
    with pytest.raises(AudioError):
        metrics.silence_ratio(loud, loud[None])


def test_sounding():
    rng = np.random.default_rng(0)
    loud = 0.1 * rng.standard_normal(16_000)
    quiet = 1e-4 * rng.standard_normal(3_200)
    assert metrics.sounding(loud) == slice(0, 16_000)
    assert metrics.sounding(np.concatenate([quiet, loud, quiet, loud, quiet])) == slice(3_200, 38_400)
    assert metrics.sounding(np.zeros(16_000)) == slice(0, 0)
    assert metrics.sounding(loud[:300]) == slice(0, 0)
    assert metrics.sounding(np.concatenate([np.zeros(320), loud[:300]])) == slice(0, 0)
    with pytest.raises(AudioError):
        metrics.sounding(loud[None])
