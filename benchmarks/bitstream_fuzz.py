"""Fuzzes the `.mynah` parser: damage and forgery give BitstreamError or the intact chunks, nothing else.

    python benchmarks/bitstream_fuzz.py --cases 1000000 --seed 7

The default tests run 8000 cases of this, `pytest -m slow` 24000. Every case is one of: flipped bits, a cut, a
splice (bytes removed, doubled, or taken from another file), a chunk of another file, and forged fields with
right checksums, which reach the code behind the checksums. A failing case is printed with its seed:
`--seed N --cases 1` repeats it.
"""

from __future__ import annotations

import argparse
import io
import random
import struct
import time
import tracemalloc
import zlib
from collections import Counter
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from mynah.codec.bitstream import BitstreamReader, BitstreamWriter, Header
from mynah.codec.entropy import EntropyTables
from mynah.codec.framing import CHUNK_HEAD_SIZE, HEADER_COPY_CHUNKS, pack_chunk
from mynah.codec.salvage import inspect, salvage
from mynah.data.errors import BitstreamError

CODEBOOKS, CODEBOOK_SIZE = 3, 16
MEMORY_LIMIT = 64 << 20
SECONDS_LIMIT = 5.0
FORGED = ("forged header", "forged chunk", "forged payload", "forged trailer")
DAMAGED = ("bits", "cut", "splice", "foreign chunk")


def small_tables() -> EntropyTables:
    """Skewed tables with real contexts, from integer arithmetic alone: the same on every machine."""
    state = 1
    rows = []
    for _ in range(4 * CODEBOOKS):
        weights = []
        for _ in range(CODEBOOK_SIZE):
            state = (1103515245 * state + 12345) % 2**31
            weights.append(1 + (state >> 8) % 64 ** (1 + (state >> 20) % 3))
        freqs = [1 + weight * (65536 - CODEBOOK_SIZE) // sum(weights) for weight in weights]
        freqs[0] += 65536 - sum(freqs)
        rows.append(freqs)
    values = np.arange(CODEBOOK_SIZE + 1)
    books = np.arange(CODEBOOKS)[:, None]
    sources = [[(1, 0), (1, 0)], [(1, 1), (0, 0)], [(0, 1), (0, 0)]]
    return EntropyTables(
        np.array(sources), 4 * books + 2 * (values % 2), books * 0 + values // 5 % 2,
        np.arange(4 * CODEBOOKS), np.array(rows),
    )  # fmt: skip


class Sample(NamedTuple):
    """An undamaged file."""

    header: Header
    codes: np.ndarray
    data: bytes
    chunks: list[bytes]  # with their heads


def make_sample(channels: int, n_codebooks: int, chunk_frames: int, n_frames: int, seed: int) -> Sample:
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, CODEBOOK_SIZE, (channels, n_codebooks, n_frames))
    if channels > 1 and seed % 2:
        codes[1] = codes[0]
    file = io.BytesIO()
    header = Header("fuzz", "0123456789abcdef", 16000, channels, n_codebooks, 50.0, chunk_frames)
    writer = BitstreamWriter(file, header, small_tables())
    writer.write(codes)
    writer.close(max(0, 320 * n_frames - 331))
    data, chunks = file.getvalue(), []
    position = len(writer.header.pack())
    for _ in range(0, n_frames, chunk_frames):
        size = CHUNK_HEAD_SIZE + struct.unpack_from("<H", data, position + 6)[0]
        chunks.append(data[position : position + size])
        position += size
    return Sample(writer.header, codes, data, chunks)


def make_samples() -> list[Sample]:
    return [
        make_sample(1, 3, 8, 27, 1),
        make_sample(1, 3, 8, 27, 2),
        make_sample(2, 2, 8, 16, 3),
        make_sample(2, 2, 8, 19, 4),
        make_sample(1, 1, 2, 2 * HEADER_COPY_CHUNKS + 5, 5),
        make_sample(1, 2, 200, 5, 6),
        make_sample(1, 1, 8, 0, 7),
    ]


