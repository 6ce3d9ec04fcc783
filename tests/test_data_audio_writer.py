"""Writing: what was written is read back, files are complete or absent, clipping is counted."""

import errno
import io
import os
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mynah.data import audio
from mynah.data.audio_writer import FORMATS
from mynah.data.errors import AudioError

NOISE = np.random.default_rng(0).uniform(-0.9, 0.9, (2, 20_000)).astype(np.float32)


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".aiff", ".aif", ".au", ".caf", ".w64", ".rf64"])
def test_lossless_formats_round_trip(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    assert audio.save(path, NOISE, 22_050) == 0
    loaded = audio.load(path)
    assert loaded.sample_rate == 22_050
    assert np.abs(loaded.wav - NOISE).max() <= 2**-16 + 1e-9  # half a step: rounded, not cut
    assert audio.probe(path).subtype == "PCM_16"
    audio.save(path, loaded.wav, 22_050, force=True)
    assert np.array_equal(audio.load(path).wav, loaded.wav)


@pytest.mark.parametrize(("suffix", "container"), [(".ogg", "OGG"), (".opus", "OGG"), (".mp3", "MP3")])
def test_lossy_formats(tmp_path, suffix, container):
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)
    audio.save(tmp_path / f"a{suffix}", tone, 16_000)
    assert audio.probe(tmp_path / f"a{suffix}")[:4] == (16_000, 1, 16_000, container)
    assert np.abs(audio.load(tmp_path / f"a{suffix}").wav[0] - tone)[1000:-1000].max() < 0.05


@pytest.mark.parametrize(("subtype", "bits"), [("PCM_U8", 8), ("PCM_16", 16), ("PCM_24", 24), ("PCM_32", 25)])
def test_subtypes_are_rounded(tmp_path, subtype, bits):
    audio.save(tmp_path / "a.wav", NOISE, 16_000, subtype=subtype)
    assert audio.probe(tmp_path / "a.wav").subtype == subtype
    assert np.abs(audio.load(tmp_path / "a.wav").wav - NOISE).max() <= 2.0**-bits


def test_float_files_keep_what_is_beyond_full_scale(tmp_path):
    assert audio.save(tmp_path / "a.wav", NOISE * 3, 16_000, subtype="FLOAT") == 0
    assert np.array_equal(audio.load(tmp_path / "a.wav").wav, NOISE * 3)


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg"])
def test_clipping_is_counted_and_saturates(tmp_path, name):
    wav = np.zeros((2, 5000), np.float32)
    wav[0, 10:13] = [1.5, -2.0, 1.0]  # full scale itself is no clipping
    wav[1, 20] = -1.0001
    with audio.AudioWriter(tmp_path / name, 16_000, 2) as writer:
        writer.write(wav[:, :2000])
        writer.write(wav[:, 2000:])
    assert writer.clipped == 3 and writer.length_written == 5000
    if name != "a.ogg":
        loaded = audio.load(tmp_path / name).wav
        assert loaded[0, 10:13].tolist() == [1 - 2**-15, -1, 1 - 2**-15] and loaded[1, 20] == -1


def test_blocks_join_without_seams(tmp_path):
    with audio.AudioWriter(tmp_path / "a.wav", 16_000, 2, "FLOAT") as writer:
        for start in range(0, 20_000, 777):
            writer.write(NOISE[:, start : start + 777])
    assert np.array_equal(audio.load(tmp_path / "a.wav").wav, NOISE)


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names are UTF-8 here")
def test_a_name_that_is_not_utf_8(tmp_path):
    folder = tmp_path / os.fsdecode(b"\xe4")
    folder.mkdir()
    audio.save(folder / os.fsdecode(b"\xfc.flac"), NOISE, 16_000)
    assert os.listdir(os.fsencode(folder)) == [b"\xfc.flac"]
    assert audio.probe(folder / os.fsdecode(b"\xfc.flac")).length == 20_000


LONG = """
import sys
import numpy as np
from mynah.data import audio
audio.save(sys.argv[1], np.zeros((2, 3_000_000), np.float32), 16_000)
print(audio.probe(sys.argv[1]).length)
"""


