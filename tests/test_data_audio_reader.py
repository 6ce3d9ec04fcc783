"""Reading: exact samples from every format, streams from pipes, one clear line for every bad file."""

import io
import os
import struct
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from mynah.data import audio
from mynah.data.errors import AudioError


def tone(seconds=0.5, sample_rate=16000, channels=1, amplitude=0.5):
    """A different tone in each channel: [C, T] float32."""
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    return np.stack([amplitude * np.sin(2 * np.pi * 200 * (c + 1) * time) for c in range(channels)]).astype(
        np.float32
    )


def pipe_in(monkeypatch, data: bytes):
    """Make `data` the standard input."""
    stdin = io.TextIOWrapper(io.BytesIO(data))
    monkeypatch.setattr(sys, "stdin", stdin)
    return stdin


def wav_with_size(path: Path, size: int) -> bytes:
    """The bytes of a WAV file with another number of bytes in its data header."""
    data = path.read_bytes()
    at = data.index(b"data") + 4
    return data[:4] + struct.pack("<I", size) + data[8:at] + struct.pack("<I", size) + data[at + 4 :]


@pytest.fixture
def open_folder():
    """A folder that other users may enter (pytest's own is the owner's alone)."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@pytest.mark.parametrize(
    ("subtype", "bits"),
    [("PCM_U8", 8), ("PCM_16", 16), ("PCM_24", 24), ("PCM_32", 32), ("FLOAT", 24), ("DOUBLE", 24)],
)
def test_wav_subtypes_deliver_every_sample(tmp_path, subtype, bits):
    wav = tone(channels=2)
    path = tmp_path / "a.wav"
    soundfile.write(path, wav.T, 16000, subtype=subtype)
    info = audio.probe(path)
    assert info == (16000, 2, 8000, "WAV", subtype)
    assert info.seconds == 0.5
    loaded = audio.load(path)
    assert loaded.wav.shape == (2, 8000) and loaded.wav.dtype == np.float32 and loaded.sample_rate == 16000
    assert np.abs(loaded.wav - wav).max() <= 2 ** (1 - bits)


@pytest.mark.parametrize(("sample_rate", "channels"), [(192_000, 2), (8_000, 16), (44_100, 1), (1_000, 3)])
def test_any_rate_and_channels(tmp_path, sample_rate, channels):
    wav = tone(0.3, sample_rate, channels)
    soundfile.write(tmp_path / "a.wav", wav.T, sample_rate, subtype="FLOAT")
    assert np.array_equal(audio.load(tmp_path / "a.wav").wav, wav)
    resampled = audio.load(tmp_path / "a.wav", sample_rate=16000)
    length = audio.resampled_length(wav.shape[1], sample_rate, 16000)
    assert resampled.wav.shape == (channels, length) and resampled.sample_rate == 16000


@pytest.mark.parametrize("length", [1, 2, 65_535, 65_536, 65_537])
def test_flac_is_exact_at_block_borders(tmp_path, length):
    steps = np.random.default_rng(0).integers(-(2**15), 2**15, length).astype(np.int16)
    soundfile.write(tmp_path / "a.flac", steps, 16000)
    assert np.array_equal(audio.load(tmp_path / "a.flac").wav[0] * 2**15, steps)


def test_blocks_have_the_asked_length(tmp_path):
    wav = tone(1.0, channels=2)
    soundfile.write(tmp_path / "a.wav", wav.T, 16000, subtype="FLOAT")
    with audio.AudioReader(tmp_path / "a.wav", block_length=3000) as reader:
        blocks = list(reader)
    assert [b.shape for b in blocks] == [(2, 3000)] * 5 + [(2, 1000)]
    assert np.array_equal(np.concatenate(blocks, axis=1), wav)


@pytest.mark.parametrize(
    ("name", "subtype"), [("a.ogg", "VORBIS"), ("a.opus", "OPUS"), ("a.mp3", "MPEG_LAYER_III")]
)
def test_lossy_files_keep_length_and_alignment(tmp_path, name, subtype):
    wav = tone(1.0, 16000)
    container = "MP3" if name.endswith("mp3") else "OGG"
    soundfile.write(tmp_path / name, wav.T, 16000, format=container, subtype=subtype)
    assert audio.probe(tmp_path / name).subtype == subtype
    loaded = audio.load(tmp_path / name)
    assert loaded.wav.shape == (1, 16000)
    assert np.abs(loaded.wav - wav)[:, 1000:-1000].max() < 0.05


def write_av(path: Path, container: str, codec: str, wav: np.ndarray, rate: int, video: bool = False) -> None:
    """Encode `wav` [2, T] with FFmpeg, behind a video stream if asked."""
    with av.open(str(path), "w", format=container) as out:
        if video:
            pictures = out.add_stream("mpeg4", rate=10)
            pictures.width = pictures.height = 64
            pictures.pix_fmt = "yuv420p"
        stream = out.add_stream(codec, rate=rate, layout="stereo", bit_rate=128_000)
        out.start_encoding()
        if video:
            for _ in range(5):
                for packet in pictures.encode(av.VideoFrame(64, 64, "yuv420p")):
                    out.mux(packet)
            for packet in pictures.encode(None):
                out.mux(packet)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(wav), format="fltp", layout="stereo")
        frame.sample_rate, frame.pts = rate, 0
        size = stream.codec_context.frame_size or None
        resampler = av.AudioResampler(stream.codec_context.format, "stereo", rate, frame_size=size)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            for packet in stream.encode(part):
                out.mux(packet)
        for packet in stream.encode(None):
            out.mux(packet)


@pytest.mark.parametrize(
    ("name", "container", "codec", "video", "slack"),
    [
        ("a.m4a", "ipod", "aac", False, 2048),
        ("a.mp4", "mp4", "aac", True, 2048),
        ("a.webm", "webm", "libopus", False, 0),
        ("a.mkv", "matroska", "pcm_s16le", True, 0),
        ("a.wma", "asf", "wmav2", False, 4096),
    ],
)
def test_ffmpeg_formats(tmp_path, name, container, codec, video, slack):
    wav = tone(1.0, 48000, 2)
    write_av(tmp_path / name, container, codec, wav, 48000, video)
    info = audio.probe(tmp_path / name)
    assert info.sample_rate == 48000 and info.channels == 2 and info.length is None and info.seconds is None
    with audio.AudioReader(tmp_path / name, block_length=1000) as reader:
        blocks = list(reader)
    assert all(b.shape == (2, 1000) for b in blocks[:-1]) and all(b.dtype == np.float32 for b in blocks)
    loaded = np.concatenate(blocks, axis=1)
    assert abs(loaded.shape[1] - 48000) <= slack
    for channel in range(2):  # the loudest frequency is the one that went in
        spectrum = np.abs(np.fft.rfft(loaded[channel, 8000:40000]))
        assert spectrum.argmax() * 48000 / 32000 == pytest.approx(200 * (channel + 1), abs=2)
        assert np.sqrt(np.mean(loaded[channel, 8000:40000] ** 2)) == pytest.approx(0.5 / np.sqrt(2), rel=0.05)


def test_damaged_ffmpeg_file(tmp_path):
    write_av(tmp_path / "a.m4a", "ipod", "aac", tone(1.0, 48000, 2), 48000)
    data = (tmp_path / "a.m4a").read_bytes()
    (tmp_path / "a.m4a").write_bytes(data[: len(data) // 2])
    with pytest.raises(AudioError, match=r"a\.m4a"):
        audio.load(tmp_path / "a.m4a")


def test_a_container_that_sends_ffmpeg_nowhere_is_told_of_once(tmp_path, capfd):
    path = tmp_path / "a.wma"
    write_av(path, "asf", "wmav2", tone(0.3, 48000, 2), 48000)
    data = path.read_bytes()
    path.write_bytes(data[:294] + b"\xff" * 9 + data[303:])
    with pytest.raises(AudioError, match=r"a\.wma: not a sound file"):
        audio.load(path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names are UTF-8 here")
@pytest.mark.parametrize("name", [b"gr\xfc\xdf.wav", b"gr\xfc\xdf.m4a"])
def test_a_name_that_is_not_utf_8(tmp_path, name):
    path = tmp_path / os.fsdecode(name)
    if name.endswith(b"m4a"):
        write_av(path, "ipod", "aac", tone(0.3, 48000, 2), 48000)
    else:
        soundfile.write(os.fsencode(path), tone()[0], 16000, format="WAV")
        assert audio.comment(path) == ""
    assert audio.load(path).wav.any()
    path.write_bytes(b"no sound")
    with pytest.raises(AudioError, match="not a sound file"):
        audio.load(path)


def test_truncated_flac_is_an_error(tmp_path):
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 200_000)
    soundfile.write(tmp_path / "a.flac", noise, 16000)
    data = (tmp_path / "a.flac").read_bytes()
    (tmp_path / "a.flac").write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(AudioError, match=r"a\.flac: damaged"):
        audio.load(tmp_path / "a.flac")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.wav", b"", "is empty"),
        ("text.wav", b"this is no sound\n" * 50, "not a sound file"),
        ("text.txt", b"this is no sound\n" * 50, "holds no sound"),
        ("list.m3u8", b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.wav\n#EXT-X-ENDLIST\n", "not a sound file"),
        ("cut.wav", b"RIFF\x24\x00\x00\x00WAVEfmt ", "not a sound file"),
        ("noise.mp3", bytes(range(1, 97)) * 20, "not a sound file"),
    ],
)
def test_files_that_are_no_sound(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    for call in (audio.load, audio.probe):
        with pytest.raises(AudioError, match=message) as caught:
            call(tmp_path / name)
        assert name in str(caught.value) and "\n" not in str(caught.value)


def test_zero_samples(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(0), 16000)
    with pytest.raises(AudioError, match=r"a\.wav: holds no samples"):
        audio.probe(tmp_path / "a.wav")


def test_folder_and_missing_file(tmp_path):
    with pytest.raises(AudioError, match="is a folder"):
        audio.load(tmp_path)
    with pytest.raises(AudioError, match=r"gone\.wav: cannot be read \(No such file"):
        audio.load(tmp_path / "gone.wav")
    with pytest.raises(AudioError, match="not a path"):
        audio.load("a\0b.wav")


def test_no_permission(open_folder):
    path = open_folder / "a.wav"
    soundfile.write(path, tone()[0], 16000)
    path.chmod(0o000)
    root = os.geteuid() == 0
    if root:  # permissions do not bind root: be nobody for a moment
        os.seteuid(65534)
    try:
        with pytest.raises(AudioError, match=r"a\.wav: cannot be read \(Permission denied\)"):
            audio.load(path)
    finally:
        if root:
            os.seteuid(0)
    path.chmod(0o644)
    assert audio.probe(path).length == 8000  # nothing else was wrong with it


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_first_bad_sample_is_named(tmp_path, value):
    wav = tone(10.0, channels=2)
    wav[1, 100_000] = value
    wav[0, 120_000] = np.nan
    soundfile.write(tmp_path / "a.wav", wav.T, 16000, subtype="FLOAT")
    with pytest.raises(AudioError, match=f"sample 100000 of channel 1 is {float(value)}"):
        audio.load(tmp_path / "a.wav")


@pytest.mark.parametrize("size", [None, 0, 0xFFFFFFFF, 0x7FFFF000])
@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_wav_from_standard_input(tmp_path, monkeypatch, size, subtype):
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(0.7, channels=3).T, 16000, subtype=subtype, format="WAV")
    stdin = pipe_in(monkeypatch, path.read_bytes() if size is None else wav_with_size(path, size))
    with audio.AudioReader("-", block_length=999) as reader:
        # None size is read until the end; libsndfile pads odd chunks and adds chunks after float samples
        assert reader.info == (16000, 3, 11200 if size is None else None, "WAV", subtype)
        wav = np.concatenate(list(reader), axis=1)
    assert np.array_equal(wav[:, :11200], audio.load(path).wav)
    assert size is not None or wav.shape[1] == 11200
    assert not stdin.buffer.closed


def test_extensible_and_rf64_from_standard_input(tmp_path, monkeypatch):
    for container in ("WAVEX", "RF64"):
        soundfile.write(tmp_path / "a.wav", tone(channels=4).T, 16000, subtype="PCM_24", format=container)
        pipe_in(monkeypatch, (tmp_path / "a.wav").read_bytes())
        with audio.AudioReader("-") as reader:
            assert reader.info.length == 8000
            assert np.array_equal(next(iter(reader)), audio.load(tmp_path / "a.wav").wav)


@pytest.mark.parametrize(("container", "subtype"), [("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("WAV", "ULAW")])
def test_other_formats_from_standard_input(tmp_path, monkeypatch, container, subtype):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "spool"))
    (tmp_path / "spool").mkdir()
    soundfile.write(tmp_path / "a", tone(channels=2).T, 16000, format=container, subtype=subtype)
    pipe_in(monkeypatch, (tmp_path / "a").read_bytes())
    with audio.AudioReader("-") as reader:
        wav = np.concatenate(list(reader), axis=1)
    assert np.array_equal(wav, audio.load(tmp_path / "a").wav)
    assert not list((tmp_path / "spool").iterdir())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "standard input: is empty"),
        (b"no sound at all", "standard input: not a sound file"),
        (b"RIFF\x00\x00\x00\x00WAVE", "ends before its samples"),
        (b"RIFF\x00\x00\x00\x00WAVEdata\x04\x00\x00\x00abcd", "samples come before their format"),
        (b"RIFF\x00\x00\x00\x00WAVELIST\xff\xff\xff\x7f", "in front of its format"),
        (b"RIFF\x00\x00\x00\x00WAVEfmt \x02\x00\x00\x00ab", "format chunk of 2 bytes"),
    ],
)
def test_bad_standard_input(monkeypatch, content, message):
    pipe_in(monkeypatch, content)
    with pytest.raises(AudioError, match=message):
        audio.load("-")


def test_a_pipe_that_ends_early(tmp_path, monkeypatch):
    soundfile.write(tmp_path / "a.wav", tone(channels=2).T, 16000)
    pipe_in(monkeypatch, (tmp_path / "a.wav").read_bytes()[:-1999])
    with pytest.raises(AudioError, match="standard input: ends early, the last 500 of 8000 samples"):
        audio.load("-")


def test_pipe_header_without_samples(tmp_path, monkeypatch):
    soundfile.write(tmp_path / "a.wav", np.zeros(0), 16000)
    pipe_in(monkeypatch, (tmp_path / "a.wav").read_bytes())
    with pytest.raises(AudioError, match="standard input: holds no samples"):
        audio.load("-")


@pytest.mark.parametrize("offset", range(0, 44, 4))
def test_hostile_wav_headers_fail_cleanly(tmp_path, monkeypatch, offset):
    soundfile.write(tmp_path / "a.wav", tone()[0], 16000)
    good = bytearray((tmp_path / "a.wav").read_bytes())
    for value in (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF):
        good[offset : offset + 4] = struct.pack("<I", value)
        pipe_in(monkeypatch, bytes(good))
        try:
            wav = audio.load("-").wav
        except AudioError as error:
            assert "\n" not in str(error)
        else:
            assert wav.size <= len(good)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_named_pipe(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone()[0], 16000)
    os.mkfifo(tmp_path / "pipe")
    data = (tmp_path / "a.wav").read_bytes()
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(data,))
    writer.start()
    wav = audio.load(tmp_path / "pipe").wav
    writer.join()
    assert np.array_equal(wav, audio.load(tmp_path / "a.wav").wav)


def test_memory_does_not_grow_with_length(tmp_path):
    """Peak memory of reading and resampling 10 minutes stays near that of 10 seconds."""
    script = (
        "import resource, sys; from mynah.data import audio\n"
        "with audio.AudioReader(sys.argv[1]) as reader:\n"
        "    n = sum(b.shape[1] for b in audio.resample_blocks(reader, audio.Resampler(48000, 16000, 1)))\n"
        "print(n, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    peaks = []
    for seconds in (10, 600):
        path = tmp_path / f"{seconds}.wav"
        with soundfile.SoundFile(path, "w", 48000, 1, "PCM_16") as file:
            for _ in range(seconds // 10):
                file.write(tone(10, 48000)[0])
        run = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=True)
        samples, peak = map(int, run.stdout.split())
        assert samples == seconds * 16000
        peaks.append(peak)
    assert peaks[1] < peaks[0] * 1.1


def test_numpy_only():
    """Reading a plain file costs neither the seconds of importing torch nor the memory of FFmpeg."""
    script = "import sys, mynah.data.audio; print([m for m in ('torch', 'av', 'scipy') if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
