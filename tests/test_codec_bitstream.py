"""The `.mynah` file: round trips, fewer codebooks, golden bytes, and what does not fit is refused."""

import io
import json
import zlib
from array import array
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

from mynah.codec.bitstream import BitstreamReader, BitstreamWriter, Header, codec_identity, truncate
from mynah.codec.entropy import EntropyTables
from mynah.codec.framing import MAX_CHUNK_CODES, Trailer
from mynah.codec.salvage import salvage
from mynah.data.errors import BitstreamError

GOLDEN = Path(__file__).parent / "golden"
GOLDEN_NAMES = ("mono", "stereo", "long")
IDENTITY = "0123456789abcdef"
CODEBOOK_SIZE = 16  # of `tables`


@pytest.fixture(scope="module")
def tables(fuzz: ModuleType) -> EntropyTables:
    return fuzz.small_tables()


def make_header(channels: int = 1, n_codebooks: int = 3, **fields) -> Header:
    return Header(**{
        "codec": "mynah-16k", "identity": IDENTITY, "sample_rate": 16000, "channels": channels,
        "n_codebooks": n_codebooks, "frame_rate": 50.0, **fields,
    })  # fmt: skip


def make_codes(header: Header, n_frames: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(0, CODEBOOK_SIZE, (header.channels, header.n_codebooks, n_frames))


def write(
    header: Header, codes: np.ndarray, tables: EntropyTables, step: int = 10**9, length: int = -1
) -> bytes:
    file = io.BytesIO()
    writer = BitstreamWriter(file, header, tables)
    for start in range(0, codes.shape[2], step):
        writer.write(codes[:, :, start : start + step])
    writer.close(max(0, codes.shape[2] - 1) * 320 if length < 0 else length)
    return file.getvalue()


shapes = {
    "channels": st.integers(1, 4), "n_codebooks": st.integers(1, 3), "chunk_frames": st.integers(1, 60),
    "n_frames": st.integers(0, 130), "seed": st.integers(0, 1000),
}  # fmt: skip


@settings(deadline=None, max_examples=80)
@given(**shapes, data=st.data())
def test_round_trip(
    tables: EntropyTables, channels: int, n_codebooks: int, chunk_frames: int, n_frames: int, seed: int, data
) -> None:
    header = make_header(channels, n_codebooks, chunk_frames=chunk_frames)
    codes = make_codes(header, n_frames, seed)
    if channels > 1:  # some channels repeat others
        codes = codes[np.sort(np.random.default_rng(seed).integers(0, channels, channels))]
    stored = write(header, codes, tables)
    reader = BitstreamReader(io.BytesIO(stored), tables, codec="mynah-16k", identity=IDENTITY)
    assert replace(reader.header, file_id=0) == header
    assert (reader.n_frames, reader.length) == (n_frames, max(0, n_frames - 1) * 320)
    start = data.draw(st.integers(0, n_frames))
    count = data.draw(st.integers(0, n_frames - start))
    assert np.array_equal(reader.read(start, count), codes[:, :, start : start + count])
    pieces = list(reader)
    assert [piece.start_frame for piece in pieces] == list(range(0, n_frames, chunk_frames))
    if pieces:
        assert np.array_equal(np.concatenate([piece.codes for piece in pieces], axis=2), codes)


@settings(deadline=None, max_examples=40)
@given(**shapes, step=st.integers(1, 140))
def test_chunked_writing_gives_the_same_bytes(
    tables: EntropyTables,
    channels: int,
    n_codebooks: int,
    chunk_frames: int,
    n_frames: int,
    seed: int,
    step: int,
) -> None:
    header = make_header(channels, n_codebooks, chunk_frames=chunk_frames)
    codes = make_codes(header, n_frames, seed)
    assert write(header, codes, tables, step) == write(header, codes, tables)


def test_many_chunks_at_once_give_the_same_bytes_as_one_by_one(
    fuzz: ModuleType, tables: EntropyTables
) -> None:
    """Whole files take the vectorised path of the entropy coder, pipes the scalar one."""
    header = make_header(2, 3, chunk_frames=10)
    codes = make_codes(header, 10 * 300 + 3)
    codes[1, :, :1000] = codes[0, :, :1000]
    stored = write(header, codes, tables)
    assert stored == write(header, codes, tables, step=10)
    assert np.array_equal(fuzz.read_all(io.BytesIO(stored), tables), codes)
    assert np.array_equal(fuzz.read_all(fuzz.Pipe(stored), tables), codes)


def test_a_pipe_knows_length_and_frames_at_its_end(fuzz: ModuleType, tables: EntropyTables) -> None:
    header = make_header(chunk_frames=8)
    reader = BitstreamReader(fuzz.Pipe(write(header, make_codes(header, 20), tables)), tables)
    assert reader.length is None and reader.n_frames is None
    with pytest.raises(ValueError, match="only a seekable file"):
        reader.read(0, 1)
    assert sum(piece.codes.shape[2] for piece in reader) == 20
    assert (reader.length, reader.n_frames, reader.n_chunks) == (19 * 320, 20, 3)


def test_a_pipe_gives_each_chunk_as_soon_as_it_is_there(fuzz: ModuleType, tables: EntropyTables) -> None:
    header = make_header(chunk_frames=8)
    codes = make_codes(header, 24)
    stored = write(header, codes, tables)
    first_chunks = stored[: -len(Trailer.pack(Trailer(array("H", [0] * 3), 0), header)) - 5]
    pieces = iter(BitstreamReader(fuzz.Pipe(first_chunks), tables))
    assert np.array_equal(next(pieces).codes, codes[:, :, :8])
    assert np.array_equal(next(pieces).codes, codes[:, :, 8:16])
    with pytest.raises(BitstreamError, match="cut short in chunk 2"):
        next(pieces)


def test_equal_channels_cost_nothing(tables: EntropyTables) -> None:
    mono, stereo = make_header(1), make_header(2)
    codes = make_codes(mono, 1000)
    extra = len(write(stereo, codes.repeat(2, 0), tables)) - len(write(mono, codes, tables))
    assert extra == 5  # a mask for each of five chunks


@pytest.mark.parametrize("channels", [1, 2, 16, 64])
def test_default_chunks_bound_the_payload(channels: int) -> None:
    header = make_header(channels, 12)
    assert header.chunk_frames == min(200, MAX_CHUNK_CODES // (12 * channels))
    assert header.max_payload(header.chunk_frames) < 2**16


def test_overhead() -> None:
    """Uniform codes over uniform tables cannot be compressed: what is more than 10 bit a code is overhead."""
    wide = EntropyTables.uniform(12, 1024)
    header = make_header(1, 6)
    codes = np.random.default_rng(0).integers(0, 1024, (1, 6, 200 * 100))
    per_chunk = (len(write(header, codes, wide)) - codes.size * 10 / 8) / 100
    assert (
        14 <= per_chunk <= 18.5
    )  # 14 of heads and index, 2 to end the stream, and a hundredth of header and trailer


# Truncation to fewer codebooks


@pytest.mark.parametrize("keep", [1, 2, 3])
def test_truncate_gives_the_bytes_of_writing_fewer_codebooks(
    fuzz: ModuleType, tables: EntropyTables, keep: int
) -> None:
    header = make_header(2, 3)
    codes = make_codes(header, 450)
    for source in (io.BytesIO(write(header, codes, tables)), fuzz.Pipe(write(header, codes, tables))):
        shorter = io.BytesIO()
        truncate(source, shorter, keep, tables)
        assert shorter.getvalue() == write(make_header(2, keep), codes[:, :keep], tables)


@pytest.mark.parametrize("keep", [0, 4, -1])
def test_truncate_refuses_codebooks_that_are_not_there(tables: EntropyTables, keep: int) -> None:
    header = make_header()
    with pytest.raises(BitstreamError, match=f"cannot keep {keep} codebooks, the file has 3"):
        truncate(io.BytesIO(write(header, make_codes(header, 5), tables)), io.BytesIO(), keep, tables)


# Golden files, read by the program and by a second decoder written from docs/format.md


def reference_decode(data: bytes, arrays: dict[str, list]) -> tuple[list, int]:
    """Codes [C][K][N] and length; only what docs/format.md says, one code at a time, no code shared."""

    def number(at: int, size: int) -> int:
        return int.from_bytes(data[at : at + size], "little")

    n_codebooks, channels, chunk_frames, name = data[6], data[7], data[14], data[27]
    at, file_id, size = 32 + name, data[23:27], len(arrays["freqs"][0])
    assert data[:6] == b"MYNA\1\0" and number(28 + name, 4) == zlib.crc32(data[: 28 + name])
    n_chunks = number(len(data) - 20, 4)
    codes: list = [[[] for _ in range(n_codebooks)] for _ in range(channels)]
    for chunk in range(n_chunks):
        n_frames, n_bytes = data[at + 5], number(at + 6, 2)
        payload = data[at + 12 : at + 12 + n_bytes]
        assert data[at : at + 2] == b"\xc7\x5a" and number(at + 2, 3) == chunk
        assert number(at + 8, 4) == zlib.crc32(file_id + data[at : at + 8] + payload)
        at += 12 + n_bytes
        mask_size = (channels + 6) // 8
        mask = int.from_bytes(payload[:mask_size], "little")
        words = [payload[i] + 256 * payload[i + 1] for i in range(mask_size, n_bytes, 2)]
        state = 0
        for _ in range(min(3, len(words))):
            state = state * 65536 + words.pop(0)
        for channel in range(channels):
            if channel and mask >> (channel - 1) & 1:
                for book in range(n_codebooks):
                    codes[channel][book] += codes[channel - 1][book][-n_frames:]
                continue
            for frame in range(n_frames):
                for book in range(n_codebooks):
                    cell = 0
                    for (delay, other), classes in zip(
                        arrays["sources"][book], (arrays["class_a"], arrays["class_b"])
                    ):
                        past = size if delay and not frame else codes[channel][other][-1]
                        if delay and frame and other < book:  # this frame's code is already there
                            past = codes[channel][other][-2]
                        cell += classes[book][past]
                    freqs = arrays["freqs"][arrays["rows"][cell]]
                    slot, code, start = state % 65536, 0, 0
                    while slot >= start + freqs[code]:
                        start, code = start + freqs[code], code + 1
                    state = freqs[code] * (state // 65536) + slot - start
                    if state < 2**32 and words:
                        state = state * 65536 + words.pop(0)
                    codes[channel][book].append(code)
        assert state == 0 and not words and (n_frames == chunk_frames or chunk == n_chunks - 1)
    trailer_size = 22 + 2 * n_chunks + (32 + name if n_chunks >= 16 else 0)
    assert len(data) == at + trailer_size and data[at : at + 2] == b"\xe3\x96" and data.endswith(b"ANYM")
    assert number(len(data) - 8, 4) == zlib.crc32(file_id + data[at:-8])
    return codes, number(len(data) - 16, 8)


@pytest.mark.parametrize("name", GOLDEN_NAMES)
def test_golden_files(name: str) -> None:
    golden_tables = EntropyTables.load(GOLDEN / "tables.safetensors")
    expected = json.loads((GOLDEN / f"{name}.json").read_text())
    data = (GOLDEN / f"{name}.mynah").read_bytes()
    header = Header(**expected["header"])
    assert header.identity == codec_identity("ab" * 32, golden_tables)
    assert write(header, np.array(expected["codes"]), golden_tables, length=expected["length"]) == data
    reader = BitstreamReader(io.BytesIO(data), golden_tables, codec=header.codec, identity=header.identity)
    assert reader.read(0, reader.n_frames).tolist() == expected["codes"]
    assert reader.length == expected["length"]
    arrays = {key: value.tolist() for key, value in load_file(GOLDEN / "tables.safetensors").items()}
    assert reference_decode(data, arrays) == (expected["codes"], expected["length"])


def test_golden_tables_hash() -> None:
    found = EntropyTables.load(GOLDEN / "tables.safetensors").hash
    assert found == (GOLDEN / "tables.sha256").read_text().strip()


# Errors


def test_other_codecs_are_named(tables: EntropyTables) -> None:
    header = make_header()
    data = write(header, make_codes(header, 5), tables)
    with pytest.raises(BitstreamError, match="written by the codec 'mynah-16k', this is 'mynah-24k'"):
        BitstreamReader(io.BytesIO(data), tables, codec="mynah-24k", identity=IDENTITY)
    other = "f" * 16
    with pytest.raises(BitstreamError, match=f"with identity {IDENTITY}, this one has {other}"):
        BitstreamReader(io.BytesIO(data), tables, codec="mynah-16k", identity=other)
    with pytest.raises(BitstreamError, match=f"with identity {IDENTITY}, this one has {other}"):
        salvage(io.BytesIO(data), tables, codec="mynah-16k", identity=other)
    with pytest.raises(BitstreamError, match="found 3 codebooks, this codec has 2"):
        BitstreamReader(io.BytesIO(data), EntropyTables.uniform(2, 16))


def test_codec_identity_depends_on_weights_and_tables(tables: EntropyTables) -> None:
    other = EntropyTables.uniform(3, 16)
    assert len({codec_identity(w, t) for w in ("00" * 32, "01" * 32) for t in (tables, other)}) == 4


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the file is empty"),
        (b"RIFF....WAVEfmt ", "not a .mynah file: it starts with b'RIFF'"),
        (b"MYNA\x02" + bytes(40), "format version 2, this program reads version 1"),
        (b"MYNA\x01" + bytes(10), "ends inside its header"),
        (b"MYNA\x01" + bytes(40), "bytes of codec name: found 0, allowed are 1 to 32"),
    ],
)
def test_other_files_are_refused_in_one_line(fuzz: ModuleType, data: bytes, message: str) -> None:
    for open_file in (io.BytesIO, fuzz.Pipe):
        with pytest.raises(BitstreamError, match=message):
            BitstreamReader(open_file(data))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"channels": 65}, "channels: found 65, allowed are 1 to 64"),
        ({"channels": 0}, "channels: found 0"),
        ({"n_codebooks": 33}, "codebooks: found 33, allowed are 1 to 32"),
        ({"sample_rate": 999}, "sample rate: found 999, allowed are 1000 to 1000000"),
        ({"frame_rate": 0.5}, "frame rate: found 0.5, allowed are 1.0 to 655.35"),
        ({"chunk_frames": 256}, "frames per chunk: found 256, allowed are 1 to 255"),
        ({"chunk_frames": 200, "channels": 64}, "codes per chunk: found 38400, allowed are 1 to 32000"),
        ({"codec": "a b"}, "codec name 'a b'"),
        ({"codec": ""}, "codec name ''"),
        ({"codec": "x" * 33}, "allowed are 1 to 32"),
        ({"identity": "xyz"}, "codec identity 'xyz'"),
    ],
)
def test_headers_out_of_range(fields: dict, message: str) -> None:
    with pytest.raises(BitstreamError, match=message):
        make_header(**fields)