def test_a_long_block_of_vorbis(tmp_path):
    """In another process: libvorbis kills it where it is given so much at once."""
    command = [sys.executable, "-c", LONG, str(tmp_path / "a.ogg")]
    run = subprocess.run(command, capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (0, "3000000\n"), run


def test_no_file_before_the_end_and_none_after_an_error(tmp_path):
    for error in (RuntimeError, KeyboardInterrupt):
        with pytest.raises(error), audio.AudioWriter(tmp_path / "a.wav", 16_000, 2) as writer:
            writer.write(NOISE)
            assert not (tmp_path / "a.wav").exists() and len(list(tmp_path.iterdir())) == 1
            raise error
        assert not list(tmp_path.iterdir())


def test_interrupted_program_leaves_no_file(tmp_path):
    script = (
        "import sys, numpy as np; from mynah.data.audio import AudioWriter\n"
        "with AudioWriter(sys.argv[1], 16000, 1) as writer:\n"
        "    print('writing', flush=True)\n"
        "    while True: writer.write(np.zeros((1, 1000), np.float32))"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "a.wav")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"writing\n"
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)
    assert process.returncode != 0 and not list(tmp_path.iterdir())


def test_existing_file_is_kept_unless_forced(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(b"precious")
    with pytest.raises(AudioError, match=r"a\.wav: exists already"):
        audio.save(path, NOISE, 16_000)
    with pytest.raises(RuntimeError), audio.AudioWriter(path, 16_000, 2, force=True):
        raise RuntimeError
    assert path.read_bytes() == b"precious"
    audio.save(path, NOISE, 16_000, force=True)
    assert audio.probe(path).length == 20_000


def test_file_that_appears_meanwhile_is_kept(tmp_path):
    path = tmp_path / "a.wav"
    with pytest.raises(AudioError, match="exists already"), audio.AudioWriter(path, 16_000, 2) as writer:
        writer.write(NOISE)
        path.write_bytes(b"precious")
    assert path.read_bytes() == b"precious" and len(list(tmp_path.iterdir())) == 1


def test_permissions_follow_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        audio.save(tmp_path / "a.wav", NOISE, 16_000)
    finally:
        os.umask(before)
    assert (tmp_path / "a.wav").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("a.xyz", {}, r"suffix '\.xyz' is not one of \.wav, \.flac, \.ogg"),
        ("a", {}, r"suffix '' is not one of"),
        ("gone/a.wav", {}, r"gone: No such file or directory"),
        ("a.wav", {"subtype": "PCM_12"}, "subtype 'PCM_12' is not one of PCM_U8, PCM_16"),
        ("a.flac", {"subtype": "FLOAT"}, "subtype 'FLOAT' is not one of PCM_S8, PCM_16, PCM_24"),
        ("a.mp3", {"subtype": "PCM_16"}, "subtype 'PCM_16' is not one of MPEG_LAYER_III"),
        ("a.opus", {"sample_rate": 44_100}, "OGG/OPUS at 44100 Hz with 2 channels cannot be written"),
        ("a.flac", {"channels": 16}, "FLAC/PCM_16 at 16000 Hz with 16 channels cannot be written"),
        ("a.wav", {"sample_rate": 0}, "sample rate of 0 Hz"),
        ("a.wav", {"channels": 0}, "0 channels, allowed are 1 to 1024"),
        ("folder.wav", {}, "is a folder"),
    ],
)
def test_bad_outputs(tmp_path, name, options, message):
    (tmp_path / "folder.wav").mkdir()
    arguments = {"sample_rate": 16_000, "channels": 2, **options}
    with pytest.raises(AudioError, match=message) as caught:
        audio.AudioWriter(tmp_path / name, **arguments)
    assert "\n" not in str(caught.value)
    assert [p.name for p in tmp_path.iterdir()] == ["folder.wav"]


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (np.zeros((1, 10), np.float32), "a block of 1 channels, the file has 2"),
        (np.zeros((2, 10), np.int16), "samples are int16, expected floating point"),
        (np.zeros((1, 2, 10), np.float32), r"shape \[1, 2, 10\], expected \[T\] or \[C, T\]"),
        (np.array([[0, 0, 0], [0, np.nan, 0]], np.float32), "sample 20001 of channel 1 is nan"),
    ],
)
def test_bad_blocks_leave_no_file(tmp_path, block, message):
    writer = audio.AudioWriter(tmp_path / "a.wav", 16_000, 2)
    writer.write(NOISE)
    with pytest.raises(AudioError, match=message):
        writer.write(block)
    assert not list(tmp_path.iterdir())
    with pytest.raises(AudioError, match="is closed"):
        writer.write(NOISE)


