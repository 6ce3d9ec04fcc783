"""Entropy tables: fitting, storing, and coding to the same bytes on every path."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mynah.codec import rans
from mynah.codec.entropy import EntropyTables
from mynah.codec.entropy_fit import fit_tables
from mynah.data.errors import BitstreamError, CheckpointError

SIZE = 32


def markov_codes(n_frames: int, seed: int, n_codebooks: int = 4) -> np.ndarray:
    """Codes [K, N] that stay with probability 0.7; codebook k leans on codebook k - 1 of the same frame."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, SIZE, (n_codebooks, n_frames))
    stay = rng.random(n_frames) < 0.7
    for frame in range(1, n_frames):
        if stay[frame]:
            codes[0, frame] = codes[0, frame - 1]
    for book in range(1, n_codebooks):
        follow = rng.random(n_frames) < 0.5
        codes[book, follow] = (codes[book - 1, follow] * 5 + 3) % SIZE
    return codes


@pytest.fixture(scope="module")
def tables() -> EntropyTables:
    return fit_tables([markov_codes(3000, seed) for seed in range(12)], SIZE, max_rows=200)


def shape_of(codes: np.ndarray) -> tuple[int, int, int]:
    return codes.shape  # type: ignore[return-value]


@settings(deadline=None, max_examples=60)
@given(
    channels=st.integers(1, 3),
    n_codebooks=st.integers(1, 4),
    n_frames=st.integers(1, 40),
    seed=st.integers(0, 99),
)
def test_round_trip(tables: EntropyTables, channels: int, n_codebooks: int, n_frames: int, seed: int) -> None:
    codes = np.stack([markov_codes(n_frames, seed + channel)[:n_codebooks] for channel in range(channels)])
    [payload] = tables.encode([codes])
    assert np.array_equal(tables.decode([payload], [shape_of(codes)])[0], codes)


@pytest.mark.parametrize("value", [0, SIZE - 1])
def test_constant_codes_round_trip(tables: EntropyTables, value: int) -> None:
    """The state can stay 0 for long: no word may be lost or invented."""
    codes = np.full((1, 4, 50), value)
    [payload] = tables.encode([codes])
    assert np.array_equal(tables.decode([payload], [shape_of(codes)])[0], codes)


def test_lanes_and_scalar_give_the_same_bytes_and_codes(tables: EntropyTables) -> None:
    streams = [markov_codes(30, seed)[None] for seed in range(100)]
    together, alone = tables.encode(streams), [tables.encode([codes])[0] for codes in streams]
    assert together == alone
    shapes = [shape_of(codes) for codes in streams]
    for codes, decoded in zip(streams, tables.decode(together, shapes), strict=True):
        assert np.array_equal(codes, decoded)
    for codes, payload in zip(streams[:5], alone):
        assert np.array_equal(codes, rans.decode_lanes([payload], tables, 1, 4, 30)[0])


def test_streams_of_different_shapes_keep_their_order(tables: EntropyTables) -> None:
    streams = [markov_codes(5 + seed % 3, seed)[None] for seed in range(80)]
    decoded = tables.decode(tables.encode(streams), [shape_of(codes) for codes in streams])
    assert all(np.array_equal(a, b) for a, b in zip(streams, decoded, strict=True))


def test_size_is_the_information_and_few_bytes_more(tables: EntropyTables) -> None:
    wasted = []
    for seed in range(1000, 1050):
        codes = markov_codes(200, seed)[None]
        [payload] = tables.encode([codes])
        wasted.append(len(payload) - tables.bits(codes).sum() * 200 / 8)
    assert max(wasted) <= 4
    assert np.mean(wasted) <= 2.6


def test_fit_finds_the_structure(tables: EntropyTables) -> None:
    """Held-out cost near the entropy rate of the source, which is known."""
    codes = np.concatenate([markov_codes(4000, seed) for seed in range(500, 505)], axis=1)
    bits = tables.bits(codes[None])

    def entropy(likely: float) -> float:  # one code has `likely` more than its uniform share
        rest = (1 - likely) / SIZE
        return -(likely + rest) * np.log2(likely + rest) - (SIZE - 1) * rest * np.log2(rest)

    assert bits[0] == pytest.approx(entropy(0.7), abs=0.08)
    assert bits[1:] == pytest.approx(entropy(0.5), abs=0.15)


def test_dropping_codebooks_leaves_the_lower_ones_the_same_cost(tables: EntropyTables) -> None:
    codes = markov_codes(200, 3)[None]
    assert np.allclose(tables.bits(codes)[:2], tables.bits(codes[:, :2]))


