"""Read and write Parquet files. Needs the extra `parquet`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from rxagents.core.errors import ConfigurationError

_ROWS = 1_000
"""How many rows are in memory at a time."""


def load_pyarrow() -> Any:  # it has no types
    """Return the library.

    Raises:
        ConfigurationError: It is not installed.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet
    except ImportError as error:
        raise ConfigurationError(
            "Parquet files need the extra 'parquet': pip install 'rxagents[parquet]'"
        ) from error
    return pa


def _file(path: Path) -> Any:
    pa = load_pyarrow()
    try:
        return pa.parquet.ParquetFile(path)
    except pa.ArrowInvalid as error:
        raise ConfigurationError(f"{path} is no Parquet file: {error}.") from error


def parquet_rows(path: Path) -> Iterator[Any]:
    """Yield the rows of a file as dicts.

    Raises:
        ConfigurationError: The extra is missing, or it is no Parquet file.
        OSError: The file cannot be read.
    """
    with _file(path) as file:
        batches = file.iter_batches(batch_size=_ROWS)
        try:
            for batch in batches:
                yield from batch.to_pylist()
        except (OSError, ValueError) as error:  # of pyarrow, without a name of the file
            raise ConfigurationError(f"{path} is damaged: {str(error).rstrip('.')}.") from error


def write_parquet(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write the rows of results.

    Raises:
        ConfigurationError: The extra is missing.
        OSError: The file cannot be written.
    """
    pa = load_pyarrow()
    schema = pa.schema(
        [
            ("key", pa.string()),
            ("output", pa.string()),
            ("error", pa.string()),
            ("error_kind", pa.string()),
            ("finish_reason", pa.string()),
            ("attempts", pa.int64()),
            ("input_tokens", pa.int64()),
            ("output_tokens", pa.int64()),
            ("total_tokens", pa.int64()),
            ("usd", pa.float64()),
        ]
    )
    remaining = iter(rows)
    with pa.parquet.ParquetWriter(path, schema) as writer:
        while batch := list(islice(remaining, _ROWS)):
            writer.write_table(pa.Table.from_pylist(batch, schema=schema))
