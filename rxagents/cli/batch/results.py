"""Keep the results of a batch, so that a batch that was killed goes on.

Theory of operation. Results are appended to a file of JSON lines, the journal, each with one write,
in the order in which the runs end. For a JSON lines output the journal is the output itself. CSV
and Parquet cannot be appended to safely, so their journal stands beside the output, and the output
is written anew from it when the batch ends, also when it is stopped.

- A process that is killed inside a write leaves a line without an end. It is cut off at the next
  start, and its row is run again. A row whose line is whole is never run again, so each key is in
  the journal once. What a full disk leaves is cut off at once: a later line would follow it.
- A file that is no journal is refused as it is: it may be anything of the user's. So lines are
  checked before one is cut off, and an output without its journal is not written over.
- The lines survive the end of the process at any moment. They are handed to the operating system,
  not forced to the disk: after a power failure the last ones may be missing, and are run again.
- A lock on the journal keeps a second batch away. The operating system drops it with the process.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from rxagents.cli.batch.parquet import load_pyarrow, write_parquet
from rxagents.cli.batch.rows import format_of
from rxagents.core.errors import ConfigurationError, StorageError
from rxagents.core.json_text import JSON_ERRORS
from rxagents.core.surrogates import replace_all_surrogates
from rxagents.runtime.many_runs.run_report import RunReport

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows has no such locks
    fcntl = None  # type: ignore[assignment]  # there it is not used

_START = b'{"key":'
"""How a line begins."""


class Result(Struct, frozen=True):
    """The result of one row.

    Attributes:
        key: The key of the row.
        output: The output; `None` if the run has failed.
        error: The error's message; `None` if there is none.
        error_kind: The error's class.
        finish_reason: The run's finish reason.
        attempts: How often the run was started.
        input_tokens: The tokens of its prompts, if they are known.
        output_tokens: The tokens of its answers, if they are known.
        total_tokens: All its tokens, if they are known.
        usd: What it has cost in US dollars, if the price is known.
    """

    key: str
    output: str | None = None
    error: str | None = None
    error_kind: str | None = None
    finish_reason: str = ""
    attempts: int = 1
    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    usd: float | None = None

    @classmethod
    def of(cls, report: RunReport) -> Result:
        """Return the result that a report describes."""
        error, usage, usd = report.error, report.usage, report.cost.total_usd
        return cls(
            report.key,
            report.output,
            None if error is None else error.message,
            None if error is None else error.kind,
            report.finish_reason,
            report.attempts,
            None if usage is None else usage.input_tokens,
            None if usage is None else usage.output_tokens,
            None if usage is None else usage.total_tokens,
            None if usd is None or not report.cost.requests else float(usd),
        )


COLUMNS: Final = Result.__struct_fields__


class Results:
    """The results of a batch in a file; use it as a context.

    Args:
        output: The file for the results.
        retry_failed: Whether rows that have failed are run again: their results are removed.

    Attributes:
        done: The keys that have a result, and whether they have failed.

    Raises:
        ConfigurationError: The file's name has an unknown ending, another batch writes it, or it
            has no journal.
        StorageError: The file is no output of a batch.
        OSError: The file cannot be written.
    """

    def __init__(self, output: Path, *, retry_failed: bool = False) -> None:
        self._write_output = _WRITERS[format_of(output)]
        self._output = output
        self.journal = (
            output if self._write_output is None else output.with_name(f"{output.name}.journal")
        )
        self.done: dict[str, bool] = {}
        if self._write_output is write_parquet:
            load_pyarrow()
        if output.exists() and output.stat().st_size and not self.journal.exists():
            raise ConfigurationError(
                f"{output} exists, and {self.journal.name}, from which a batch goes on, does not. "
                f"Name another file with --to, or delete {output} if nobody needs it."
            )
        self._file = os.open(self.journal, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            self._lock()
            for result in self._read():
                self.done[result.key] = result.error is not None
            self._cut_torn_line()
            if retry_failed:
                self._remove_failed()
        except BaseException:
            os.close(self._file)
            raise

    def add(self, result: Result) -> None:
        """Append a result, unless its key has one.

        Raises:
            OSError: It cannot be written.
        """
        if result.key in self.done:
            return
        line = _line(result)
        written = 0
        try:
            while written < len(line):  # more than once at a full disk, or after a signal
                written += os.write(self._file, line[written:])
        except OSError as error:
            if written:
                os.ftruncate(self._file, os.lseek(self._file, 0, os.SEEK_END) - written)
            raise OSError(error.errno, error.strerror, str(self.journal)) from error
        self.done[result.key] = result.error is not None

    def close(self) -> None:
        """Write the output, if it is not the journal itself.

        Raises:
            StorageError: The journal was deleted.
            OSError: It cannot be written.
        """
        try:
            if os.fstat(self._file).st_nlink == 0:
                raise StorageError(
                    f"{self.journal} was deleted while the batch ran: the results are lost."
                )
            if self._write_output is not None:
                rows = (msgspec.structs.asdict(result) for result in self._read())
                unfinished = self._output.with_name(f".{self._output.name}.unfinished")
                try:
                    self._write_output(unfinished, rows)
                    unfinished.replace(self._output)
                finally:
                    unfinished.unlink(missing_ok=True)
        finally:
            os.close(self._file)

    def __enter__(self) -> Results:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _lock(self) -> None:
        if fcntl is None:  # pragma: no cover - Windows
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigurationError(
                f"Another batch writes {self._output}. Wait for its end, or use another --to."
            ) from error

    def _cut_torn_line(self) -> None:
        """Cut off what stands after the last line that is whole."""
        end = 0
        with self.journal.open("rb") as lines:
            for line in lines:
                if line.endswith(b"\n"):
                    end += len(line)
        if end < os.fstat(self._file).st_size:
            os.ftruncate(self._file, end)

    def _remove_failed(self) -> None:
        """Replace the journal by one without the failed rows, in one step."""
        kept = self.journal.with_name(f".{self.journal.name}.kept")
        with kept.open("wb") as file:
            for result in self._read():
                if result.error is None:
                    file.write(_line(result))
        old, self._file = self._file, os.open(kept, os.O_RDWR | os.O_APPEND)
        self._lock()
        kept.replace(self.journal)
        os.close(old)
        self.done = {key: has_failed for key, has_failed in self.done.items() if not has_failed}

    def _read(self) -> Iterator[Result]:
        decode = msgspec.json.Decoder(Result).decode
        with self.journal.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if not line.endswith(b"\n") and line[: len(_START)] == _START[: len(line)]:
                    return  # torn
                try:
                    yield decode(line)
                except JSON_ERRORS as error:
                    raise StorageError(
                        f"Line {number} of {self.journal} is no result of a batch: {error}. Name "
                        "another file with --to."
                    ) from error


def _line(result: Result) -> bytes:
    try:
        return msgspec.json.encode(result) + b"\n"
    except UnicodeEncodeError:  # lone surrogates
        return msgspec.json.encode(replace_all_surrogates(msgspec.to_builtins(result))) + b"\n"


def _write_csv(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)


_WRITERS: dict[str, Callable[[Path, Iterable[dict[str, Any]]], None] | None] = {
    ".jsonl": None,
    ".csv": _write_csv,
    ".parquet": write_parquet,
}