def test_fit_is_deterministic_and_takes_any_amount_of_data() -> None:
    sequences = [markov_codes(n, n) for n in (0, 1, 2, 30)]
    assert fit_tables(sequences, SIZE).hash == fit_tables(sequences, SIZE).hash
    for few in ([np.zeros((3, 0), int)], [np.zeros((3, 1), int)], [np.zeros((2, 3, 7), np.int16)]):
        found = fit_tables(few, SIZE)
        assert found.n_codebooks == 3 and found.freqs.min() >= 1


def test_fit_keeps_to_max_rows() -> None:
    sequences = [markov_codes(3000, seed) for seed in range(12)]
    assert len(fit_tables(sequences, SIZE, max_rows=7).freqs) <= 7


@pytest.mark.parametrize(
    ("sequences", "max_rows", "message"),
    [
        ([], 100, "sequences of codes"),
        ([np.zeros((2, 5), int), np.zeros((3, 5), int)], 100, "all of one K"),
        ([np.full((2, 5), SIZE)], 100, "codes must be 0 to 31, found 32 to 32"),
        ([np.zeros((3, 5), int)], 2, "max_rows must be 3 to 65535, found 2"),
    ],
)
def test_fit_refuses(sequences: list[np.ndarray], max_rows: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit_tables(sequences, SIZE, max_rows=max_rows)


def test_uniform_tables_cost_the_nominal_rate() -> None:
    codes = np.random.default_rng(0).integers(0, 1024, (1, 3, 100))
    assert EntropyTables.uniform(3, 1024).bits(codes) == pytest.approx([10, 10, 10])


def test_save_and_load(tables: EntropyTables, tmp_path) -> None:
    path = tmp_path / "entropy.safetensors"
    tables.save(path)
    assert EntropyTables.load(path).hash == tables.hash
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_load_refuses_other_files(tmp_path) -> None:
    path = tmp_path / "entropy.safetensors"
    with pytest.raises(CheckpointError, match="cannot be read"):
        EntropyTables.load(path)
    path.write_text("no tables")
    with pytest.raises(CheckpointError, match="cannot be read"):
        EntropyTables.load(path)


def test_hash_changes_with_every_array(tables: EntropyTables) -> None:
    arrays = {name: getattr(tables, name) for name in ("sources", "class_a", "class_b", "rows", "freqs")}
    hashes = {tables.hash}
    for name, change in [
        ("sources", lambda a: a[:, ::-1]),
        ("class_a", lambda a: a * 0),
        ("class_b", lambda a: a * 0),
        ("rows", lambda a: a * 0),
        ("freqs", lambda a: a[:, ::-1]),
    ]:
        hashes.add(EntropyTables(**{**arrays, name: change(arrays[name])}).hash)
    assert len(hashes) == 6


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("freqs", lambda a: np.where(np.arange(SIZE) == 0, a - 1, a), "sum must be 65536"),
        ("freqs", lambda a: a * 0, "1 or more"),
        ("freqs", lambda a: a.astype(float), "must be integers"),
        ("freqs", lambda a: a[:0], "1 to 65535 rows"),
        ("rows", lambda a: a + 60_000, "row that is not there"),
        ("rows", lambda a: a[:3], "behind the end of rows"),
        ("class_a", lambda a: a[:, :5], "codebook_size"),
        ("class_a", lambda a: a + 2**20, "behind the end of rows"),
        ("sources", lambda a: a * 0, "not known when"),
        ("sources", lambda a: a + 2, "not known when"),
    ],
)
def test_bad_tables_are_refused(tables: EntropyTables, name: str, change, message: str) -> None:
    arrays = {key: getattr(tables, key) for key in ("sources", "class_a", "class_b", "rows", "freqs")}
    arrays[name] = change(arrays[name].astype(np.int64))
    with pytest.raises(CheckpointError, match=message):
        EntropyTables(**arrays)


@pytest.mark.parametrize("lanes", [1, 40])
def test_a_payload_of_the_wrong_length_is_refused(tables: EntropyTables, lanes: int) -> None:
    codes = markov_codes(30, 5)[None]
    payloads = tables.encode([codes] * lanes)
    for bad in (payloads[0] + b"\1\0", payloads[0] * 2, payloads[0][:-1]):
        with pytest.raises(BitstreamError, match="payload"):
            tables.decode([*payloads[:-1], bad], [shape_of(codes)] * lanes)


def test_codes_out_of_range_are_refused(tables: EntropyTables) -> None:
    for value in (-1, SIZE):
        with pytest.raises(ValueError, match="codes must be 0 to 31"):
            tables.encode([np.full((1, 2, 3), value)])
    with pytest.raises(ValueError, match="found 5 codebooks"):
        tables.encode([np.zeros((1, 5, 3), int)])
