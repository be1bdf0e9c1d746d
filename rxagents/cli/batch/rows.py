"""Read the rows of a batch from JSON lines, CSV or Parquet, one after the other."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from rxagents.cli.batch.parquet import parquet_count, parquet_rows
from rxagents.core.errors import ConfigurationError
from rxagents.core.json_text import JSON_ERRORS
from rxagents.runtime.event_log.log_store import checked_key

PROMPT: Final = "prompt"
KEY: Final = "key"


class Row(NamedTuple):
    """A row of the input.

    Attributes:
        key: Its key: that of its column, or its position, from 0.
        prompt: What the agent is asked: a text, or a list of messages.
        problem: Why it cannot be run; `None` if it can.
    """

    key: str
    prompt: Any  # what a file has; the agent reads it
    problem: str | None = None


class Rows:
    """The rows of a file.

    Args:
        path: The file: `.jsonl`, `.ndjson`, `.csv` or `.parquet`.
        prompt: The column with what the agent is asked.
        key: The column with the keys; `None` for `key` where there is one, else positions.

    Raises:
        ConfigurationError: The file's name has another ending.
    """

    def __init__(self, path: Path, prompt: str = PROMPT, key: str | None = None) -> None:
        self._path = path
        self._prompt = prompt
        self._key = key
        self._read, self._count = _FORMATS[format_of(path)]

    def count(self) -> int:
        """Return the number of rows.

        Raises:
            OSError: The file cannot be read.
        """
        return self._count(self._path)

    def check(self) -> None:
        """Check that the first row can be run: else the file or a column is not the right one.

        Raises:
            ConfigurationError: It cannot.
            OSError: The file cannot be read.
        """
        first = next(iter(self), None)
        if first is not None and first.problem is not None:
            raise ConfigurationError(first.problem)

    def __iter__(self) -> Iterator[Row]:
        seen: set[str] = set()
        for position, found in enumerate(self._read(self._path)):
            row = self._row(position, found)
            if row.key in seen:
                raise ConfigurationError(
                    f"Row {position} of {self._path} has the key {row.key!r} of an earlier row. "
                    "Give each row a key of its own, or name another column with --key."
                )
            seen.add(row.key)
            yield row

    def _row(self, position: int, found: Any) -> Row:
        place = f"Row {position} of {self._path}"
        if isinstance(found, str):
            return Row(str(position), found)
        if isinstance(found, Unreadable):
            return Row(str(position), None, f"{place} is no JSON: {found.reason}.")
        if not isinstance(found, dict):
            return Row(str(position), None, f"{place} is {found!r:.80}, and no text or object.")
        given = found.get(KEY if self._key is None else self._key)
        if given is None and self._key is not None:
            return Row(str(position), None, f"{place} has no {self._key!r}, which --key names.")
        try:
            key = str(position) if given is None else checked_key(str(given))
        except ConfigurationError as error:
            return Row(str(position), None, f"{place}: {error}")
        if found.get(self._prompt) is None:
            there = ", ".join(map(str, found)) or "nothing"
            problem = f"{place} has no {self._prompt!r}, but {there}. Name it with --column."
            return Row(key, None, problem)
        return Row(key, found[self._prompt])


def format_of(path: Path) -> str:
    """Return the format of a file by the ending of its name.

    Raises:
        ConfigurationError: It has another ending.
    """
    ending = path.suffix.lower()
    ending = ".jsonl" if ending == ".ndjson" else ending
    if ending in _FORMATS:
        return ending
    raise ConfigurationError(f"{path} must end in .jsonl, .csv or .parquet.")


def _json_rows(path: Path) -> Iterator[Any]:
    decode = msgspec.json.Decoder().decode
    with path.open("rb") as lines:
        for line in lines:
            if line.strip():
                try:
                    yield decode(line)
                except JSON_ERRORS as error:
                    yield Unreadable(str(error))


class Unreadable(NamedTuple):
    """A line that is no JSON, and why."""

    reason: str


def _json_count(path: Path) -> int:
    with path.open("rb") as lines:
        return sum(1 for line in lines if line.strip())


def _csv_rows(path: Path) -> Iterator[Any]:
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    with path.open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            yield {name: value for name, value in row.items() if name is not None}


def _csv_count(path: Path) -> int:
    return sum(1 for _ in _csv_rows(path))


_FORMATS: dict[str, tuple[Callable[[Path], Iterator[Any]], Callable[[Path], int]]] = {
    ".jsonl": (_json_rows, _json_count),
    ".csv": (_csv_rows, _csv_count),
    ".parquet": (parquet_rows, parquet_count),
}