def test_wrong_length_leaves_no_file(tmp_path):
    with (
        pytest.raises(AudioError, match="20000 samples were written, 30000 were promised"),
        audio.AudioWriter(tmp_path / "a.wav", 16_000, 2, length=30_000) as writer,
    ):
        writer.write(NOISE)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("suffix", "container"), [(".wav", "WAV"), (".aiff", "AIFF"), (".aif", "AIFF")])
def test_more_than_4_gib_is_refused(tmp_path, monkeypatch, suffix, container):
    monkeypatch.setattr("mynah.data.audio_writer._MAX_BYTES", 100_000)
    with (
        pytest.raises(AudioError, match=rf"{container} holds at most 4 GiB; name it \.flac"),
        audio.AudioWriter(tmp_path / f"a{suffix}", 16_000, 2) as writer,
    ):
        writer.write(NOISE)
        writer.write(NOISE)
    assert not list(tmp_path.iterdir())


def test_folder_without_permission():
    with tempfile.TemporaryDirectory() as folder:  # pytest's own cannot be entered by another user
        os.chmod(folder, 0o555)
        root = os.geteuid() == 0
        if root:  # permissions do not bind root: be nobody for a moment
            os.seteuid(65534)
        try:
            with pytest.raises(AudioError, match=r"a\.wav: cannot be written \(Permission denied\)"):
                audio.save(Path(folder) / "a.wav", NOISE, 16_000)
        finally:
            if root:
                os.seteuid(0)
        os.chmod(folder, 0o755)
        audio.save(Path(folder) / "a.wav", NOISE, 16_000)  # nothing else was wrong with it


FULL_DISK = """
import resource, signal, sys
import numpy as np
from mynah.data.audio import AudioWriter
from mynah.data.errors import AudioError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, resource.RLIM_INFINITY))
noise = np.random.default_rng(0).uniform(-1, 1, (1, 16_000)).astype(np.float32)
try:
    with AudioWriter(sys.argv[1], 16_000, 1) as writer:
        for _ in range(60):
            writer.write(noise)
except AudioError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on file sizes here")
@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".opus", ".mp3"])
def test_system_that_takes_no_more_bytes(tmp_path, suffix):
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path / f"a{suffix}")]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert run.stdout.count("\n") == 1 and f"a{suffix}: cannot be written" in run.stdout, run
    assert not list(tmp_path.iterdir())


def test_full_disk_is_named(tmp_path, monkeypatch):
    """What libsndfile calls a system error is explained by the space that is left."""

    def no_space(*_args, **_kwargs):
        raise soundfile.LibsndfileError(2)

    with (
        pytest.raises(AudioError, match=r"a\.wav: cannot be written \(No space left on device\)"),
        audio.AudioWriter(tmp_path / "a.wav", 16_000, 2) as writer,
    ):
        monkeypatch.setattr(soundfile.SoundFile, "write", no_space)
        monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 0}))
        writer.write(NOISE)
    assert not list(tmp_path.iterdir())


def pipe_out(monkeypatch):
    """Make a memory buffer the standard output and return it."""
    stdout = io.TextIOWrapper(io.BytesIO(), write_through=True)
    monkeypatch.setattr(sys, "stdout", stdout)
    return stdout


@pytest.mark.parametrize("subtype", [None, "PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("length", [None, 20_000])
def test_standard_output_is_the_same_wav(tmp_path, monkeypatch, subtype, length):
    stdout = pipe_out(monkeypatch)
    with audio.AudioWriter("-", 16_000, 2, subtype, length=length) as writer:
        writer.write(NOISE[:, :7777])
        writer.write(NOISE[:, 7777:])
    monkeypatch.undo()
    data = stdout.buffer.getvalue()
    (tmp_path / "pipe.wav").write_bytes(data)
    audio.save(tmp_path / "file.wav", NOISE, 16_000, subtype)
    assert audio.probe(tmp_path / "pipe.wav") == audio.probe(tmp_path / "file.wav")
    assert np.array_equal(audio.load(tmp_path / "pipe.wav").wav, audio.load(tmp_path / "file.wav").wav)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    with audio.AudioReader("-") as reader:
        assert reader.info.length == length
        assert np.array_equal(next(iter(reader)), audio.load(tmp_path / "file.wav").wav)


def test_standard_output_that_is_a_terminal(monkeypatch):
    pipe_out(monkeypatch)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    with pytest.raises(AudioError, match="not written to a terminal"):
        audio.AudioWriter("-", 16_000, 1)


PIPE = """
import sys
import numpy as np
from mynah.data.audio import AudioWriter
from mynah.data.errors import AudioError
try:
    with AudioWriter("-", 16_000, 1) as writer:
        for _ in range(1000):
            writer.write(np.zeros((1, 16_000), np.float32))
