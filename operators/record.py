"""Record a stream in a file."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from os import PathLike
from pathlib import Path
from typing import BinaryIO, Generic, TypeVar

import msgspec
from reactivex import Observable, abc
from reactivex.disposable import Disposable

from rxagents.core.errors import ConfigurationError
from rxagents.core.events import ErrorInfo
from rxagents.runtime.factories import operator_factory
from rxagents.runtime.recording import RecordedLine
from rxagents.runtime.reporting import report_harmless
from rxagents.runtime.timed_scope import TimedScope, timed

T = TypeVar("T")

_BUFFER_BYTES = 65_536
"""Bytes per write, so that not every item costs a system call."""


@operator_factory
def record(path: str | PathLike[str]) -> Callable[[Observable[T]], Observable[T]]:
    """Write the stream to a file: one line of JSON per item, with the time it came.

    `rxagents.from_recording` plays the file back, and `rxagents.draw_run` draws it. The last line
    is the end: that the stream completed, failed or was disposed. Each subscription overwrites the
    file. An error while writing ends the recording and goes to the loop's exception handler, as
    with `tap_safely`; the stream goes on.

    .. marble::
        --1--2--3--|
        [ record("answer.jsonl") ]
        --1--2--3--|

    Emits when: the source emits.
    Backpressures when: downstream does.
    Completes when: the source completes.

    Args:
        path: The file, in a folder that exists. It holds the items as they are, with whatever is
            confidential in them.

    Returns:
        An operator that leaves the items as they are. msgspec must be able to encode them, as it
        can chunks and events.

    Raises:
        ConfigurationError: On the call, if `path` is not a path; in the stream, if the file cannot
            be opened. The source's errors pass.

    Example:
        >>> import reactivex as rx, rxagents, tempfile
        >>> from rxagents import operators as ops
        >>> path = tempfile.mkdtemp() + "/numbers.jsonl"
        >>> rxagents.run(rx.of(1, 2).pipe(ops.record(path)))
        2
        >>> rxagents.run(rxagents.from_recording(path, int), print)
        1
        2
        2
    """
    if not isinstance(path, (str, PathLike)):
        raise ConfigurationError(f"path must be a str or a path object, not {type(path).__name__}.")

    def record_(source: Observable[T]) -> Observable[T]:
        def subscribe(observer: abc.ObserverBase[T], scope: TimedScope) -> None:
            try:
                file = Path(path).open("wb", buffering=_BUFFER_BYTES)  # noqa: SIM115  # closed by the recorder
            except (OSError, ValueError) as error:
                observer.on_error(ConfigurationError(f"record cannot open its file: {error}."))
                return
            recorder = _Recorder[T](file, scope.now)
            write, on_next_ = recorder.item, observer.on_next

            def on_next(item: T) -> None:
                write(item)
                on_next_(item)

            def on_error(error: Exception) -> None:
                recorder.end(error)
                observer.on_error(error)

            def on_completed() -> None:
                recorder.end()
                observer.on_completed()

            scope.hold(Disposable(recorder.dispose))
            scope.subscribe(source, on_next, on_error, on_completed)

        return timed(subscribe)

    return record_


class _Recorder(Generic[T]):
    """Writes one recording, and closes its file."""

    def __init__(self, file: BinaryIO, now: Callable[[], float]) -> None:
        self._file: BinaryIO | None = file
        self._now = now
        self._start = now()
        self._encode = msgspec.json.Encoder().encode

    def item(self, item: T) -> None:
        """Write an item."""
        self._write(RecordedLine(self._now() - self._start, item))

    def end(self, error: Exception | None = None) -> None:
        """Write how the stream ended, and close the file."""
        info = None if error is None else ErrorInfo.of(error)
        self._write(RecordedLine(self._now() - self._start, completed=info is None, error=info))
        self.close()

    def dispose(self) -> None:
        """Write that the stream was disposed, unless it has ended, and close the file."""
        self._write(RecordedLine(self._now() - self._start, stopped="disposed"))
        self.close()

    def close(self) -> None:
        """Close the file."""
        file, self._file = self._file, None
        if file is not None:
            try:
                file.close()
            except BaseException as error:
                report_harmless(
                    error, "record could not close its file: the recording may be incomplete"
                )

    def _write(self, line: RecordedLine[T]) -> None:
        file = self._file
        if file is None:
            return
        try:
            file.write(self._encode(line) + b"\n")
        except BaseException as error:
            if self._file is None:
                return  # another thread disposed the stream, and closed the file
            self._file = None
            with suppress(Exception):
                file.close()
            report_harmless(error, "record could not write an item: the recording ends before it")
