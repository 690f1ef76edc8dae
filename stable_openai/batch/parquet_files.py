"""Parquet, by ``pyarrow``, which is an extra and loads when it is needed."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from stable_openai.errors import ConfigurationError

from .problems import BadLine, Problem
from .rows import cell_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from .rows import Row

__all__ = ["arrow", "parquet_rows", "write_parquet"]

_GROUP: Final = 1_000  # rows that are held at once


def arrow() -> Any:
    """The module ``pyarrow``, with its ``parquet``.

    Raises:
        ConfigurationError: It is not installed.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet  # found as an attribute of the other
    except ImportError:
        raise ConfigurationError("parquet", 'needs pyarrow: pip install "stable-openai[parquet]"') from None
    return pa


def parquet_rows(file: BinaryIO, name: str) -> Iterator[Row | Problem]:
    """A row for each of the file's, numbered from 1.

    Raises:
        ConfigurationError: It is no Parquet file, or a damaged one.
    """
    pa = arrow()
    number = 0
    try:
        table = pa.parquet.ParquetFile(file)
        names = table.schema_arrow.names
        if len(set(names)) < len(names):
            raise ConfigurationError(name, "two columns have the same name")
        for batch in table.iter_batches(batch_size=_GROUP, use_threads=False):
            for found in batch.to_pylist():
                number += 1
                try:
                    yield number, {str(column): cell_of(value) for column, value in found.items()}
                except BadLine as error:
                    yield Problem(number, str(error))
    except ConfigurationError:
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        where = f"after row {number}, " if number else ""
        raise ConfigurationError(name, f"{where}is no Parquet file that can be read: {str(error)[:200]}") from None


def write_parquet(
    path: Path, own: Sequence[str], results: Sequence[str], rows: Iterator[list[Any]], *, vectors: bool
) -> int:
    """Write a table in groups of 1,000 rows.

    Args:
        path: The file.
        own: The input's columns, which are text.
        results: The names of answer, error, tokens of prompt and of answer, and model.
        rows: The cells of each row, in that order.
        vectors: Whether answers are lists of numbers. They are kept as exactly as JSON had them, in 64 bits.

    Returns:
        How many rows it has.
    """
    pa = arrow()
    text, count = pa.string(), pa.int64()
    answer = pa.list_(pa.float64()) if vectors else text
    kinds = [*(text for _ in own), answer, text, count, count, text]
    schema = pa.schema(list(zip([*own, *results], kinds, strict=True)))
    total = 0
    with pa.parquet.ParquetWriter(str(path), schema) as writer:
        while group := list(islice(rows, _GROUP)):
            columns = zip(*group, strict=True)
            arrays = [pa.array(column, kind) for column, kind in zip(columns, kinds, strict=True)]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
            total += len(group)
    return total
