"""Codes as `.mynah` files: seekable, streamable through pipes, a checksum for every part.

`docs/format.md` specifies every byte; `framing` has them, `chunks` the codes inside; what damage leaves of a
file is recovered by `salvage`.
"""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import BinaryIO

from ..data.errors import BitstreamError
from .bitstream_reader import BitstreamReader
from .bitstream_writer import BitstreamWriter
from .chunks import Piece
from .entropy import EntropyTables
from .framing import Header

__all__ = ["BitstreamReader", "BitstreamWriter", "Header", "Piece", "codec_identity", "truncate"]


def codec_identity(codes_hash: str, tables: EntropyTables) -> str:
    """16 hex digits that stand for what a codec's codes mean, and its entropy tables, in a file's header.

    Args:
        codes_hash: hex SHA-256 of what decides the codes: `checkpoint.codes_hash`.
        tables: the entropy tables shipped with it.
    """
    return sha256(f"{codes_hash} {tables.hash}".encode()).hexdigest()[:16]


def truncate(src: BinaryIO, dst: BinaryIO, n_codebooks: int, tables: EntropyTables) -> None:
    """Copies a file with its first n_codebooks only: the bytes that writing those codes would have given.

    Args:
        src, dst: binary files or pipes; not closed.
        n_codebooks: 1 to the number in src.

    Raises:
        BitstreamError: src is damaged, or has fewer codebooks.
    """
    reader = BitstreamReader(src, tables)
    if not 1 <= n_codebooks <= reader.header.n_codebooks:
        raise BitstreamError(f"cannot keep {n_codebooks} codebooks, the file has {reader.header.n_codebooks}")
    writer = BitstreamWriter(dst, replace(reader.header, n_codebooks=n_codebooks, chunk_frames=0), tables)
    for piece in reader:
        writer.write(piece.codes[:, :n_codebooks])
    assert reader.length is not None
    writer.close(reader.length)
