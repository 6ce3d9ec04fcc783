"""Files coded block by block hold what `Codec.encode` gives for the whole, and come back exactly as long."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mynah.apps.coding import decode_blocks, encode_blocks, rejoin, restore
from mynah.apps.parts import context_frames, cut, range_blocks, salvaged_blocks
from mynah.codec import Encoded
from mynah.codec.bitstream import BitstreamReader, BitstreamWriter, Header
from mynah.codec.salvage import salvage
from mynah.data import audio

LONG = 12.3  # seconds: more than one block


def sound(seconds: float, sample_rate: int, channels: int) -> np.ndarray:
    """Noise that swells and fades, so that no two frames are alike: [C, T] float32."""
    length = max(1, round(seconds * sample_rate))
    noise = np.random.default_rng(channels).normal(size=(channels, length))
    return (0.1 * noise * (1.2 + np.sin(np.arange(length) / sample_rate * 9))).astype(np.float32)


def blocks_of(wav: np.ndarray, size: int):
    return (wav[:, start : start + size] for start in range(0, wav.shape[1], size))


def write_file(path, codec, wav, sample_rate, bitrate=3.0):
    n_codebooks = codec.codebooks_for(bitrate)
    header = Header(codec.config.name, codec.identity, sample_rate, len(wav), n_codebooks, 50.0)
    with open(path, "wb") as file:
        writer = BitstreamWriter(file, header, codec.tables)
        for codes in encode_blocks(codec, blocks_of(wav, 65_536), sample_rate, len(wav), n_codebooks):
            writer.write(codes)
        writer.close(wav.shape[1])


@pytest.mark.parametrize(
    ("sample_rate", "channels", "seconds"),
    [
        (16_000, 1, LONG),
        (16_000, 1, 10.0),
        (44_100, 2, LONG),
        (8_000, 1, LONG),
        (22_051, 1, 1.7),
        (16_000, 1, 1 / 16_000),
    ],
)
@pytest.mark.parametrize("bitrate", [1.5, 6.0])
def test_blocks_give_the_tokens_of_the_whole(tiny, sample_rate, channels, seconds, bitrate):
    wav = sound(seconds, sample_rate, channels)
    whole = tiny.encode(wav[None], sample_rate, bitrate).codes.numpy()
    n_codebooks = tiny.codebooks_for(bitrate)
    parts = list(encode_blocks(tiny, blocks_of(wav, 7_001), sample_rate, channels, n_codebooks))
    assert np.array_equal(np.concatenate(parts, axis=2), whole)


@pytest.mark.parametrize(("sample_rate", "channels"), [(16_000, 1), (44_100, 2), (8_000, 1), (22_051, 1)])
def test_blocks_give_the_sound_of_the_whole(tiny, sample_rate, channels):
    wav = sound(LONG, sample_rate, channels)
    encoded = tiny.encode(wav[None], sample_rate)
    whole = tiny.decode(encoded)[0].numpy()
    pieces = np.array_split(encoded.codes.numpy(), 9, axis=2)
    length = wav.shape[1]
    parts = list(restore(tiny, decode_blocks(tiny, pieces), sample_rate, channels, lambda: length))
    joined = np.concatenate(parts, axis=1)
    assert joined.shape == wav.shape
    assert np.abs(joined - whole).max() < 1e-5
    assert np.abs(joined).max() > 1e-3


@settings(deadline=None, max_examples=40)
@given(
    length=st.integers(1, 40_000),
    sample_rate=st.sampled_from([16_000, 8_000, 11_025, 44_100, 48_000, 22_051, 1_000, 192_000, 96_123]),
)
def test_any_length_at_any_rate_comes_back_exactly(tiny, length, sample_rate):
    wav = sound(length / sample_rate, sample_rate, 1)
    codes = list(encode_blocks(tiny, [wav], sample_rate, 1, 3))
    parts = list(restore(tiny, decode_blocks(tiny, codes), sample_rate, 1, lambda: wav.shape[1]))
    assert sum(part.shape[1] for part in parts) == wav.shape[1]


@given(sizes=st.lists(st.integers(0, 30), max_size=20), size=st.integers(1, 25))
def test_rejoining_keeps_every_code(sizes, size):
    codes = np.arange(sum(sizes)).reshape(1, 1, -1)
    pieces = np.split(codes, np.cumsum(sizes)[:-1], axis=2) if sizes else []
    joined = list(rejoin(pieces, size))
    assert [part.shape[2] for part in joined[:-1]] == [size] * (len(joined) - 1)
    assert all(0 < part.shape[2] <= size for part in joined)
    assert np.array_equal(np.concatenate([codes[:, :, :0], *joined], axis=2), codes)


@given(sizes=st.lists(st.integers(0, 30), max_size=10), start=st.integers(0, 300), length=st.integers(0, 300))
def test_cutting_is_slicing(sizes, start, length):
    wav = np.arange(sum(sizes), dtype=np.float32)[None]
    parts = list(cut(np.split(wav, np.cumsum(sizes)[:-1], axis=1) if sizes else [], start, start + length))
    assert np.array_equal(np.concatenate([wav[:, :0], *parts], axis=1), wav[:, start : start + length])


@pytest.mark.parametrize(("sample_rate", "channels"), [(16_000, 2), (44_100, 1), (8_000, 1), (22_051, 1)])
def test_a_range_is_the_slice_of_the_whole(tiny, tmp_path, sample_rate, channels):
    wav = sound(LONG, sample_rate, channels)
    write_file(tmp_path / "a.mynah", tiny, wav, sample_rate)
    with open(tmp_path / "a.mynah", "rb") as file:
        reader = BitstreamReader(file, tiny.tables)
        codes = torch.from_numpy(reader.read(0, reader.n_frames))
        whole = tiny.decode(Encoded(codes, sample_rate, wav.shape[1], channels))[0].numpy()
        for start, stop in [(0.0, 0.5), (0.3, 0.301), (7.77, 9.1), (10.01, LONG), (LONG - 0.001, LONG)]:
            first, last = round(start * sample_rate), round(stop * sample_rate)
            part = np.concatenate(list(range_blocks(tiny, reader, first, last)), axis=1)
            assert part.shape == (channels, last - first)
            assert np.abs(part - whole[:, first:last]).max() < 1e-4
    assert np.abs(whole).std() > 1e-3  # else the comparison says nothing


def test_context_is_as_long_as_it_must_be(tiny):
    """With a few frames less before it, a frame's sound does change."""
    codes = tiny.encode(sound(3.0, 16_000, 1)[None], 16_000).codes.numpy()
    whole = np.concatenate(list(decode_blocks(tiny, [codes])), axis=1)
    frame, hop = 100, tiny.config.hop_length
    errors = []
    for context in (context_frames(tiny.config), context_frames(tiny.config) - 5):
        late = np.concatenate(list(decode_blocks(tiny, [codes[:, :, frame - context :]])), axis=1)
        errors.append(np.abs(late[:, context * hop :] - whole[:, frame * hop :])[:, :hop].max())
    assert errors[0] < 1e-6
    assert errors[1] > 1e-5