class Pipe:
    """A file that cannot seek and gives few bytes per call."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)

    def read(self, size: int) -> bytes:
        return self._file.read(min(size, 61))

    def seekable(self) -> bool:
        return False


def damage(sample: Sample, other: Sample, kind: str, rng: random.Random) -> bytes:
    """The bytes of `sample` with one kind of damage; for damage other than forgery they always differ."""
    data = bytearray(sample.data)
    while bytes(data) == sample.data:
        if kind == "bits":
            for _ in range(rng.choice((1, 1, 2, 8))):
                data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        elif kind == "cut":
            del data[rng.randrange(len(data)) :]
        elif kind == "splice":
            begin, end = sorted(rng.choices(range(len(data) + 1), k=2))
            donor = rng.choice((sample.data, other.data, rng.randbytes(40), b""))
            first, last = sorted(rng.choices(range(len(donor) + 1), k=2))
            data[begin:end] = donor[first:last]
        elif kind == "foreign chunk":  # in place of one of ours, or between two
            begin = data.find(rng.choice(sample.chunks)) if sample.chunks else len(data)
            chunk = rng.choice(other.chunks) if other.chunks else b"\0"
            data[begin : begin + rng.choice((0, len(chunk)))] = chunk
        else:
            return _forge(sample, kind, rng)
    return bytes(data)


def _forge(sample: Sample, kind: str, rng: random.Random) -> bytes:
    """Absurd fields with right checksums."""
    header_size = len(sample.header.pack())
    head, body = bytearray(sample.data[: header_size - 4]), sample.data[header_size:]
    trailer = body[sum(map(len, sample.chunks)) :]
    chunks = list(sample.chunks)
    if kind == "forged header":
        field, size = rng.choice(
            ((4, 1), (5, 1), (6, 1), (7, 1), (8, 4), (12, 2), (14, 1), (23, 4), (27, 1), (28, 2))
        )
        value = rng.choice((0, 1, 2, 255, 2 ** (8 * size) - 1, rng.randrange(2 ** (8 * size))))
        head[field : field + size] = (value % 2 ** (8 * size)).to_bytes(size, "little")
        header_bytes = bytes(head) + struct.pack("<I", zlib.crc32(head))
        return header_bytes + body
    if kind == "forged trailer" or not chunks:
        n_chunks, length = struct.unpack_from("<IQ", trailer, len(trailer) - 20)
        sizes = trailer[: len(trailer) - 20]
        n_chunks = rng.choice((n_chunks, 0, n_chunks + 1, 2**21, 2**32 - 1, rng.randrange(2**32)))
        length = rng.choice((length, 0, 2**63, 2**64 - 1, rng.randrange(2 ** rng.randrange(1, 64))))
        if rng.random() < 0.3:
            sizes = rng.choice((b"", sizes + b"\xff\xff", rng.randbytes(len(sizes)), sizes[:2] * 50_000))
        forged = sizes + struct.pack("<IQ", n_chunks, length)
        seed = zlib.crc32(struct.pack("<I", sample.header.file_id))
        trailer = forged + struct.pack("<I", zlib.crc32(forged, seed)) + b"ANYM"
    else:
        place = rng.randrange(len(chunks))
        old = chunks[place]
        number, n_frames = int.from_bytes(old[2:5], "little"), old[5]
        payload = old[CHUNK_HEAD_SIZE:]
        if kind == "forged chunk":
            number = rng.choice((number, number + 1, 0, 2**21 - 1, rng.randrange(2**21)))
            n_frames = rng.choice((n_frames, 0, 1, 255, rng.randrange(256)))
        if (
            kind == "forged payload"
        ):  # of the right size and with a right checksum: the entropy coder reads it
            payload = rng.choice((rng.randbytes(len(payload)), bytes(len(payload)), b"\xff" * len(payload)))
        elif rng.random() < 0.5:
            payload = rng.choice(
                (b"", payload[:-1], payload + b"\0", payload + b"\0\0", rng.randbytes(65_535))
            )
        chunks[place] = pack_chunk(sample.header, number, n_frames, payload)
    return sample.data[:header_size] + b"".join(chunks) + trailer


def read_all(file: object, tables: EntropyTables) -> np.ndarray:
    """All codes of a file, with everything that strict reading checks."""
    reader = BitstreamReader(file, tables)  # type: ignore[arg-type]
    pieces = [piece.codes for piece in reader]
    assert reader.n_frames is not None and sum(codes.shape[2] for codes in pieces) == reader.n_frames
    return np.concatenate(pieces, axis=2) if pieces else np.empty((0, 0, 0), np.int64)


def check_case(sample: Sample, other: Sample, data: bytes, kind: str, tables: EntropyTables) -> str:
    """Asserts what must hold for a damaged file, and says how it ended."""
    outcomes = []
    for open_file in (io.BytesIO, Pipe):
        try:
            read_all(open_file(data), tables)
            outcomes.append("read")
        except BitstreamError as error:
            assert str(error) and "\n" not in str(error)
            outcomes.append("refused")
    assert kind in FORGED or outcomes == ["refused", "refused"], f"damage was not noticed: {outcomes}"
    try:
        inspect(io.BytesIO(data))
        found = salvage(io.BytesIO(data), tables)
        pieces = list(found)
    except BitstreamError:
        return "-".join(outcomes) + ", lost"
    step = found.header.chunk_frames
    spans = [(piece.start_frame, piece.codes.shape[2]) for piece in pieces] + [
        tuple(span) for span in found.lost
    ]
    position = 0
    for start, n_frames in sorted(spans):
        assert start == position, "pieces and lost spans do not tile the recording"
        position += n_frames
    assert position == found.n_frames
    if kind in DAMAGED:
        origin = {source.header: source for source in (sample, other)}[found.header]
        intact = [number for number, chunk in enumerate(origin.chunks) if chunk in data]
        assert [piece.start_frame // step for piece in pieces] == intact, "not exactly the intact chunks"
        for start, codes in pieces:
            assert np.array_equal(codes, origin.codes[:, :, start : start + codes.shape[2]]), "codes differ"
    return "-".join(outcomes) + (", salvaged" if pieces else ", nothing intact")


def run(
    cases: int, seed: int, measure_memory: bool = False, progress: bool = False
) -> Counter[tuple[str, str]]:
    """Runs cases seed .. seed + cases - 1.

    Args:
        cases: how many.
        seed: of the first case.
        measure_memory: assert the peak of each case, which takes many times as long.
        progress: show a bar.

    Returns:
        How many cases of each kind of damage ended in which way.

    Raises:
        AssertionError: with the failing case's seed.
    """
    samples, tables = make_samples(), small_tables()
    ends: Counter[tuple[str, str]] = Counter()
    kinds = (*DAMAGED, *FORGED)
    if measure_memory:
        tracemalloc.start()
    try:
        for case in tqdm(range(seed, seed + cases), disable=not progress, mininterval=1):
            rng = random.Random(case)
            kind = kinds[case % len(kinds)]
            sample, other = rng.sample(samples, 2)
            data = damage(sample, other, kind, rng)
            began = time.process_time()
            tracemalloc.reset_peak()
            try:
                ends[kind, check_case(sample, other, data, kind, tables)] += 1
            except Exception as error:
                raise AssertionError(f"case {case} ({kind}): {type(error).__name__}: {error}") from error
            assert time.process_time() - began < SECONDS_LIMIT, f"case {case} ({kind}) hangs"
            peak = tracemalloc.get_traced_memory()[1]
            assert peak < MEMORY_LIMIT, f"case {case} ({kind}) takes {peak >> 20} MB"
    finally:
        tracemalloc.stop()
    return ends


def main() -> None:
    parser = argparse.ArgumentParser(description="Fuzz the .mynah parser.")
    parser.add_argument("--cases", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--memory", action="store_true", help="assert the peak memory of each case")
    options = parser.parse_args()
    began = time.perf_counter()
    ends = run(options.cases, options.seed, options.memory, progress=True)
    for (kind, end), count in sorted(ends.items()):
        print(f"{kind:16} {end:36} {count:9}")
    print(f"{options.cases} cases without a failure in {time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
