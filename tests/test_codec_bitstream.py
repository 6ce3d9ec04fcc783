"""The `.mynah` file: round trips, golden bytes, damage, hostile input."""

import importlib.util
import io
import json
import struct
import sys
import tracemalloc
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
from mynah.codec.framing import HEADER_COPY_CHUNKS, MAX_CHUNK_CODES, Trailer
from mynah.codec.salvage import Span, inspect, salvage
from mynah.data.errors import BitstreamError

GOLDEN = Path(__file__).parent / "golden"
GOLDEN_NAMES = ("mono", "stereo", "long")
IDENTITY = "0123456789abcdef"


def load_fuzzer() -> ModuleType:
    path = Path(__file__).parents[1] / "benchmarks" / "bitstream_fuzz.py"
    spec = importlib.util.spec_from_file_location("bitstream_fuzz", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


fuzz = load_fuzzer()


@pytest.fixture(scope="module")
def tables() -> EntropyTables:
    return fuzz.small_tables()


def make_header(channels: int = 1, n_codebooks: int = 3, **fields) -> Header:
    return Header(**{
        "codec": "mynah-16k", "identity": IDENTITY, "sample_rate": 16000, "channels": channels,
        "n_codebooks": n_codebooks, "frame_rate": 50.0, **fields,
    })  # fmt: skip


def make_codes(header: Header, n_frames: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(0, fuzz.CODEBOOK_SIZE, (header.channels, header.n_codebooks, n_frames))


def write(
    header: Header, codes: np.ndarray, tables: EntropyTables, step: int = 10**9, length: int = -1
) -> bytes:
    file = io.BytesIO()
    writer = BitstreamWriter(file, header, tables)
    for start in range(0, codes.shape[2], step):
        writer.write(codes[:, :, start : start + step])
    writer.close(max(0, codes.shape[2] - 1) * 320 if length < 0 else length)
    return file.getvalue()


def read_all(data: bytes, tables: EntropyTables) -> np.ndarray:
    return fuzz.read_all(io.BytesIO(data), tables)


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


def test_many_chunks_at_once_give_the_same_bytes_as_one_by_one(tables: EntropyTables) -> None:
    """Whole files take the vectorised path of the entropy coder, pipes the scalar one."""
    header = make_header(2, 3, chunk_frames=10)
    codes = make_codes(header, 10 * 300 + 3)
    codes[1, :, :1000] = codes[0, :, :1000]
    stored = write(header, codes, tables)
    assert stored == write(header, codes, tables, step=10)
    assert np.array_equal(read_all(stored, tables), codes)
    assert np.array_equal(fuzz.read_all(fuzz.Pipe(stored), tables), codes)


def test_a_pipe_knows_length_and_frames_at_its_end(tables: EntropyTables) -> None:
    header = make_header(chunk_frames=8)
    reader = BitstreamReader(fuzz.Pipe(write(header, make_codes(header, 20), tables)), tables)
    assert reader.length is None and reader.n_frames is None
    with pytest.raises(ValueError, match="only a seekable file"):
        reader.read(0, 1)
    assert sum(piece.codes.shape[2] for piece in reader) == 20
    assert (reader.length, reader.n_frames, reader.n_chunks) == (19 * 320, 20, 3)


def test_a_pipe_gives_each_chunk_as_soon_as_it_is_there(tables: EntropyTables) -> None:
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
def test_truncate_gives_the_bytes_of_writing_fewer_codebooks(tables: EntropyTables, keep: int) -> None:
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
    with pytest.raises(BitstreamError, match=f"with the weights {IDENTITY}, this one has {other}"):
        BitstreamReader(io.BytesIO(data), tables, codec="mynah-16k", identity=other)
    with pytest.raises(BitstreamError, match=f"with the weights {IDENTITY}, this one has {other}"):
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
def test_other_files_are_refused_in_one_line(data: bytes, message: str) -> None:
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


# Damage


def test_truncation_at_every_byte(tables: EntropyTables) -> None:
    header = make_header(chunk_frames=8)
    codes = make_codes(header, 27)
    data = write(header, codes, tables)
    for size in range(len(data)):
        for open_file in (io.BytesIO, fuzz.Pipe):
            with pytest.raises(BitstreamError):
                fuzz.read_all(open_file(data[:size]), tables)
        if size < len(header.pack()):
            with pytest.raises(BitstreamError):
                salvage(io.BytesIO(data[:size]), tables)
            continue
        left = salvage(io.BytesIO(data[:size]), tables)
        assert left.length is None and not left.lost
        pieces = [piece.codes for piece in left]
        assert left.n_frames == sum(piece.shape[2] for piece in pieces)
        if pieces:
            assert np.array_equal(np.concatenate(pieces, axis=2), codes[:, :, : left.n_frames])
    assert salvage(io.BytesIO(data), tables).n_frames == 27


def test_salvage_reports_the_lost_spans(tables: EntropyTables) -> None:
    header = make_header(chunk_frames=8)
    codes = make_codes(header, 8 * 20 + 3)
    data = bytearray(write(header, codes, tables))
    position = len(header.pack())
    for number in range(21):
        length = 12 + struct.unpack_from("<H", data, position + 6)[0]
        if number in (0, 5, 6, 20):
            data[position + 12] ^= 0x40
        position += length
    with pytest.raises(BitstreamError, match="chunk 0 is damaged"):
        read_all(bytes(data), tables)
    left = salvage(io.BytesIO(data), tables)
    assert left.lost == [Span(0, 8), Span(40, 16), Span(160, 2)]  # the last: as the samples need
    assert left.length == 162 * 320
    for start, piece in left:
        assert np.array_equal(piece, codes[:, :, start : start + 8])
    info = inspect(io.BytesIO(data))
    assert (info.lost, info.n_chunks, info.n_frames) == (left.lost, 17, 162)
    assert info.problem is not None and "chunk 0 is damaged" in info.problem


def test_a_lost_header_is_taken_from_its_copy(tables: EntropyTables) -> None:
    header = make_header(chunk_frames=8)
    codes = make_codes(header, 8 * HEADER_COPY_CHUNKS)
    data = write(header, codes, tables)
    damaged = bytes(len(header.pack())) + data[len(header.pack()) :]
    left = salvage(io.BytesIO(damaged), tables)
    assert left.lost == [] and left.length == (codes.shape[2] - 1) * 320
    assert np.array_equal(np.concatenate([piece.codes for piece in left], axis=2), codes)
    with pytest.raises(BitstreamError, match=r"not a \.mynah file.*no intact copy"):
        short = write(header, codes[:, :, 8:], tables)
        salvage(io.BytesIO(bytes(10) + short[10:]), tables)


def test_salvage_ignores_what_is_put_around_the_file(tables: EntropyTables) -> None:
    header = make_header(chunk_frames=8)
    codes = make_codes(header, 30)
    data = write(header, codes, tables)
    for around in (b"junk" + data + b"junk" * 3000, data + bytes(4096), bytes(3 << 20) + data):
        with pytest.raises(BitstreamError):
            read_all(around, tables)
        left = salvage(io.BytesIO(around), tables)
        assert (left.n_frames, left.length, left.lost) == (30, 29 * 320, [])


def test_salvage_is_not_fooled_by_another_file_of_the_same_codec(tables: EntropyTables) -> None:
    header = make_header(chunk_frames=8)
    ours, theirs = (fuzz.make_sample(1, 3, 8, 40, seed) for seed in (1, 2))
    assert ours.header.file_id != theirs.header.file_id
    mixed = ours.data.replace(ours.chunks[2], theirs.chunks[2])
    left = salvage(io.BytesIO(mixed), tables)
    assert left.lost == [Span(16, 8)] and header.chunk_frames == 8
    assert all(np.array_equal(piece, ours.codes[:, :, start : start + 8]) for start, piece in left)


def test_moved_chunks_are_put_back(tables: EntropyTables) -> None:
    sample = fuzz.make_sample(1, 3, 8, 40, 1)
    a, b = sample.chunks[1], sample.chunks[3]
    swapped = sample.data.replace(a, bytes(64)).replace(b, a).replace(bytes(64), b)
    with pytest.raises(BitstreamError):
        read_all(swapped, tables)
    left = salvage(io.BytesIO(swapped), tables)
    assert left.lost == []
    assert np.array_equal(np.concatenate([piece.codes for piece in left], axis=2), sample.codes)


def test_inspect(tables: EntropyTables) -> None:
    header = make_header()
    data = write(header, make_codes(header, 501), tables)
    info = inspect(io.BytesIO(data))
    assert info.problem is None and info.lost == []
    assert (info.length, info.n_frames, info.n_chunks, info.n_bytes) == (160_000, 501, 3, len(data))
    assert info.seconds == 10.0
    assert info.bitrate == pytest.approx(len(data) * 8 / 10 / 1000)
    assert inspect(io.BytesIO(write(header, make_codes(header, 0), tables))).bitrate == 0.0


# Hostile files


def test_fuzz() -> None:
    """24000 damaged and hostile files; benchmarks/bitstream_fuzz.py runs more."""
    ends = fuzz.run(24_000, seed=0)
    by_kind = {
        kind: {end: n for (k, end), n in ends.items() if k == kind} for kind in fuzz.DAMAGED + fuzz.FORGED
    }
    for kind in fuzz.DAMAGED:
        assert sum(by_kind[kind].values()) == 3000
        assert by_kind[kind]["refused-refused, salvaged"] > 1000
    for kind in fuzz.FORGED:  # the forgeries get past the checksums: some are valid files
        assert by_kind[kind]["read-read, salvaged"] > 50


def test_fuzz_memory() -> None:
    fuzz.run(240, seed=1_000_000, measure_memory=True)


def hostile_index(n_chunks: int, length: int, entries: bytes) -> bytes:
    header = make_header().pack()
    body = b"\xe3\x96" + (header if n_chunks >= 16 else b"") + entries + struct.pack("<IQ", n_chunks, length)
    return header + body + struct.pack("<I", zlib.crc32(bytes(4) + body)) + b"ANYM"


HOSTILE = {
    "2**32 chunks": hostile_index(2**32 - 1, 0, b""),
    "2**21 chunks": hostile_index(2**21, 0, b""),
    "2**64 samples": hostile_index(0, 2**64 - 1, b""),
    "empty chunks": hostile_index(2**21, 2**63, bytes(2**22)),
    "full chunks": hostile_index(2**21, 0, b"\xff" * 2**22),
    "marks": make_header().pack() + b"\xc7\x5a" * 50_000,
    "headers": make_header().pack() + b"MYNA" * 100_000,
    "ends": make_header().pack() + b"ANYM" * 500_000,
    "tails": make_header().pack() + hostile_index(2**21, 0, b"")[-20:] * 100_000,
    "heads": make_header(64, 32).pack() + b"\xc7\x5a\0\0\0\x0f\xff\xef\0\0\0\0" * 50_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_take_little_memory(name: str) -> None:
    data = HOSTILE[name]
    wide = EntropyTables.uniform(32, 1024)
    tracemalloc.start()
    try:
        for open_file in (io.BytesIO, fuzz.Pipe):
            with pytest.raises(BitstreamError):
                fuzz.read_all(open_file(data), wide)
        try:
            assert list(salvage(io.BytesIO(data), wide)) == []
        except BitstreamError as error:
            assert "nothing can be salvaged" in str(error)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 64 << 20
