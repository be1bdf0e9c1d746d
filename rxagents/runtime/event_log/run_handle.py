"""A run that an event log has started."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from reactivex import Observable
from reactivex.disposable import SingleAssignmentDisposable

from rxagents.runtime.bridge import Bridge
from rxagents.runtime.event_log.kept import kept
from rxagents.runtime.event_log.log_writer import LogWriter
from rxagents.runtime.loop import running_loop

if TYPE_CHECKING:
    from rxagents.runtime.event_log.event_log import EventLog


class RunHandle:
    """A run that an event log has started; `EventLog.start` makes it.

    Attributes:
        key: The key of the run.
    """

    def __init__(self, log: EventLog, key: str, request: object, *, is_durable: bool) -> None:
        self.key = key
        self._log = log
        self._request = request
        self._is_durable = is_durable
        self._loop = running_loop()
        self.bridge = Bridge(self._loop, self._fail)
        self._subscription = SingleAssignmentDisposable()
        self._begun: asyncio.Future[None] = self._loop.create_future()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._on_ended: list[Callable[[], object]] = []
        self._writer: LogWriter[Any] | None = None

    def run(self, stream: Observable[Any]) -> None:
        """Subscribe to the stream."""
        source = kept(
            self._log,
            self.key,
            stream,
            self._on_writer,
            self._on_begun,
            self._request,
            is_durable=self._is_durable,
        )
        with self.bridge.entered():
            self._subscription.disposable = source.subscribe(
                on_error=_ignore, scheduler=self.bridge.scheduler
            )

    def stop(self) -> None:
        """Stop the run, with the end mark `disposed`; any thread may call it, also twice."""
        self._subscription.dispose()

    async def begun(self) -> None:
        """Wait until the log has the run, and the stream was subscribed to.

        From then on another process finds the run. A run that was stopped before has ended.

        Raises:
            LeaseError: Another process has the run.
            StorageError: The store failed.
        """
        either = self._begun, self._ended
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not self._begun.done():
            self._ended.result()

    def when_ended(self, callback: Callable[[], object]) -> None:
        """Call `callback` once nothing more will be written, however the run ended."""
        if self._ended.done():
            callback()
        else:
            self._on_ended.append(callback)

    async def wait(self) -> None:
        """Wait until the end mark of the run is stored.

        How the run ended is in the log: this does not raise its error.

        Raises:
            LeaseError: Another process has the run.
            StorageError: The store failed, or an item cannot be stored.
        """
        await asyncio.shield(self._ended)

    def _on_writer(self, writer: LogWriter[Any]) -> None:
        self._writer = writer
        writer.closed.then(self._on_closed)

    def _on_begun(self) -> None:
        if not self._begun.done():  # a stream that is subscribed to again begins again
            self._begun.set_result(None)

    def _fail(self, error: Exception) -> None:
        """End the run with the error of an operator between the source and the log."""
        writer = self._writer
        if writer is not None:
            writer.end(writer.end_of(error), _do_nothing, _ignore)
        self._subscription.dispose()

    def _on_closed(self) -> None:
        self._log.release(self)
        self.bridge.close()
        failure = None if self._writer is None else self._writer.failure
        if self._ended.done():
            return
        if failure is None:
            self._ended.set_result(None)
        else:
            self._ended.set_exception(failure)
        for callback in self._on_ended:
            callback()


def _do_nothing() -> None: ...


def _ignore(_: object) -> None: ...
