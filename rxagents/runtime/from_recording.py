"""Play a recorded stream again."""

from __future__ import annotations

from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import Generic, TypeVar

import msgspec
from reactivex import Observable, abc
from reactivex.disposable import Disposable

from rxagents.core.errors import ConfigurationError, StreamDecodeError, TruncatedStreamError
from rxagents.runtime.factories import source_factory
from rxagents.runtime.recording import RecordedLine, read_lines
from rxagents.runtime.timed_scope import TimedScope, timed

T = TypeVar("T")


@source_factory
def from_recording(
    path: str | PathLike[str], type: type[T], *, speed: float = 1.0
) -> Observable[T]:
    """Play what `record` wrote, with its timing and its end.

    .. marble::
        [ from_recording("answer.jsonl", StreamChunk) ]
        --1--2--3--|
        [ from_recording("answer.jsonl", StreamChunk, speed=3) ]
        -123|

    Emits when: the recorded time of an item has come, on the clock of the loop or of a virtual
        scheduler.
    Backpressures when: downstream does; items that are late then come at once, the others at
        their recorded times.
    Completes when: the recorded stream did.

    Args:
        path: The file.
        type: The type of the items, such as `StreamChunk`, `StreamEvent` or `object`.
        speed: How many times faster than recorded to play; `math.inf` does not wait at all.

    Returns:
        A cold Observable; each subscription plays the file from its beginning.

    Raises:
        ConfigurationError: At once, if an argument is of the wrong type or size; in the stream,
            if the file cannot be read.
        StreamDecodeError: In the stream, if a line cannot be read.
        TruncatedStreamError: In the stream, when the recorded stream was disposed; or at the end
            of a file without an end, since its program stopped.
        RxAgentsError: In the stream, the error that the recorded stream failed with.

    Example:
        >>> import reactivex as rx, rxagents, tempfile
        >>> from rxagents import operators as ops
        >>> path = tempfile.mkdtemp() + "/letters.jsonl"
        >>> rxagents.run(rx.of("a", "b").pipe(ops.record(path)))
        'b'
        >>> rxagents.run(rxagents.from_recording(path, str, speed=2), print)
        a
        b
        'b'
    """
    if not isinstance(path, (str, PathLike)):
        raise ConfigurationError(f"from_recording takes the path of a file, not {path!r}.")
    if isinstance(speed, bool) or not isinstance(speed, (int, float)) or not speed > 0:
        raise ConfigurationError(f"speed must be a number above 0, not {speed!r}.")
    try:
        decoder = msgspec.json.Decoder(RecordedLine[type])  # type: ignore[valid-type]  # a type at run time
    except Exception as error:  # msgspec and typing raise many kinds
        raise ConfigurationError(f"Items cannot be read as {type!r}: {error}.") from error

    def subscribe(observer: abc.ObserverBase[T], scope: TimedScope) -> None:
        try:
            file = Path(path).open("rb")  # noqa: SIM115  # closed by the scope
        except (OSError, ValueError) as error:
            observer.on_error(_unreadable(error))
            return
        scope.hold(Disposable(file.close))
        Player(observer, scope, read_lines(file, decoder, str(path)), speed, str(path)).start()

    return timed(subscribe)


def _unreadable(error: Exception) -> ConfigurationError:
    return ConfigurationError(f"The recording cannot be read: {error}.")


class Player(Generic[T]):
    """Emits each line when it is due; lines that are due together need one timer only.

    Args:
        observer: The subscriber.
        scope: Its subscription.
        lines: The lines.
        speed: What the times are divided by.
        path: Names the recording in errors.
    """

    def __init__(
        self,
        observer: abc.ObserverBase[T],
        scope: TimedScope,
        lines: Iterator[RecordedLine[T]],
        speed: float,
        path: str,
    ) -> None:
        self._path = path
        self._observer = observer
        self._scope = scope
        self._lines = lines
        self._speed = speed
        self._start = scope.now()
        self._next: RecordedLine[T] | None = None
        self._timer = scope.timer(self._play)

    def start(self) -> None:
        """Emit from the next loop iteration on: never inside `subscribe`."""
        self._timer.start(0)

    def _play(self) -> None:
        while not self._scope.is_disposed:
            if self._scope.gate.closed:
                self._scope.gate.when_open(self.start)
                return
            try:
                line = self._next or next(self._lines)
            except (StreamDecodeError, TruncatedStreamError) as error:
                self._observer.on_error(error)
                return
            except (OSError, ValueError) as error:  # ValueError: another thread closed the file
                self._observer.on_error(_unreadable(error))
                return
            early = self._start + line.at / self._speed - self._scope.now()
            if early > 0:
                self._next = line
                self._timer.start(early)
                return
            self._next = None
            self._emit(line)

    def _emit(self, line: RecordedLine[T]) -> None:
        if not isinstance(line.item, msgspec.UnsetType):
            self._observer.on_next(line.item)
        elif line.stopped:
            self._observer.on_error(
                TruncatedStreamError(
                    f"The recording {self._path} stops here: the recorded stream was disposed."
                )
            )
        elif (failure := line.failure) is not None:
            self._observer.on_error(failure)
        else:
            self._observer.on_completed()
