"""The verbs on one file: pipes, parts, salvage, tokens, info, compare, names of results."""

import io
import json
import os
import subprocess
from contextlib import nullcontext

import numpy as np
import pytest

from mynah.apps import files
from mynah.codec.bitstream import BitstreamWriter, Header
from mynah.data import audio
from mynah.data.errors import MynahError


@pytest.fixture
def talk(tmp_path, mynah, tiny_folder, speech):
    """talk.wav, stereo at 22.05 kHz, and talk.mynah."""
    wav = np.stack([speech, -0.5 * speech])
    audio.save(tmp_path / "talk.wav", wav, 22_050)
    assert mynah("encode", tmp_path / "talk.wav", "--codec", tiny_folder).returncode == 0
    return tmp_path / "talk.mynah"


def test_pipes_give_the_same_bytes_as_files(talk, mynah, mynah_process, tiny_folder, tmp_path):
    mynah("decode", talk, tmp_path / "back.wav", "--codec", tiny_folder)
    with open(talk.with_suffix(".wav"), "rb") as source:
        encoder = mynah_process("encode", "-", "-", "--codec", tiny_folder, stdin=source)
    decoder = mynah_process("decode", "-", "-", "--codec", tiny_folder, stdin=subprocess.PIPE)
    coded, error = encoder.communicate(timeout=60)
    assert (encoder.returncode, error) == (0, b"")
    assert coded == talk.read_bytes()
    sound, error = decoder.communicate(coded, timeout=60)
    assert (decoder.returncode, error) == (0, b"")
    (tmp_path / "piped.wav").write_bytes(sound)
    assert np.array_equal(audio.load(tmp_path / "piped.wav").wav, audio.load(tmp_path / "back.wav").wav)


def test_standard_input_that_has_to_be_sought_in(talk, mynah_process, tiny_folder, tmp_path):
    """A real pipe: nothing in it can be read twice."""
    for verb, options in (("info", []), ("decode", [tmp_path / "part.wav", "--start", "1"])):
        process = mynah_process(verb, "-", *options, "--codec", tiny_folder, stdin=subprocess.PIPE)
        out, error = process.communicate(talk.read_bytes(), timeout=60)
        assert (process.returncode, error) == (0, b""), verb
        assert verb == "decode" or b"22050 Hz, 2 channels" in out
    assert audio.probe(tmp_path / "part.wav").length == audio.probe(talk.with_suffix(".wav")).length - 22_050


def test_a_part_is_the_slice_of_the_whole(talk, mynah, tiny_folder, tmp_path):
    options = ["--codec", tiny_folder]
    mynah("decode", talk, tmp_path / "whole.wav", *options)
    result = mynah("decode", talk, tmp_path / "part.wav", *options, "--start", "1.25", "--duration", "0.4")
    assert (result.returncode, result.stderr) == (0, "")
    whole, part = audio.load(tmp_path / "whole.wav").wav, audio.load(tmp_path / "part.wav").wav
    start = round(1.25 * 22_050)
    assert part.shape == (2, round(0.4 * 22_050))
    assert np.abs(part - whole[:, start : start + part.shape[1]]).max() <= 2**-15
    mynah("decode", talk, tmp_path / "end.wav", *options, "--start", "2", "--duration", "99")
    assert np.abs(audio.load(tmp_path / "end.wav").wav - whole[:, 2 * 22_050 :]).max() <= 2**-15