def test_lengths_that_the_frames_cannot_hold(tables: EntropyTables) -> None:
    header = make_header()
    with pytest.raises(BitstreamError, match="states 99999 samples, its 5 frames hold"):
        write(header, make_codes(header, 5), tables, length=99_999)
    with pytest.raises(BitstreamError, match="states 1 samples, its 0 frames hold 0 at most"):
        write(header, make_codes(header, 0), tables, length=1)


@pytest.mark.parametrize(
    "codes",
    [
        np.zeros((1, 3, 5)),
        np.zeros((3, 5), int),
        np.zeros((1, 2, 5), int),
        np.full((1, 3, 5), 16),
        np.full((1, 3, 1), -1),
    ],
)
def test_the_writer_refuses_other_codes(tables: EntropyTables, codes: np.ndarray) -> None:
    file = io.BytesIO()
    with pytest.raises(ValueError, match="codes must be"):
        BitstreamWriter(file, make_header(), tables).write(codes)
    assert not file.getvalue()


def test_frames_that_are_not_there(tables: EntropyTables) -> None:
    header = make_header()
    reader = BitstreamReader(io.BytesIO(write(header, make_codes(header, 5), tables)), tables)
    for start, count in ((0, 6), (-1, 2), (5, 1), (3, -1)):
        with pytest.raises(ValueError, match="the file has 5"):
            reader.read(start, count)