def test_salvage_is_silent_where_chunks_are_lost_and_the_same_elsewhere(tiny, tmp_path):
    wav = sound(30.0, 16_000, 1)
    path = tmp_path / "a.mynah"
    write_file(path, tiny, wav, 16_000)
    whole = np.concatenate(list(decode_blocks(tiny, [codes_of(path, tiny)])), axis=1)
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 0xFF
    path.write_bytes(damaged)
    with open(path, "rb") as file:
        found = salvage(file, tiny.tables)
        parts = np.concatenate(list(salvaged_blocks(tiny, found)), axis=1)
    (span,) = found.lost
    hop = tiny.config.hop_length
    assert parts.shape == whole.shape
    begin, end = (span.start_frame - 1) * hop, (span.start_frame + span.n_frames) * hop
    assert np.array_equal(parts[:, :begin], whole[:, :begin])
    assert not parts[:, begin:end].any()
    settled = end + context_frames(tiny.config) * hop
    assert np.abs(parts[:, settled:] - whole[:, settled:]).max() < 1e-5
    assert np.abs(whole[:, begin:end]).max() > 1e-3


def codes_of(path, codec) -> np.ndarray:
    with open(path, "rb") as file:
        reader = BitstreamReader(file, codec.tables)
        return reader.read(0, reader.n_frames)


def test_the_command_writes_the_tokens_of_the_library(tiny, tiny_folder, mynah, tmp_path, speech):
    for name, wav, sample_rate in (("a.wav", speech[None], 16_000), ("b.flac", sound(11, 44_100, 2), 44_100)):
        audio.save(tmp_path / name, wav, sample_rate)
        out = tmp_path / f"{name}.mynah"
        assert mynah("encode", tmp_path / name, out, "--codec", tiny_folder, "--bitrate", "6").returncode == 0
        stored = audio.load(tmp_path / name).wav
        whole = tiny.encode(stored[None], sample_rate, 6.0)
        assert np.array_equal(codes_of(out, tiny), whole.codes.numpy())
        back = tmp_path / f"back-{name}"
        assert mynah("decode", out, back, "--codec", tiny_folder).returncode == 0
        loaded = audio.load(back)
        assert (loaded.wav.shape, loaded.sample_rate) == (stored.shape, sample_rate)
        assert np.abs(loaded.wav - tiny.decode(whole)[0].numpy()).max() <= 2**-16 + 1e-6
