"""Read the rows of a batch from JSON lines, CSV or Parquet, one after the other."""

from __future__ import annotations

import codecs
import csv
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from rxagents.cli.batch.parquet import parquet_rows
from rxagents.core.errors import ConfigurationError
from rxagents.core.json_text import JSON_ERRORS
from rxagents.runtime.event_log.log_store import checked_key

PROMPT: Final = "prompt"
KEY: Final = "key"

_LONGEST_KEY = 480


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
        self._read = _FORMATS[format_of(path)]

    def keys(self) -> set[str]:
        """Return the keys of all rows, and check the file before a request is paid for.

        Raises:
            ConfigurationError: Two rows have one key, or the first row cannot be run: then the file
                or a column is not the right one.
            OSError: The file cannot be read.
        """
        keys: set[str] = set()
        for position, row in enumerate(self):
            if row.problem is not None and not keys:
                raise ConfigurationError(row.problem)
            if row.key in keys:
                raise ConfigurationError(
                    f"Row {position} of {self._path} has the key {row.key!r} of an earlier row. "
                    "Give each row a key of its own, or name another column with --key."
                )
            keys.add(row.key)
        return keys

    def __iter__(self) -> Iterator[Row]:
        for position, found in enumerate(self._read(self._path)):
            yield self._row(position, found)

    def _row(self, position: int, found: Any) -> Row:
        place = f"Row {position} of {self._path}"
        if isinstance(found, str):
            return Row(str(position), found)
        if isinstance(found, Unreadable):
            return Row(str(position), None, f"Line {found.line} of {self._path} {found.problem}")
        if not isinstance(found, dict):
            return Row(str(position), None, f"{place} is {found!r:.80}, and no text or object.")
        given = found.get(KEY if self._key is None else self._key)
        if given is None and self._key is not None:
            return Row(str(position), None, f"{place} has no {self._key!r}, which --key names.")
        try:
            key = str(position) if given is None else _checked_key(str(given))
        except ConfigurationError as error:
            return Row(str(position), None, f"{place}: {error}")
        if self._prompt not in found:
            there = ", ".join(map(str, found)) or "nothing"
            problem = (
                f"{place} has no {self._prompt!r}, but {there}. Name the column of the prompts "
                "with --column."
            )
            return Row(key, None, problem)
        if found[self._prompt] is None:
            return Row(key, None, f"{place} has no value for {self._prompt!r}.")
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


def _checked_key(key: str) -> str:
    """Return a key that is not too long; a log puts the name of the batch before it."""
    if len(key) > _LONGEST_KEY:
        raise ConfigurationError(f"a key has at most {_LONGEST_KEY} characters, not {len(key)}.")
    return checked_key(key)


class Unreadable(NamedTuple):
    """A line that is no row, and why."""

    line: int
    problem: str


def _json_rows(path: Path) -> Iterator[Any]:
    decode = msgspec.json.Decoder().decode
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            text = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
            if text.strip():
                try:
                    yield decode(text)
                except JSON_ERRORS as error:
                    yield Unreadable(number, f"is no JSON: {error}.")


def _csv_rows(path: Path) -> Iterator[Any]:
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        reader = csv.DictReader(file)
        try:
            for row in reader:
                found = {name: value for name, value in row.items() if name is not None}
                if _is_utf8(found):
                    yield found
                else:
                    yield Unreadable(reader.line_num, "is not UTF-8. Save the file as UTF-8.")
        except csv.Error as error:
            raise ConfigurationError(
                f"{path} is no CSV at line {reader.line_num}: {error}."
            ) from error


def _is_utf8(row: dict[str, str | None]) -> bool:
    """Return whether names and values of a row were UTF-8: else they have lone surrogates."""
    try:
        for text in (*row, *row.values()):
            (text or "").encode()
    except UnicodeEncodeError:
        return False
    return True


_FORMATS: dict[str, Callable[[Path], Iterator[Any]]] = {
    ".jsonl": _json_rows,
    ".csv": _csv_rows,
    ".parquet": parquet_rows,
}