except (AudioError, BrokenPipeError) as error:
    print(type(error).__name__, error, file=sys.stderr, flush=True)
    import os
    os._exit(2)
"""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_standard_output_on_a_full_disk():
    with open("/dev/full", "wb") as full:
        run = subprocess.run([sys.executable, "-c", PIPE], stdout=full, stderr=subprocess.PIPE, text=True)
    message = f"AudioError standard output: cannot be written ({os.strerror(errno.ENOSPC)})\n"
    assert (run.returncode, run.stderr) == (2, message)


def test_broken_pipe_is_raised_through():
    with subprocess.Popen(
        [sys.executable, "-c", PIPE], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as run:
        assert run.stdout is not None and run.stderr is not None
        run.stdout.read(1000)
        run.stdout.close()
        message = run.stderr.read()
        assert run.wait(timeout=30) == 2
    assert message.startswith(b"BrokenPipeError")


def test_every_suffix_names_a_format_of_libsndfile():
    assert all(soundfile.check_format(container, subtype) for container, subtype in FORMATS.values())


@pytest.mark.parametrize("suffix", sorted(FORMATS))
def test_a_comment_is_kept_where_there_is_a_place_for_it(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    with audio.AudioWriter(path, 16_000, 1, comment="made by händ") as writer:
        writer.write(np.zeros(1600, np.float32))
    with soundfile.SoundFile(path) as file:
        assert file.comment == ("" if suffix in (".au", ".w64") else "made by händ")


def test_a_pipe_gets_every_block_at_once(monkeypatch):
    """A buffer would keep the last 8 KiB back until more comes."""
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BufferedWriter(raw)))
    with audio.AudioWriter("-", 16_000, 1) as writer:
        writer.write(np.zeros(100, np.float32))
        assert len(raw.getvalue()) == 244
    sys.stdout.detach()


@pytest.mark.parametrize("length", [None, 801])
def test_a_comment_in_a_pipe(tmp_path, monkeypatch, length):
    wav = np.linspace(-0.5, 0.5, 801, dtype=np.float32)
    stdout = pipe_out(monkeypatch)
    with audio.AudioWriter("-", 16_000, 1, length=length, comment="odd") as writer:
        writer.write(wav)
    (tmp_path / "a.wav").write_bytes(stdout.buffer.getvalue())
    with soundfile.SoundFile(tmp_path / "a.wav") as file:
        assert file.comment == "odd"
        assert np.abs(file.read() - wav).max() <= 2**-15
    with audio.AudioReader(tmp_path / "a.wav") as reader:
        assert sum(block.shape[1] for block in reader) == 801


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.parametrize("force", [False, True])
def test_a_named_pipe_gets_wav_and_stays(tmp_path, force):
    wav, path, got = np.linspace(-0.5, 0.5, 801, dtype=np.float32), tmp_path / "pipe", tmp_path / "got.wav"
    os.mkfifo(path)
    with ThreadPoolExecutor(1) as reading:
        data = reading.submit(path.read_bytes)
        with audio.AudioWriter(path, 16_000, 1, force=force) as writer:
            writer.write(wav)
        got.write_bytes(data.result(timeout=10))
    assert path.is_fifo()
    assert np.abs(audio.load(got).wav - wav).max() <= 2**-15
