"""The demo: what it takes and refuses, what its endpoints return, and how it starts."""

import re
import socket
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mynah.apps import demo_coding, demo_limits
from mynah.apps.codecs import load
from mynah.codec.bitstream import BitstreamWriter, Header
from mynah.data import audio
from mynah.data.errors import BitstreamError, MynahError

TONE = (0.3 * np.sin(np.arange(16_000) / 5)).astype(np.float32)


def tell(share: float, what: str) -> None:
    assert 0 <= share <= 1 and what


@pytest.fixture(scope="module")
def done(speech, tmp_path_factory) -> demo_coding.Reconstruction:
    """The sample sound, in stereo at 48 kHz, at 3 kbit/s."""
    pytest.importorskip("pesq")
    folder = tmp_path_factory.mktemp("done")
    stereo = audio.resample(np.stack([speech, 0.5 * speech]), 16_000, 48_000)
    audio.save(folder / "talk.flac", stereo, 48_000)
    (folder / "results").mkdir()
    return demo_coding.reconstruct(str(folder / "talk.flac"), 3.0, folder / "results", tell)


# A recording there and back


def test_both_sounds_are_of_one_rate_and_length(done, speech):
    assert done.original.sample_rate == done.copy.sample_rate == 48_000
    assert done.original.wav.shape == done.copy.wav.shape == (2, 3 * len(speech))
    assert np.corrcoef(done.original.wav[0], done.copy.wav[0])[0, 1] > 0.3


def test_the_table_has_scores_and_the_real_rate(done):
    values = {name: value for name, value, _ in done.table}
    size = Path(done.file).stat().st_size
    assert (
        values["real kbit/s"] == pytest.approx(size * 8e-3 / 3.6, rel=0.1) and 3 < values["real kbit/s"] < 7
    )
    assert 1.5 < values["PESQ-WB"] < 4.64
    assert 0.6 < values["ESTOI"] < 1
    assert 0 < values["mel distance"] < 0.6


def test_a_score_that_is_not_defined_is_a_dash():
    sound = audio.Audio(TONE[None], 16_000)
    rows = demo_coding.measured(100, 1.0, sound, demo_coding.Scores(float("nan"), float("nan"), 0.1234))
    assert [row[1] for row in rows] == [1.0, "-", "-", 0.123]
    assert "320 times" in rows[0][2]


def test_results_are_files_in_the_folder(done):
    names = sorted(path.name for path in Path(done.file).parent.iterdir())
    assert names == ["spectrograms.png", "talk.mynah", "tokens.png"]
    for picture in (done.spectrograms, done.tokens):
        assert Path(picture).read_bytes().startswith(b"\x89PNG")


def test_the_file_opens_as_the_same_sound(done, tmp_path):
    opened = demo_coding.open_file(done.file, tmp_path, tell)
    assert opened.sound.sample_rate == 48_000
    np.testing.assert_allclose(opened.sound.wav, done.copy.wav, atol=1e-5)
    facts = dict(opened.table)
    assert "48000 Hz, 2 channels" in facts["recording"]
    assert facts["operating point"].startswith("3 kbit/s a channel")
    assert Path(opened.tokens).read_bytes() == Path(done.tokens).read_bytes()


def test_alike_tokens_have_like_shades():
    codec = load("mynah-16k")
    size = codec.config.codebook_size
    shades = demo_coding.token_shades(codec, np.arange(size)[None, None])[0, 0]
    assert sorted(shades) == pytest.approx(np.linspace(0, 1, size))
    vectors = codec.network.quantizer.codebooks[0].numpy()
    order = np.argsort(shades)
    steps = np.linalg.norm(np.diff(vectors[order], axis=0), axis=1).mean()
    assert steps < np.linalg.norm(np.diff(vectors, axis=0), axis=1).mean()


# What is refused


def write_text(path):
    path.write_text("not a sound at all " * 50)


def write_long(path):
    soundfile.write(path, np.tile(TONE, 61), 16_000)


def write_short(path):
    soundfile.write(path, TONE[:1_000], 16_000)


