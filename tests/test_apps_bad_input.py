"""Bad input: one clear line, exit code 2, no output, and nothing else touched."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mynah.codec import checkpoint
from mynah.data import audio

TONE = (0.3 * np.sin(np.arange(8_000) / 5)).astype(np.float32)


@pytest.fixture
def tree(tmp_path):
    """A folder to work in, with a bystander that must stay what it is."""
    (tmp_path / "bystander.mynah").write_bytes(b"mine")
    return tmp_path


@pytest.fixture
def encode(mynah, tree, tiny_folder):
    """Encodes a file of the folder into out.mynah."""

    def run(name="a.wav", *options):
        return mynah("encode", tree / name, tree / "out.mynah", "--codec", tiny_folder, *options)

    return run


@pytest.fixture
def encoded(encode, tree):
    """A good file, talk.mynah, of TONE."""
    audio.save(tree / "talk.wav", TONE, 16_000)
    assert encode("talk.wav").returncode == 0
    os.rename(tree / "out.mynah", tree / "talk.mynah")
    return tree / "talk.mynah"


def check_refused(result, tree, *words, absent=("out.mynah", "out.wav")):
    assert result.returncode == 2, result.stderr
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("mynah: ")
    for word in words:
        assert word in line
    check_clean(tree, absent)


def check_clean(tree, absent=()):
    assert (tree / "bystander.mynah").read_bytes() == b"mine"
    names = [name for _, folders, files in os.walk(tree) for name in folders + files]
    assert not [name for name in names if name.endswith(".part") or name in absent]


# Sounds that cannot be encoded


def write_nan(path):
    soundfile.write(path, np.r_[TONE, np.nan, TONE], 16_000, subtype="FLOAT")


def write_late_infinity(path):
    soundfile.write(path, np.r_[np.tile(TONE, 40), -np.inf], 16_000, subtype="DOUBLE")


def write_half_a_flac(path):
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, 20_000), 16_000, format="FLAC")
    path.write_bytes(path.read_bytes()[:9_000])


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (Path.touch, "is empty"),
        (lambda path: soundfile.write(path, np.zeros((0, 1)), 16_000), "holds no samples"),
        (write_nan, "sample 8000 of channel 0 is nan"),
        (write_late_infinity, "sample 320000 of channel 0 is -inf"),
        (lambda path: path.write_text("This is not sound. " * 100), "not a sound file"),
        (write_half_a_flac, "damaged"),
        (
            lambda path: soundfile.write(path, np.zeros((100, 65)), 16_000),
            "channels: found 65, allowed are 1 to 64",
        ),
        (lambda path: None, "No such file"),
        (lambda path: os.symlink("nowhere", path), "No such file"),
    ],
)
def test_a_bad_sound_is_refused(tree, encode, write, words):
    write(tree / "a.wav")
    check_refused(encode(), tree, "a.wav", words)


def test_a_folder_needs_a_folder_for_its_results(tree, mynah, tiny_folder):
    (tree / "talks").mkdir()
    check_refused(mynah("encode", tree / "talks", "--codec", tiny_folder), tree, "is a folder")
    check_refused(mynah("encode", tree / "talks", "-", "--codec", tiny_folder), tree, "is a folder")
    target = tree / "bystander.mynah"
    check_refused(mynah("encode", tree / "talks", target, "--codec", tiny_folder), tree, "is a file")
    check_refused(mynah("encode", tree / "talks", tree / "out", "--codec", tiny_folder), tree, "holds no")


# Unusual sounds that can


@pytest.mark.parametrize(
    ("samples", "sample_rate", "subtype"),
    [
        (TONE[:1], 16_000, "PCM_16"),
        (np.zeros(5_000), 16_000, "PCM_16"),
        (np.sign(np.sin(np.arange(9_000) / 7)), 16_000, "FLOAT"),  # a full-scale square wave
        (50 * TONE, 16_000, "FLOAT"),  # far beyond full scale
        (TONE, 16_000, "PCM_U8"),
        (TONE, 48_000, "PCM_24"),
        (TONE, 11_025, "DOUBLE"),
        (np.tile(TONE, 8), 192_000, "PCM_16"),
        (TONE[:1], 192_000, "PCM_16"),
        (np.stack([np.roll(TONE, 10 * i) for i in range(16)], axis=1), 16_000, "PCM_16"),
    ],
)
def test_an_unusual_sound_comes_back_with_its_shape(
    tree, mynah, encode, tiny_folder, samples, sample_rate, subtype
):
    soundfile.write(tree / "a.wav", samples, sample_rate, subtype=subtype)
    assert encode().returncode == 0
    result = mynah("decode", tree / "out.mynah", tree / "out.wav", "--codec", tiny_folder)
    assert (result.returncode, result.stderr) == (0, "")
    loaded = audio.load(tree / "out.wav")
    assert loaded.sample_rate == sample_rate
    assert loaded.wav.T.shape == (len(samples), np.asarray(samples).size // len(samples))
    check_clean(tree)


# Files that cannot be written


def test_nothing_is_overwritten_without_force(tree, mynah, encode, encoded, tiny_folder):
    (tree / "out.mynah").write_bytes(b"old")
    result = encode("talk.wav")
    assert result.returncode == 2
    assert "out.mynah: exists already, --force replaces it" in result.stderr
    assert (tree / "out.mynah").read_bytes() == b"old"
    assert encode("talk.wav", "--force").returncode == 0
    assert (tree / "out.mynah").read_bytes() == encoded.read_bytes()
    for verb, target in (
        ("decode", "talk.wav"),
        ("truncate", "bystander.mynah"),
        ("tokens", "bystander.mynah"),
    ):
        result = mynah(verb, encoded, tree / target, "--codec", tiny_folder)
        assert result.returncode == 2, verb
    check_clean(tree)


def test_the_input_is_never_the_output(tree, mynah, encoded, tiny_folder):
    before = encoded.read_bytes()
    result = mynah("truncate", encoded, encoded, "--codec", tiny_folder, "--force")
    check_refused(result, tree, "is the input as well")
    assert encoded.read_bytes() == before


@pytest.mark.parametrize(
    ("target", "words"),
    [("no/such/folder.mynah", "there is no folder"), ("out.wav", "the name has to end in .mynah")],
)
def test_targets_that_cannot_be(tree, mynah, encoded, tiny_folder, target, words):
    check_refused(mynah("encode", tree / "talk.wav", tree / target, "--codec", tiny_folder), tree, words)


def test_no_permission(tree, mynah_process, encoded, tiny_folder):
    locked = tree / "locked"
    locked.mkdir()
    os.chmod(tree / "talk.wav", 0)
    os.chmod(locked, 0o555)

    def run(*arguments):
        return finish(mynah_process(*arguments, "--codec", tiny_folder, before=BE_AN_ORDINARY_USER))

    check_refused(run("encode", tree / "talk.wav", tree / "out.mynah"), tree, "talk.wav", "Permission denied")
    check_refused(run("decode", encoded, locked / "out.wav"), tree, "out.wav", "Permission denied")


# Root without the right to pass over permissions, or any other: a header of version 3 for this process, and
# no capability that is effective, permitted or inheritable.
BE_AN_ORDINARY_USER = """
import ctypes
assert ctypes.CDLL(None).capset((ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()) == 0
"""


def finish(process):
    out, err = process.communicate(timeout=60)
    return subprocess.CompletedProcess(process.args, process.returncode, (out or b"").decode(), err.decode())


@pytest.mark.parametrize("verb", ["encode", "decode"])
def test_a_full_disk(tree, mynah_process, encoded, tiny_folder, verb):
    """The size limit of a process stands for the disk: both make a write fail in the middle."""
    source, target = (tree / "talk.wav", "out.mynah") if verb == "encode" else (encoded, "out.wav")
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (80, 80))"
    result = finish(mynah_process(verb, source, tree / target, "--codec", tiny_folder, before=limit))
    check_refused(result, tree, target, "cannot be written")


@pytest.mark.parametrize("verb", ["encode", "decode", "info"])
def test_a_full_disk_behind_standard_output(tree, mynah_process, encoded, tiny_folder, verb):
    source = tree / "talk.wav" if verb == "encode" else encoded
    target = [] if verb == "info" else ["-"]
    with open("/dev/full", "wb") as full:
        result = finish(mynah_process(verb, source, *target, "--codec", tiny_folder, stdout=full))
    check_refused(result, tree, "No space left on device")


@pytest.mark.parametrize("verb", ["encode", "decode"])
def test_a_reader_that_goes_away(tree, mynah_process, encoded, tiny_folder, verb):
    """As in `mynah encode a.wav - | head -c 1`."""
    read, write = os.pipe()
    os.close(read)
    source = tree / "talk.wav" if verb == "encode" else encoded
    process = mynah_process(verb, source, "-", "--codec", tiny_folder, stdout=write)
    os.close(write)
    result = finish(process)
    check_refused(result, tree, "standard output", "closed by its reader")


def test_a_reader_of_text_that_goes_away_is_no_error_to_speak_of(mynah_process, encoded, tiny_folder):
    read, write = os.pipe()
    os.close(read)
    process = mynah_process("info", encoded, "--codec", tiny_folder, stdout=write)
    os.close(write)
    result = finish(process)
    assert (result.returncode, result.stderr) == (2, "")


# Ctrl-C


def test_ctrl_c_in_the_middle_of_a_folder(tree, mynah, mynah_process, tiny_folder):
    talks = tree / "talks"
    talks.mkdir()
    for number in range(40):
        audio.save(talks / f"{number:02}.wav", np.tile(TONE, 60), 16_000)
    process = mynah_process("encode", talks, tree / "coded", "--codec", tiny_folder, "--jobs", 2)
    coded = tree / "coded"
    deadline = time.monotonic() + 60
    while not list(coded.glob("*.mynah")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    result = finish(process)
    assert result.returncode == 130
    assert result.stderr.splitlines() == ["mynah: stopped"]
    check_clean(tree)
    finished = sorted(coded.iterdir())
    assert 1 <= len(finished) < 40
    assert len({path.read_bytes() for path in finished}) == 1  # of the same sound: all are whole

    before = {path: path.stat().st_mtime_ns for path in finished}
    again = mynah("encode", talks, coded, "--codec", tiny_folder)
    assert again.returncode == 0
    assert f"{len(finished)} were there already" in again.stderr
    assert len(list(coded.iterdir())) == 40
    assert {path: path.stat().st_mtime_ns for path in finished} == before


@pytest.mark.parametrize(
    ("number", "code", "words"), [(signal.SIGINT, 130, ["mynah: stopped"]), (signal.SIGTERM, 143, [])]
)
def test_stopped_in_a_single_file(tree, mynah_process, tiny_folder, number, code, words):
    """Standard input is kept open, so that the command is in the middle of its work for sure."""
    process = mynah_process(
        "encode", "-", tree / "out.mynah", "--codec", tiny_folder, stdin=subprocess.PIPE, stdout=None
    )
    sound = tree / "a.wav"
    audio.save(sound, np.tile(TONE, 200), 16_000)
    process.stdin.write(sound.read_bytes()[:2_000_000])
    process.stdin.flush()
    deadline = time.monotonic() + 60
    while not list(tree.glob(".mynah-*.part")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert err.decode().splitlines() == words
    check_clean(tree, absent=["out.mynah"])


# Codecs and files that do not fit


def test_an_unknown_codec_is_named_with_those_that_there_are(tree, mynah, encode, encoded):
    result = mynah("encode", tree / "talk.wav", tree / "out.mynah", "--codec", "nosuch")
    shipped = sorted(path.parent.name for path in checkpoint.SHIPPED.glob("*/config.json"))
    check_refused(result, tree, "'nosuch'", *shipped)
    check_refused(mynah("decode", encoded, tree / "out.wav"), tree, "'tiny'", "--codec")
    assert "'tiny'" in mynah("info", encoded).stdout  # everything else can be told


def test_a_file_chooses_no_folder(tree, mynah, encoded, tiny_folder, monkeypatch):
    """A folder that is called as the file's codec is not read for it."""
    shutil.copytree(tiny_folder, tree / "tiny")
    monkeypatch.chdir(tree)
    result = mynah("decode", encoded, tree / "out.wav")
    assert result.returncode == 2
    assert "'tiny' is no shipped codec" in result.stderr
    assert "kbit/s a channel" not in mynah("info", encoded).stdout
    assert mynah("decode", encoded, tree / "out.wav", "--codec", "tiny").returncode == 0


def test_a_bitrate_that_is_not_offered(encode, encoded, tree):
    check_refused(encode("talk.wav", "--bitrate", "4"), tree, "bitrate 4", "1.5, 3, 6")


def test_other_weights_are_noticed(tree, mynah, encoded, other_codec):
    for verb, suffix in (("decode", ".wav"), ("truncate", ".mynah"), ("tokens", ".npy")):
        result = mynah(verb, encoded, tree / f"out{suffix}", "--codec", other_codec)
        check_refused(result, tree, "talk.mynah", "weights", absent=("out.wav", "out.mynah", "out.npy"))
    result = mynah("info", encoded, "--codec", other_codec)
    assert result.returncode == 0
    assert "weights" in result.stdout


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors"])
def test_an_incomplete_codec_folder(tree, mynah, encode, encoded, other_codec, missing):
    (other_codec / missing).unlink()
    result = mynah("encode", tree / "talk.wav", tree / "out.mynah", "--codec", other_codec)
    check_refused(result, tree, str(other_codec))


@pytest.mark.parametrize("damage", ["empty", "text", "cut", "flipped"])
def test_damaged_files(tree, mynah, encoded, tiny_folder, damage):
    data = bytearray(encoded.read_bytes())
    if damage == "empty":
        data = b""
    elif damage == "text":
        data = b"This is not a coded file. " * 20
    elif damage == "cut":
        data = data[:-30]
    else:
        data[len(data) // 2] ^= 1
    encoded.write_bytes(data)
    for verb, suffix in (("decode", ".wav"), ("truncate", ".mynah"), ("tokens", ".npy")):
        result = mynah(verb, encoded, tree / f"out{suffix}", "--codec", tiny_folder)
        check_refused(result, tree, "talk.mynah: ", absent=("out.wav", "out.mynah", "out.npy"))
    assert mynah("info", encoded, "--codec", tiny_folder).returncode == 2


@pytest.mark.parametrize(
    "options",
    [
        ["--start", "-1"],
        ["--start", "0.6"],
        ["--start", "nan"],
        ["--start", "1e305"],
        ["--duration", "1e305"],
        ["--duration", "0"],
        ["--salvage", "--start", "0.1"],
    ],
)
def test_times_that_mean_nothing(tree, mynah, encoded, tiny_folder, options):
    check_refused(
        mynah("decode", encoded, tree / "out.wav", "--codec", tiny_folder, *options), tree, options[-2]
    )


@pytest.mark.parametrize(
    "arguments", [["nosuch"], ["encode"], ["encode", "a", "b", "c"], ["encode", "a", "--frob"], ["compare"]]
)
def test_wrong_usage_is_one_line(mynah, tree, arguments):
    check_refused(mynah(*arguments), tree)
