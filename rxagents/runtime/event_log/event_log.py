"""Keep runs, start and stop them apart from their readers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from threading import Lock
from types import TracebackType
from typing import Any, Self, TypeVar
from weakref import WeakSet, WeakValueDictionary

import msgspec
from reactivex import Observable

from rxagents.core.checkpoint import Checkpoint
from rxagents.core.errors import ConfigurationError, LeaseError, LogGoneError
from rxagents.runtime.bridge import Bridge
from rxagents.runtime.event_log.log_store import LogStore, checked_key, parse_id
from rxagents.runtime.event_log.log_writer import LogWriter
from rxagents.runtime.event_log.memory_log_store import MemoryLogStore
from rxagents.runtime.event_log.read_checkpoint import read_checkpoint
from rxagents.runtime.event_log.run_handle import RunHandle
from rxagents.runtime.event_log.run_notifier import RunNotifier
from rxagents.runtime.recording import RecordedLine

T = TypeVar("T")

_LAST_ENTRIES = 100
"""More entries than a run has after its last checkpoint: the end of its turn and of the run."""


class EventLog:
    """Keeps runs by their keys, so that readers can join, leave and read them again.

    `ops.persist(log, key)` keeps a stream on its way to a subscriber; `start` runs one apart from
    all readers; `rxagents.from_log` reads. Leaving the block stops the runs that `start` has
    started.

    Args:
        store: Where the entries are; in the memory of the process by default.

    Attributes:
        store: The same.

    Raises:
        ConfigurationError: `store` is not a store of an event log.

    Example:
        >>> import asyncio, rxagents
        >>> from rxagents.testing import ScriptedLLM
        >>> async def main():
        ...     agent = rxagents.FunctionAgent(ScriptedLLM("It is 4."))
        ...     async with rxagents.EventLog() as log:
        ...         handle = log.start("run-1", agent.run_stream("What is 2 + 2?"))
        ...         last = await rxagents.from_log(log, "run-1")
        ...         print(last.item.content)
        >>> asyncio.run(main())
        It is 4.
    """

    def __init__(self, store: LogStore | None = None) -> None:
        self.store: LogStore = MemoryLogStore() if store is None else store
        if not hasattr(self.store, "begin"):
            raise ConfigurationError(
                "store must be the store of an event log, such as rxagents.MemoryLogStore(), not "
                f"{type(store).__name__}."
            )
        self.writers: set[LogWriter[Any]] = set()
        """Those that have something left to write."""
        self.on_lost: Callable[[str], object] | None = None
        """Called with the key of a lost run that a reader finds; who sets it marks or repeats it.
        By default the reader marks it as interrupted."""
        self._lock = Lock()
        self._notifiers: WeakValueDictionary[str, RunNotifier] = WeakValueDictionary()
        self._handles: dict[str, RunHandle] = {}
        self._bridges: WeakSet[Bridge] = WeakSet()

    def start(
        self,
        key: str,
        stream: Observable[Any],
        *,
        request: object = None,
        durable: bool = False,
    ) -> RunHandle:
        """Subscribe to a stream and keep it; it goes on whoever reads it, until its end or `stop`.

        A slow store slows the stream down.

        Args:
            key: The key of the run.
            stream: The stream, such as `agent.run_stream(…)`.
            request: What the run was asked, as JSON values: each checkpoint has it, so that another
                process can ask the same again (`Checkpoint.request`).
            durable: Whether the run of an agent goes on from the checkpoint of an attempt before,
                so that finished tools do not run again. The stream must be one run of an agent.
                Each tool waits until the store has its start.

        Returns:
            A handle to stop the run and to wait for its end.

        Raises:
            ConfigurationError: An argument is of the wrong type, or no event loop is running.
            LeaseError: This log has started a run with this key that has not ended. If another
                process writes it, `handle.wait()` raises the error.
        """
        checked_key(key)
        if not isinstance(stream, Observable):
            raise ConfigurationError(f"start takes an Observable, not {type(stream).__name__}.")
        if key in self._handles:
            raise LeaseError(
                f"This log has started the run {key!r}, which has not ended. Stop it first, or use "
                "another key."
            )
        handle = RunHandle(self, key, request, is_durable=durable)
        self._handles[key] = handle
        self._bridges.add(handle.bridge)
        handle.run(stream)
        return handle

    def stop(self, key: str) -> bool:
        """Stop a run that this log has started; any thread may call it.

        Returns:
            Whether there was one. A run of another process, or of `ops.persist`, is not stopped.
        """
        handle = self._handles.get(key)
        if handle is None:
            return False
        handle.stop()
        return True

    async def has_more(self, key: str, after: str | None = None) -> bool:
        """Return whether a reader would get something more.

        That is an entry, or one of a run that goes on, or the error of a run that was stopped or
        interrupted: no entry says so. The first reader of a run gets at least its end.

        Args:
            key: The key of the run.
            after: The id of the last entry that the reader has seen.

        Raises:
            ConfigurationError: `after` is not an id.
            LogGoneError: The log does not have the run or the entry, or no longer.
            StorageError: The store failed.
        """
        page = self.store.read(checked_key(key), None if after is None else parse_id(after), 2)
        if isinstance(page, Future):
            page = await asyncio.wrap_future(page)
        if after is None or page.state != "ended" or len(page.entries) > 1:
            return True
        ends = [
            msgspec.json.decode(line, type=RecordedLine[msgspec.Raw]) for _, _, line in page.entries
        ]
        return any(end.stopped for end in ends)

    async def has_completed(self, key: str) -> bool:
        """Return whether the last attempt of a run has completed; its checkpoint has the result.

        Raises:
            StorageError: The store failed.
        """
        checkpoint = await self.checkpoint(key)
        if checkpoint is None or not checkpoint.after:
            return False
        try:
            page = self.store.read(key, parse_id(checkpoint.after), _LAST_ENTRIES)
            if isinstance(page, Future):
                page = await asyncio.wrap_future(page)
        except LogGoneError:
            return False
        if page.state != "ended" or not page.entries:
            return False
        return msgspec.json.decode(page.entries[-1][2], type=RecordedLine[msgspec.Raw]).completed

    async def lost(self) -> list[str]:
        """Return the keys of the runs whose writers are lost; they have no end mark yet.

        Raises:
            StorageError: The store failed.
        """
        lost = self.store.lost()
        return await asyncio.wrap_future(lost) if isinstance(lost, Future) else lost

    async def mark_interrupted(self, key: str | None = None) -> list[str]:
        """Write the end mark `interrupted` to all runs whose writers are lost.

        A reader does it for the run that it reads. A server calls this when it starts.

        Args:
            key: The key of one run; by default all of them.

        Returns:
            The keys of the runs.

        Raises:
            StorageError: The store failed.
        """
        marked = self.store.interrupt(key)
        if isinstance(marked, Future):
            marked = await asyncio.wrap_future(marked)
        for each in marked:
            self.notifier(each).wake()
        return marked

    async def checkpoint(self, key: str) -> Checkpoint | None:
        """Return the newest checkpoint of a run: what an agent has done so far.

        Returns:
            The checkpoint; `None` if the run has none. Streams that no agent makes have none.

        Raises:
            StorageError: The store failed, or the checkpoint cannot be read.
        """
        saved = self.store.saved(key)
        if isinstance(saved, Future):
            saved = await asyncio.wrap_future(saved)
        return read_checkpoint(key, saved)

    async def forget(self, key: str) -> None:
        """Delete a run; an unknown one is no error.

        If it is still written, its stream fails with `LeaseError`.

        Raises:
            StorageError: The store failed.
        """
        forgotten = self.store.forget(key)
        if isinstance(forgotten, Future):
            await asyncio.wrap_future(forgotten)

    async def aclose(self) -> None:
        """Stop the runs that `start` has started, write their end marks, and close the store."""
        for handle in tuple(self._handles.values()):
            handle.stop()
        for bridge in tuple(self._bridges):
            await bridge.aclose()
        for writer in tuple(self.writers):
            if writer.state in {"ending", "closed"}:
                await writer.closed.aclose()
        closed = self.store.close()
        if isinstance(closed, Future):
            await asyncio.wrap_future(closed)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def notifier(self, key: str) -> RunNotifier:
        """Return what connects the writers and readers of a run while there are any."""
        with self._lock:
            notifier = self._notifiers.get(key)
            if notifier is None:
                notifier = self._notifiers[key] = RunNotifier()
            return notifier

    def release(self, handle: RunHandle) -> None:
        """Forget a run that has ended."""
        if self._handles.get(handle.key) is handle:
            del self._handles[handle.key]