def write_silence(path):
    soundfile.write(path, np.full(16_000, 2e-4), 16_000, subtype="FLOAT")


def write_nan(path):
    soundfile.write(path, np.r_[TONE, np.nan], 16_000, subtype="FLOAT")


def write_surround(path):
    soundfile.write(path, np.stack([TONE] * 6, axis=1), 16_000)


def write_ultrasound(path):
    soundfile.write(path, TONE, 400_000)


def write_large(path):
    path.write_bytes(b"\0" * 25_000_001)


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (write_text, "not a sound file"),
        (write_long, "61.00 s long, the demo takes 0.1 to 60 s"),
        (write_short, "0.06 s long"),
        (write_silence, "silent, its loudest sample lies at -74 dB; -60 dB are needed"),
        (write_nan, "sample 16000 of channel 0 is nan"),
        (write_surround, "6 channels, the demo takes 1 or 2"),
        (write_ultrasound, "400000 Hz, the demo takes 192000 Hz"),
        (write_large, "25.0 MB, the demo takes 25 MB"),
        (Path.touch, "is empty"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_recording_is_refused(write, words, tmp_path):
    path = tmp_path / "a.wav"
    write(path)
    with pytest.raises(MynahError) as caught:
        demo_coding.reconstruct(str(path), 3.0, tmp_path, tell)
    assert re.search(rf"^a\.wav: .*{re.escape(words)}", str(caught.value)), caught.value
    assert str(tmp_path) not in str(caught.value)
    assert [file.name for file in tmp_path.iterdir()] == ["a.wav"]


@pytest.mark.parametrize("path", [None, ""])
def test_nothing_given_is_refused(path, tmp_path):
    with pytest.raises(MynahError, match="no sound yet"):
        demo_coding.reconstruct(path, 3.0, tmp_path, tell)
    with pytest.raises(MynahError, match="no file yet"):
        demo_coding.open_file(path, tmp_path, tell)


def test_a_header_that_promises_less_is_not_believed(tmp_path, monkeypatch):
    """The length is counted while reading: a stream need not state it."""
    write_long(tmp_path / "a.wav")
    monkeypatch.setattr(audio.AudioInfo, "seconds", None)
    with pytest.raises(MynahError, match=r"^a\.wav: longer than 60 s"):
        demo_limits.read_recording(str(tmp_path / "a.wav"))


def test_a_bitrate_that_is_not_offered_is_refused(tmp_path):
    audio.save(tmp_path / "a.wav", TONE, 16_000)
    with pytest.raises(MynahError, match="7"):
        demo_coding.reconstruct(str(tmp_path / "a.wav"), 7.0, tmp_path, tell)


def write_codes(path, channels=1, n_codebooks=6, frames=10, length=None):
    """A `.mynah` file of the shipped codec, of random codes."""
    codec = load("mynah-16k")
    config = codec.config
    header = Header(config.name, codec.identity, 16_000, channels, n_codebooks, config.frame_rate)
    with open(path, "wb") as file:
        writer = BitstreamWriter(file, header, codec.tables)
        rng = np.random.default_rng(0)
        writer.write(rng.integers(0, config.codebook_size, (channels, n_codebooks, frames)))
        writer.close(max(0, frames - 1) * config.hop_length if length is None else length)


def write_damaged(path):
    write_codes(path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def write_cut(path):
    write_codes(path)
    path.write_bytes(path.read_bytes()[:-5])


def write_other_identity(path):
    config = load("mynah-16k").config
    header = Header(config.name, "0" * 16, 16_000, 1, 6, config.frame_rate)
    with open(path, "wb") as file:
        BitstreamWriter(file, header, load("mynah-16k").tables).close(0)


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (write_text, "not a .mynah file"),
        (write_damaged, "salvage"),
        (write_cut, "cut short"),
        (write_other_identity, "with identity 0000000000000000"),
        (lambda path: write_codes(path, frames=0), "holds no samples"),
        (lambda path: write_codes(path, channels=3), "3 channels, the demo takes 1 or 2"),
        (lambda path: write_codes(path, n_codebooks=5), "found 5 codebooks, this codec decodes 3, 6, 12"),
        (lambda path: write_codes(path, frames=3_002), "60.02 s long, the demo takes 60 s"),
        (lambda path: write_codes(path, frames=4_000, length=160), "79.96 s long, the demo takes 60 s"),
        (write_large, "25.0 MB, the demo takes 25 MB"),
        (Path.touch, "is empty"),
    ],
)
def test_a_mynah_file_is_refused(write, words, tmp_path):
    path = tmp_path / "a.mynah"
    write(path)
    with pytest.raises(MynahError) as caught:
        demo_coding.open_file(str(path), tmp_path, tell)
    assert re.search(rf"^a\.mynah: .*{re.escape(words)}", str(caught.value)), caught.value
    assert [file.name for file in tmp_path.iterdir()] == ["a.mynah"]


