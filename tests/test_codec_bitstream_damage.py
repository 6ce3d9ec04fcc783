"""The `.mynah` file, damaged or hostile: what is intact is salvaged, the rest refused, in little memory."""

import io
import struct
import tracemalloc
import zlib
from types import ModuleType

import numpy as np
import pytest

from mynah.codec.bitstream import BitstreamReader, BitstreamWriter, Header
from mynah.codec.entropy import EntropyTables
from mynah.codec.framing import HEADER_COPY_CHUNKS
from mynah.codec.salvage import Span, inspect, salvage
from mynah.data.errors import BitstreamError

CODEBOOK_SIZE = 16  # of `tables`


@pytest.fixture(scope="module")
def tables(fuzz: ModuleType) -> EntropyTables:
    return fuzz.small_tables()


def make_header(channels: int = 1, n_codebooks: int = 3, **fields) -> Header:
    return Header("mynah-16k", "0123456789abcdef", 16000, channels, n_codebooks, 50.0, **fields)


def make_codes(header: Header, n_frames: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(0, CODEBOOK_SIZE, (header.channels, header.n_codebooks, n_frames))


def write(header: Header, codes: np.ndarray, tables: EntropyTables) -> bytes:
    file = io.BytesIO()
    writer = BitstreamWriter(file, header, tables)
    writer.write(codes)
    writer.close(max(0, codes.shape[2] - 1) * 320)
    return file.getvalue()


def test_truncation_at_every_byte(fuzz: ModuleType, tables: EntropyTables) -> None:
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


def test_salvage_reports_the_lost_spans(fuzz: ModuleType, tables: EntropyTables) -> None:
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
        fuzz.read_all(io.BytesIO(bytes(data)), tables)
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


def test_a_header_with_one_wrong_bit_is_put_right(tables: EntropyTables) -> None:
    """Even of a short file, which has no copy of it; every bit in turn."""
    header = make_header(chunk_frames=8)
    codes = make_codes(header, 12)
    data = write(header, codes, tables)
    for bit in range(8 * len(header.pack())):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        left = salvage(io.BytesIO(damaged), tables)
        assert left.header == salvage(io.BytesIO(data), tables).header
        assert left.lost == [] and left.n_frames == 12
        with pytest.raises(BitstreamError):
            BitstreamReader(io.BytesIO(damaged), tables)
    damaged[0] ^= 3
    with pytest.raises(BitstreamError, match="no intact copy"):
        salvage(io.BytesIO(damaged), tables)


def test_salvage_ignores_what_is_put_around_the_file(fuzz: ModuleType, tables: EntropyTables) -> None:
    header = make_header(chunk_frames=8)
    codes = make_codes(header, 30)
    data = write(header, codes, tables)
    for around in (b"junk" + data + b"junk" * 3000, data + bytes(4096), bytes(3 << 20) + data):
        with pytest.raises(BitstreamError):
            fuzz.read_all(io.BytesIO(around), tables)
        left = salvage(io.BytesIO(around), tables)
        assert (left.n_frames, left.length, left.lost) == (30, 29 * 320, [])


def test_salvage_is_not_fooled_by_another_file_of_the_same_codec(
    fuzz: ModuleType, tables: EntropyTables
) -> None:
    header = make_header(chunk_frames=8)
    ours, theirs = (fuzz.make_sample(1, 3, 8, 40, seed) for seed in (1, 2))
    assert ours.header.file_id != theirs.header.file_id
    mixed = ours.data.replace(ours.chunks[2], theirs.chunks[2])
    left = salvage(io.BytesIO(mixed), tables)
    assert left.lost == [Span(16, 8)] and header.chunk_frames == 8
    assert all(np.array_equal(piece, ours.codes[:, :, start : start + 8]) for start, piece in left)


def test_moved_chunks_are_put_back(fuzz: ModuleType, tables: EntropyTables) -> None:
    sample = fuzz.make_sample(1, 3, 8, 40, 1)
    a, b = sample.chunks[1], sample.chunks[3]
    swapped = sample.data.replace(a, bytes(64)).replace(b, a).replace(bytes(64), b)
    with pytest.raises(BitstreamError):
        fuzz.read_all(io.BytesIO(swapped), tables)
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


@pytest.mark.parametrize("cases", [8_000, pytest.param(24_000, marks=pytest.mark.slow)])
def test_fuzz(fuzz: ModuleType, cases: int) -> None:
    """Damaged and hostile files; benchmarks/bitstream_fuzz.py runs more."""
    ends = fuzz.run(cases, seed=0)
    by_kind = {
        kind: {end: n for (k, end), n in ends.items() if k == kind} for kind in fuzz.DAMAGED + fuzz.FORGED
    }
    for kind in fuzz.DAMAGED:
        assert sum(by_kind[kind].values()) == cases / 8
        assert by_kind[kind]["refused-refused, salvaged"] > cases / 24
    for kind in fuzz.FORGED:  # the forgeries get past the checksums: some are valid files
        assert by_kind[kind]["read-read, salvaged"] > cases / 480


def test_fuzz_memory(fuzz: ModuleType) -> None:
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
def test_hostile_files_take_little_memory(fuzz: ModuleType, name: str) -> None:
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
