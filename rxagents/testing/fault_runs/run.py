"""Run a pipe once, in virtual time, and note what happens.

Theory of operation. `Observable.subscribe` puts an observer of its own before the subscriber's,
which drops whatever comes after the end or after `dispose`. So it hides the faults that are looked
for here, and `_subscribe` connects the observer to the pipe's last operator without it. It then
does what reactivex's does besides: at the end it disposes the subscription. What comes in the turn
of the loop in which `dispose` was called is no fault: sources that emit a burst leave it to that
observer to drop the rest.

The order at the end of a run matters. First a few turns of the loop let cancelled tasks end; then
what is left is noted; and then an hour passes, so that whatever is left can still emit.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

from reactivex import Observable, abc
from reactivex.disposable import Disposable, SerialDisposable

from rxagents.core.errors import ConfigurationError
from rxagents.core.printing import printed
from rxagents.runtime.bridge import LoopScheduler
from rxagents.runtime.to_aiter import to_aiter
from rxagents.testing.cassettes.cassette import Cassette
from rxagents.testing.fault_runs.fault import Fault, FaultKind, Rule
from rxagents.testing.fault_runs.faulty_cassette import FaultyCassette
from rxagents.testing.virtual_time import virtual_loop

Pipe = Callable[[Any], Observable[Any]]
"""Makes a stream of a session for its models."""

DAY = 86_400.0
_PAUSE = 3_600.0
_LAST_TURNS = 100
"""Turns of the loop in which cancelled tasks may end."""


class Run(abc.ObserverBase[Any]):
    """One subscription to a pipe.

    Attributes:
        items: The items.
        error: The error that it ended with.
        completed: Whether it completed.
        broken: The rules that were broken whatever the stream is, each with what happened.
        read_ahead: How many events were read during the pause of a slow reader.
        session: What the pipe's models read.
    """

    def __init__(self, cassette: Cassette, pipe: Pipe, fault: Fault | None) -> None:
        self.items: list[Any] = []
        self.error: Exception | None = None
        self.completed = False
        self.broken: list[tuple[Rule, str]] = []
        self.read_ahead = 0
        self.session = FaultyCassette(
            cassette, fault, lambda: len(self.items), lambda: self._dispose()
        )
        self.fault = fault
        self._pipe = pipe
        self._subscription = SerialDisposable()
        self._thread = threading.get_ident()
        self._is_subscribing = False
        self._is_disposed = False
        self._is_silent = False  # from the turn after that of `dispose`

    @property
    def has_ended(self) -> bool:
        """Whether the stream completed or failed."""
        return self.completed or self.error is not None

    async def run(self) -> None:
        """Subscribe, wait for the end, and look at what is left."""
        loop = virtual_loop()
        loop.set_exception_handler(self._on_report)
        self._over = asyncio.Event()
        stream = self._pipe(self.session)
        if not isinstance(stream, Observable):
            raise ConfigurationError(
                f"The pipe of every_fault must return an Observable, not {type(stream).__name__}."
            )
        if self.fault is not None and self.fault.kind is FaultKind.SLOW_READER:
            await self._read_slowly(stream, self.fault.place)
        else:
            self._subscribe(stream, LoopScheduler(loop, None))
            if self._is_place(0):
                self._dispose()
            try:
                async with asyncio.timeout(DAY):
                    await self._over.wait()
            except TimeoutError:
                self.broken.append((Rule.END, "it did not end within a day of virtual time"))
                self._dispose()
        for _ in range(_LAST_TURNS):
            await asyncio.sleep(0)
        self._check_left()
        await asyncio.sleep(_PAUSE)

    def on_next(self, value: Any) -> None:
        """Note an item."""
        if self._is_disposed and not self._is_silent:
            return
        self._check("an item")
        self.items.append(value)
        if self._is_place(len(self.items)):
            self._dispose()

    def on_error(self, error: Exception) -> None:
        """Note the failure."""
        self._check("an error")
        self.error = self.error or error
        self._end()

    def on_completed(self) -> None:
        """Note the completion."""
        self._check("a completion")
        self.completed = True
        self._end()

    def _subscribe(self, stream: Observable[Any], scheduler: LoopScheduler) -> None:
        self._is_subscribing = True
        try:
            # Without the layers of `subscribe`, which would hide a second end.
            subscription: Any = stream._subscribe_core(self, scheduler)  # noqa: SLF001
        except Exception as error:
            self._is_subscribing = False
            self.on_error(error)
            return
        self._is_subscribing = False
        if not isinstance(subscription, abc.DisposableBase):
            subscription = Disposable(subscription)
        self._subscription.disposable = subscription

    def _check(self, what: str) -> None:
        if self._is_subscribing:
            self.broken.append((Rule.GRAMMAR, f"{what} came inside of subscribe"))
        if threading.get_ident() != self._thread:
            self.broken.append((Rule.GRAMMAR, f"{what} came on another thread"))
        if self.has_ended:
            self.broken.append((Rule.GRAMMAR, f"{what} came after the end"))
        if self._is_silent:
            self.broken.append((Rule.SILENCE, f"{what} came after dispose"))

    def _is_place(self, place: int) -> bool:
        fault = self.fault
        return (
            fault is not None
            and fault.kind is FaultKind.DISPOSE
            and (fault.request, fault.place) == (0, place)
        )

    def _dispose(self) -> None:
        if not self.has_ended and not self._is_disposed:
            self._is_disposed = True
            asyncio.get_running_loop().call_soon(setattr, self, "_is_silent", True)
        try:
            self._subscription.dispose()
        except Exception as error:
            self.broken.append((Rule.CLEAN_UP, f"dispose raised {error!r}"))
        self._over.set()

    def _end(self) -> None:
        self._over.set()
        # The subscription may not be there yet; a SerialDisposable disposes it when it comes.
        self._subscription.dispose()

    async def _read_slowly(self, stream: Observable[Any], place: int) -> None:
        try:
            async with to_aiter(stream, capacity=1) as items:
                async for item in items:
                    self.items.append(item)
                    if len(self.items) == place:
                        reads = len(self.session.reads)
                        await asyncio.sleep(_PAUSE)
                        self.read_ahead = len(self.session.reads) - reads
        except Exception as error:
            self.error = error
        else:
            self.completed = True

    def _check_left(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        left = [f"the task {task.get_coro()!r}" for task in tasks]
        left += [f"a timer of {timer!r}" for timer in virtual_loop().timers]
        left += [
            f"the response to request {number}"
            for number, response in enumerate(self.session.responses, start=1)
            if not response.is_closed
        ]
        after = "dispose" if self._is_disposed else "its end"
        self.broken += [(Rule.CLEAN_UP, f"{what} is left after {after}") for what in left]

    def _on_report(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        what = context["message"] if error is None else f"{type(error).__name__}: {printed(error)}"
        self.broken.append((Rule.CLEAN_UP, f"an error was reported to the loop: {what}"))