def test_the_command_line_refuses_codebooks_that_are_not_offered(mynah, tmp_path):
    write_codes(tmp_path / "a.mynah", n_codebooks=5)
    result = mynah("decode", tmp_path / "a.mynah", tmp_path / "a.wav")
    assert (result.returncode, result.stdout) == (2, "")
    assert "found 5 codebooks" in result.stderr and len(result.stderr.splitlines()) == 1


# How it starts


def test_without_gradio_one_line_says_what_to_install(mynah, free_port, monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    result = mynah("demo", "--port", free_port())
    assert result.returncode == 2
    assert result.stderr == "mynah: the demo needs the package gradio: pip install 'mynah[demo]'\n"


def test_an_address_that_cannot_be_had_is_named(mynah, monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)  # it is not even asked for
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = mynah("demo", "--port", port)
    assert result.returncode == 2
    assert result.stderr.startswith(f"mynah: --host 127.0.0.1 --port {port}: cannot be listened on (")
    assert mynah("demo", "--host", "no such host").returncode == 2
    assert mynah("demo", "--port", 0).returncode == 2


def test_handlers_turn_what_is_wrong_into_a_message_of_the_page():
    gradio = pytest.importorskip("gradio")
    from mynah.apps import demo_parts

    with pytest.raises(gradio.Error) as caught, demo_parts.clear_errors():
        raise BitstreamError("<b>.mynah: damaged")
    assert caught.value.message == "&lt;b&gt;.mynah: damaged"


def test_players_get_16_bits_at_the_level_of_the_sound():
    pytest.importorskip("gradio")
    from mynah.apps import demo_parts

    rate, samples = demo_parts.for_player(audio.Audio(np.array([[0.5, -2.0], [0, 1]], np.float32), 8_000))
    assert (rate, samples.dtype, samples.tolist()) == (8_000, np.int16, [[16384, 0], [-32767, 32767]])


def test_endpoints(demo_url, speech, tmp_path):
    """As a program uses them, over HTTP: there, back, and what is refused."""
    from gradio_client import Client, handle_file
    from gradio_client.exceptions import AppError

    audio.save(tmp_path / "talk.wav", speech, 16_000)
    client = Client(demo_url, verbose=False, download_files=tmp_path / "got")
    talk = handle_file(tmp_path / "talk.wav")
    original, copy, scores, _, _, coded = client.predict(talk, 6.0, api_name="/reconstruct")
    np.testing.assert_allclose(audio.load(original).wav[0], speech, atol=2e-4)
    assert audio.load(copy).wav.shape == (1, len(speech))
    assert 4 < dict(row[:2] for row in scores["data"])["real kbit/s"] < 7
    assert Path(coded).name == "talk.mynah"

    sound, facts, _ = client.predict(handle_file(coded), api_name="/open")
    np.testing.assert_allclose(audio.load(sound).wav, audio.load(copy).wav, atol=2e-4)
    assert "6 kbit/s" in dict(facts["data"])["operating point"]

    with pytest.raises(AppError, match="no sound yet"):
        client.predict(None, 3.0, api_name="/reconstruct")
    with pytest.raises(AppError, match=r"talk\.wav: not a \.mynah file"):
        client.predict(talk, api_name="/open")
    with pytest.raises(AppError, match="choices"):
        client.predict(talk, 7.0, api_name="/reconstruct")
