"""Sound files that end before their samples do."""

import numpy as np
import pytest
import soundfile

from mynah.data import audio
from mynah.data.errors import AudioError

TONE = 0.5 * np.sin(np.arange(8000) / 13)
SIZED = [
    ("WAV", "PCM_16", "FILE"),
    ("WAV", "PCM_U8", "BIG"),
    ("WAV", "IMA_ADPCM", "FILE"),
    ("WAVEX", "FLOAT", "FILE"),
    ("RF64", "PCM_24", "FILE"),
    ("AIFF", "PCM_16", "FILE"),
    ("AIFF", "FLOAT", "FILE"),
    ("AU", "PCM_16", "FILE"),
    ("AU", "ULAW", "LITTLE"),
    ("W64", "PCM_16", "FILE"),
    ("CAF", "PCM_16", "FILE"),
    ("CAF", "ALAC_16", "FILE"),
]


@pytest.mark.parametrize(("container", "subtype", "endian"), SIZED)
def test_file_that_ends_early(tmp_path, container, subtype, endian):
    channels = 3 if subtype == "PCM_U8" else 1
    path, wav = tmp_path / "a", np.stack([TONE[:7999]] * channels, 1)
    soundfile.write(path, wav, 16000, format=container, subtype=subtype, endian=endian)
    assert audio.probe(path).channels == channels  # all of it is no error
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    for call in (audio.probe, audio.load):
        with pytest.raises(
            AudioError, match=r"a: ends early, \d+ of the \d+ bytes of its samples are missing"
        ):
            call(path)


def test_bytes_that_are_missing_are_counted(tmp_path):
    soundfile.write(tmp_path / "a.wav", TONE, 16000)
    (tmp_path / "a.wav").write_bytes((tmp_path / "a.wav").read_bytes()[:-1])
    with pytest.raises(AudioError, match=r"a\.wav: ends early, 1 of the 16000 bytes"):
        audio.load(tmp_path / "a.wav")


@pytest.mark.parametrize(
    ("container", "tag", "size"),
    [
        ("WAV", b"data", b"\xff\xff\xff\xff"),
        ("WAV", b"data", b"\x00\xf0\xff\x7f"),
        ("AIFF", b"SSND", b"\x7f\0\0\x08"),
        ("AU", b".snd\0\0\0\x18", b"\xff\xff\xff\xff"),
        ("CAF", b"data", b"\xff" * 8),
    ],
)
def test_file_without_a_size_lasts_until_its_end(tmp_path, container, tag, size):
    """As a program leaves it that wrote to a pipe."""
    path = tmp_path / "a"
    soundfile.write(path, TONE, 16000, format=container, subtype="PCM_16")
    data, wav = path.read_bytes(), audio.load(path).wav
    at = data.index(tag) + len(tag)
    path.write_bytes(data[:at] + size + data[at + len(size) :])
    assert np.array_equal(audio.load(path).wav, wav)