def test_salvage_tells_what_is_lost(tmp_path, mynah, tiny_folder, speech):
    audio.save(tmp_path / "a.wav", np.tile(speech, 5)[None], 16_000)
    path = tmp_path / "a.mynah"
    options = ["--codec", tiny_folder]
    mynah("encode", tmp_path / "a.wav", *options)
    result = mynah("decode", path, tmp_path / "intact.wav", *options, "--salvage")
    assert (result.returncode, result.stderr) == (0, "")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert mynah("decode", path, tmp_path / "b.wav", *options).returncode == 2
    result = mynah("decode", path, tmp_path / "b.wav", *options, "--salvage")
    assert result.returncode == 0
    assert "8.00 to 12.00 s are lost" in result.stderr
    intact, salvaged = (audio.load(tmp_path / name).wav for name in ("intact.wav", "b.wav"))
    assert salvaged.shape == intact.shape
    assert np.array_equal(salvaged[:, : 7 * 16_000], intact[:, : 7 * 16_000])
    assert not salvaged[:, 8 * 16_000 : 12 * 16_000].any()
    path.write_bytes(data[: len(data) // 2])  # now the index is gone as well
    result = mynah("decode", path, tmp_path / "c.wav", *options, "--salvage")
    assert result.returncode == 0
    assert "its end is lost" in result.stderr
    assert np.array_equal(audio.load(tmp_path / "c.wav").wav[:, : 7 * 16_000], intact[:, : 7 * 16_000])


@pytest.mark.parametrize("bitrate", ["1.5", "3"])
def test_truncating_is_encoding_at_the_lower_rate(talk, mynah, tiny_folder, tmp_path, bitrate):
    options = ["--codec", tiny_folder]
    mynah("encode", talk.with_suffix(".wav"), tmp_path / "high.mynah", *options, "--bitrate", "6")
    mynah("encode", talk.with_suffix(".wav"), tmp_path / "low.mynah", *options, "--bitrate", bitrate)
    result = mynah("truncate", tmp_path / "high.mynah", *options, "--bitrate", bitrate)
    assert (result.returncode, result.stderr) == (0, "")
    assert (tmp_path / f"high-{bitrate}.mynah").read_bytes() == (tmp_path / "low.mynah").read_bytes()
    result = mynah("truncate", tmp_path / "low.mynah", tmp_path / "x.mynah", *options, "--bitrate", "6")
    assert result.returncode == 2
    assert f"has {bitrate} kbit/s, it cannot be truncated to 6" in result.stderr


def test_tokens_there_and_back(talk, mynah, tiny, tiny_folder, tmp_path):
    options = ["--codec", tiny_folder]
    assert mynah("tokens", talk, *options).returncode == 0
    codes = np.load(tmp_path / "talk.npy")
    assert codes.dtype == np.int16
    stored = audio.load(talk.with_suffix(".wav"))
    whole = tiny.encode(stored.wav[None], stored.sample_rate)
    assert np.array_equal(codes, whole.codes.numpy())
    stated = json.loads((tmp_path / "talk.npy.json").read_text())
    assert stated == {
        "codec": "tiny", "identity": tiny.identity, "sample_rate": 22_050, "length": stored.wav.shape[1],
    }  # fmt: skip
    assert mynah("tokens", tmp_path / "talk.npy", tmp_path / "again.mynah", *options).returncode == 0
    assert (tmp_path / "again.mynah").read_bytes() == talk.read_bytes()
    (tmp_path / "talk.npy").unlink()
    assert mynah("tokens", talk, *options).returncode == 2  # talk.npy.json is there
    assert not (tmp_path / "talk.npy").exists()


def test_tokens_of_a_language_model(mynah, tiny, tiny_folder, tmp_path):
    codes = np.random.default_rng(0).integers(0, 1024, (1, 3, 40))
    np.save(tmp_path / "made.npy", codes)
    assert mynah("tokens", tmp_path / "made.npy", "--codec", tiny_folder).returncode == 0
    assert mynah("decode", tmp_path / "made.mynah", "--codec", tiny_folder).returncode == 0
    sound = audio.load(tmp_path / "made.wav")
    assert (sound.wav.shape, sound.sample_rate) == ((1, 39 * 320), 16_000)


def npy(header: str) -> bytes:
    """An array whose header is this text."""
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode()


@pytest.mark.parametrize(
    ("codes", "words"),
    [
        (np.zeros((3, 40), int), "expected integer codes [C, K, N]"),
        (np.zeros((1, 3, 40)), "expected integer codes [C, K, N]"),
        (np.zeros((1, 5, 40), int), "5 codebooks (2.5 kbit/s), this codec has 3, 6, 12"),
        (np.full((1, 3, 40), 1024), "codes 1024 to 1024, allowed are 0 to 1023"),
        (np.full((1, 3, 40), -1), "codes -1 to -1"),
        (np.zeros((1, 3, 0), int), "expected integer codes [C, K, N]"),
        (np.zeros((1, 3, 1), int), "holds no samples, 2 frames are the least"),
        (np.array([{}]), "not a NumPy array that can be read"),
        (b"\x93NUMPY\x01\x00", "not a NumPy array that can be read"),
        (npy("{'descr': '<i2', 'fortran_order': False, 'shape': (1, 3, 10"), "not a NumPy array that can be"),
        (npy("{[]: 1}"), "not a NumPy array that can be read"),
        (npy("(" * 300), "not a NumPy array that can be read"),
    ],
)
def test_arrays_that_are_no_codes(mynah, tiny_folder, tmp_path, codes, words):
    path = tmp_path / "a.npy"
    if isinstance(codes, bytes):
        path.write_bytes(codes)
    else:
        np.save(path, codes, allow_pickle=True)
    result = mynah("tokens", path, "--codec", tiny_folder)
    assert result.returncode == 2
    assert words in result.stderr
    assert not (tmp_path / "a.mynah").exists()


def test_tokens_go_by_the_name_of_the_result_where_the_source_has_none(
    talk, mynah, mynah_process, tiny_folder, tmp_path
):
    assert mynah("tokens", talk, tmp_path / "a.npy", "--codec", tiny_folder).returncode == 0
    arguments = ("tokens", "-", tmp_path / "b.mynah", "--codec", tiny_folder)
    process = mynah_process(*arguments, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    _, errors = process.communicate((tmp_path / "a.npy").read_bytes())
    assert process.returncode == 0, errors
    assert (tmp_path / "b.mynah").exists()
    (tmp_path / "text.txt").write_text("hi")
    wrong = mynah("tokens", tmp_path / "text.txt", tmp_path / "c.mynah", "--codec", tiny_folder)
    assert (wrong.returncode, "text.txt: not a NumPy array" in wrong.stderr) == (2, True)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("length", 10**400, "its 40 frames hold"),
        ("sample_rate", 10**400, "sample rate"),
        ("length", 0, "holds no samples"),
        (None, None, "nested too deeply"),
    ],
)
def test_what_lies_beside_an_array_may_be_anything(mynah, tiny, tiny_folder, tmp_path, key, value, words):
    np.save(tmp_path / "a.npy", np.zeros((1, 3, 40), int))
    stated = {"codec": "tiny", "identity": tiny.identity, "sample_rate": 16_000, "length": 39 * 320}
    text = json.dumps(stated | {key: value}) if key else "[" * 100_000
    (tmp_path / "a.npy.json").write_text(text)
    result = mynah("tokens", tmp_path / "a.npy", "--codec", tiny_folder)
    assert (result.returncode, result.stderr.count("\n")) == (2, 1)
    assert words in result.stderr
    assert not (tmp_path / "a.mynah").exists()


def test_a_pipe_gets_wav_alone(talk, mynah, tiny_folder):
    for arguments in ((talk, "-"), ("-", "-"), ("-",)):
        result = mynah("decode", *arguments, "--suffix", ".flac", "--codec", tiny_folder)
        assert result.returncode == 2
        assert "standard output gets .wav alone" in result.stderr


def test_a_file_of_no_samples_is_no_sound(mynah, mynah_process, tiny, tiny_folder, tmp_path):
    path, config = tmp_path / "a.mynah", tiny.config
    with open(path, "wb") as file:
        header = Header(config.name, tiny.identity, 16_000, 1, 3, config.frame_rate)
        writer = BitstreamWriter(file, header, tiny.tables)
        writer.write(np.zeros((1, 3, 1), int))
        writer.close(0)
    assert "holds no samples" in mynah("decode", path, "--codec", tiny_folder).stderr
    arguments = ("decode", "-", tmp_path / "out.wav", "--codec", tiny_folder)
    process = mynah_process(*arguments, stdin=subprocess.PIPE)
    _, error = process.communicate(path.read_bytes(), timeout=60)
    assert (process.returncode, error) == (2, b"mynah: standard input: holds no samples\n")
    assert [path.name for path in tmp_path.iterdir()] == ["a.mynah"]


def test_an_array_that_lies_about_its_size_costs_no_memory(mynah, tiny_folder, tmp_path):
    buffer = io.BytesIO()
    header = {"descr": "<i2", "fortran_order": False, "shape": (1, 3, 1 << 40)}
    np.lib.format.write_array_header_1_0(buffer, header)
    (tmp_path / "a.npy").write_bytes(buffer.getvalue() + bytes(100))
    result = mynah("tokens", tmp_path / "a.npy", "--codec", tiny_folder)
    assert result.returncode == 2
    assert "not a NumPy array that can be read" in result.stderr


def test_info_tells_what_the_file_is(talk, mynah, tiny, tiny_folder):
    result = mynah("info", talk, "--codec", tiny_folder)
    assert (result.returncode, result.stderr) == (0, "")
    facts = dict(line.split(":", 1) for line in result.stdout.splitlines())
    length, size = audio.probe(talk.with_suffix(".wav")).length, talk.stat().st_size
    assert f"22050 Hz, 2 channels, {length} samples ({length / 22_050:.2f} s)" in facts["recording"]
    assert "3 kbit/s a channel, 6 codebooks at 50 frames/s" in facts["operating point"]
    assert f"{size * 8 / 1000 / (length / 22_050):.3f} kbit/s" in facts["real rate"]
    assert f"tiny, identity {tiny.identity}" in facts["codec"]
    assert "intact" in facts["integrity"]
    (line,) = mynah("info", talk.parent, "--codec", tiny_folder).stdout.splitlines()
    assert line.endswith("intact; installed, can be decoded")
    (line,) = mynah("info", talk.parent).stdout.splitlines()
    assert line.endswith(f"{talk}  intact")
    talk.write_bytes(talk.read_bytes()[:-1])
    damaged = mynah("info", talk)
    assert damaged.returncode == 2
    assert "DAMAGED" in damaged.stdout


def test_compare_prints_scores_and_draws(mynah, tiny_folder, tmp_path):
    pytest.importorskip("pesq")
    result = mynah("compare", "--sample", "--codec", tiny_folder, "--plot", tmp_path / "ab.png")
    assert (result.returncode, result.stderr) == (0, "")
    head, *rows = result.stdout.splitlines()
    assert head.split("   ")[0] == "kbit/s"
    values = np.array([[float(value) for value in row.split()] for row in rows])
    assert values[:, 0].tolist() == [1.5, 3.0, 6.0]
    assert np.all(np.abs(values[:, 1] - values[:, 0]) < 0.4)  # uniform tables: the nominal rate and overhead
    assert np.all((values[:, 2] > 0.9) & (values[:, 2] < 4.7))
    assert (tmp_path / "ab.png").read_bytes()[:4] == b"\x89PNG"
    again = mynah("compare", "--sample", "--codec", tiny_folder, "--plot", tmp_path / "ab.png")
    assert again.returncode == 2
    assert "--force" in again.stderr


def test_compare_says_where_a_score_is_not_defined(mynah, tiny_folder, tmp_path):
    audio.save(tmp_path / "silence.wav", np.zeros((2, 8_000), np.float32), 16_000)
    result = mynah("compare", tmp_path / "silence.wav", "--codec", tiny_folder)
    assert (result.returncode, result.stderr) == (0, "")
    about, _, *rows, why = result.stdout.splitlines()
    assert about.startswith("kbit/s of each of 2 channels, real kbit/s of all")
    assert [row.split()[0] for row in rows] == ["1.5", "3", "6"]
    assert [row.split()[2] for row in rows] == ["-", "-", "-"]
    assert why.startswith("-: not defined")


def test_compare_tells_what_mynah_made_itself(mynah, tiny_folder, tmp_path, speech):
    with audio.AudioWriter(tmp_path / "made.wav", 16_000, 1, comment=files.generated("x")) as writer:
        writer.write(speech[None, :16_000])
    result = mynah("compare", tmp_path / "made.wav", "--codec", tiny_folder)
    assert result.returncode == 0
    assert "made.wav: mynah made it from such codes" in result.stderr


def test_results_without_a_name_lie_beside_the_source(tmp_path):
    name = files.default_target
    assert name("x/talk.wav", None, ".mynah") == os.path.join("x", "talk.mynah")
    assert name("x/talk.mynah", None, ".mynah", "-1.5") == os.path.join("x", "talk-1.5.mynah")
    assert name("talk.wav", str(tmp_path), ".mynah") == str(tmp_path / "talk.mynah")
    assert name("talk.wav", "other.mynah", ".mynah") == "other.mynah"
    assert name("-", None, ".mynah") == name("talk.wav", "-", ".mynah") == "-"


def test_an_unfinished_output_is_removed_and_a_finished_one_replaces(tmp_path):
    target = tmp_path / "a.mynah"
    target.write_bytes(b"old")
    with (
        pytest.raises(MynahError, match=r"a\.mynah: cannot be written \(No space left"),
        files.open_output(str(target)) as file,
    ):
        file.write(b"new")
        raise OSError(28, "No space left on device")
    assert target.read_bytes() == b"old"
    with files.open_output(str(target)) as file:
        file.write(b"new")
        assert target.read_bytes() == b"old"
    assert target.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["a.mynah"]


def test_help_and_version(mynah):
    assert mynah("--version").stdout.startswith("mynah ")
    result = mynah("--help")
    assert result.returncode == 0
    for verb in ("encode", "decode", "info", "compare", "truncate", "tokens", "train", "evaluate"):
        assert verb in result.stdout
        assert mynah(verb, "--help").returncode == 0


def test_what_came_meanwhile_is_not_replaced(tmp_path):
    path = tmp_path / "a"
    for force in (False, True):
        path.unlink(missing_ok=True)
        with nullcontext() if force else pytest.raises(MynahError, match="came while this one"):  # noqa: SIM117
            with files.open_output(str(path), force) as file:
                file.write(b"mine")
                path.write_bytes(b"theirs")
        assert path.read_bytes() == (b"mine" if force else b"theirs")
        assert list(tmp_path.iterdir()) == [path]


def test_a_folder_is_not_truncated_onto_itself(talk, mynah, tiny_folder, tmp_path):
    high = tmp_path / "high"
    high.mkdir()
    mynah("encode", talk.with_suffix(".wav"), high / "a.mynah", "--codec", tiny_folder, "--bitrate", "6")
    before = (high / "a.mynah").read_bytes()
    result = mynah("truncate", high, tmp_path / "." / "high", "--codec", tiny_folder, "--force")
    assert (result.returncode, "is the input as well" in result.stderr) == (2, True)
    assert (high / "a.mynah").read_bytes() == before


def test_the_codec_of_an_array_is_no_folder_of_its_choice(talk, mynah, tiny_folder, tmp_path):
    assert mynah("tokens", talk, "--codec", tiny_folder).returncode == 0
    path = tmp_path / "talk.npy.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"codec": str(tiny_folder)}))
    result = mynah("tokens", tmp_path / "talk.npy", tmp_path / "new.mynah")
    assert (result.returncode, "no shipped codec" in result.stderr) == (2, True), result.stderr
