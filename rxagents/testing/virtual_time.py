"""Provide an event loop with a virtual clock, which jumps to its next timer: no test sleeps.

Time stands still while anything can happen without it. Before the clock jumps, the loop waits in
real time for threads that it started, and a moment for bytes that travel between its sockets: the
kernel usually delivers those within the call that writes them, but need not on a busy machine.
"""

from __future__ import annotations

import asyncio
import selectors
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, TypeVar, TypeVarTuple, Unpack

from rxagents.core.errors import ConfigurationError
from rxagents.runtime.loop import is_loop_running

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_STUCK_SECONDS = 5.0
"""How long, in real time, the loop waits for threads before it moves on, or fails as stuck."""

_BUSY_SECONDS = 60.0
"""How long, in real time, the loop may be busy without waiting once."""

_SOCKET_SECONDS = 0.001, 0.01
"""How long, in real time, bytes may travel: before a short jump of the clock, and a long one."""

_LONG_JUMP = 0.05
"""Jumps from here on end in a timeout rather than in a pause between two packets."""


class _Selector(selectors.DefaultSelector):
    """Moves the clock forward where a real selector would wait.

    Attributes:
        now: The time.
        jobs: How many calls run in an executor.
        had_sockets: Whether there was anything to watch but the loop's own pipe.
        waits_for_threads: Whether time stands still while a thread works.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.jobs = 0
        self.had_sockets = False
        self.waits_for_threads = True
        self._busy_turns = 0
        self._busy_since = 0.0

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """Watch a socket or a pipe."""
        self.had_sockets |= len(self.get_map()) > 0
        return super().register(fileobj, events, data)

    def select(self, timeout: float | None = None) -> list[Any]:
        """Return what has happened; move the clock by `timeout` if nothing has."""
        if timeout is None:
            ready = super().select(_STUCK_SECONDS)
            if not ready:
                raise RuntimeError(
                    "The test waits for ever: no timer is left, and no socket or other thread "
                    f"woke the loop of virtual time within {_STUCK_SECONDS} s."
                )
            return ready
        ready = super().select(0)
        if ready or timeout <= 0:
            self._check_that_time_passes()
            return ready
        self._busy_turns = 0
        ready = self._wait(timeout)
        if not ready:
            self.now += timeout
        return ready

    def _check_that_time_passes(self) -> None:
        self._busy_turns += 1
        if self._busy_turns == 1:
            self._busy_since = time.monotonic()
        elif self._busy_turns % 4096 == 0 and time.monotonic() - self._busy_since > _BUSY_SECONDS:
            raise RuntimeError(
                f"The loop did not wait once within {_BUSY_SECONDS} s, so that its virtual time "
                "stood still: let the test pause, or run it on a usual loop."
            )

    def _wait(self, jump: float) -> list[Any]:
        """Return what happens without the clock, in a moment of real time."""
        end = time.monotonic() + _STUCK_SECONDS
        while self._threads_work() and time.monotonic() < end:
            if ready := super().select(0.001):
                return ready
        if len(self.get_map()) == 1:  # the loop's own, for calls from threads
            return super().select(0)
        return super().select(_SOCKET_SECONDS[jump >= _LONG_JUMP])

    def _threads_work(self) -> bool:
        if not self.waits_for_threads:
            return False
        return self.jobs > 0 or any(
            thread.name.startswith("rxagents ") and getattr(thread, "is_working", True)
            for thread in threading.enumerate()
        )


class VirtualLoop(asyncio.SelectorEventLoop):
    """An asyncio loop whose clock starts at 0 and jumps to the time of its next timer.

    Everything that waits on the loop's clock waits in virtual time: `asyncio.sleep`, timeouts, our
    operators and models. Time stands still while code runs, while a tool works on a thread, and
    while bytes travel between local sockets. Pass the class to pytest-asyncio's or anyio's loop
    factory, or to `asyncio.Runner`; `run_in_virtual_time` does that for one coroutine.
    """

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        """Return the virtual time in seconds."""
        return self._virtual.now

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[Unpack[Ts]], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """Run `func` on a thread; time stands still meanwhile."""
        self._virtual.jobs += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._job_ended)
        return future

    def _job_ended(self, _: object) -> None:
        self._virtual.jobs -= 1

    async def shutdown_default_executor(self, *timeout: Any) -> None:
        """Wait for the executor's threads; time stands still meanwhile."""
        self._virtual.jobs += 1
        try:
            await super().shutdown_default_executor(*timeout)
        finally:
            self._virtual.jobs -= 1

    @property
    def had_sockets(self) -> bool:
        """Whether the loop has watched a socket or a pipe."""
        return self._virtual.had_sockets

    def wait_for_threads(self, value: bool) -> None:
        """Let time stand still while a thread works, as at first, or pass."""
        self._virtual.waits_for_threads = value

    def hold(self, seconds: float) -> None:
        """Move the clock forward as if a callback had blocked the loop."""
        self._virtual.now += seconds

    @property
    def timers(self) -> list[asyncio.TimerHandle]:
        """The timers that are neither due nor cancelled."""
        scheduled: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]  # asyncio's own
        return [timer for timer in scheduled if not timer.cancelled()]


def virtual_loop() -> VirtualLoop:
    """Return the running loop, which must be virtual."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    return loop


def run_in_virtual_time(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on a `VirtualLoop` of its own, and return its result.

    Args:
        work: The coroutine, such as `agent.run("Hi")` or that of an `async def` test.

    Raises:
        ConfigurationError: A loop is already running on this thread.

    Example:
        >>> import asyncio
        >>> async def an_hour() -> float:
        ...     await asyncio.sleep(3600)
        ...     return asyncio.get_running_loop().time()
        >>> run_in_virtual_time(an_hour())
        3600.0
    """
    if is_loop_running():
        work.close()  # else Python also warns that nobody awaited it
        raise running_loop_error("run_in_virtual_time")
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)


def running_loop_error(name: str) -> ConfigurationError:
    """Return the error of a function that starts a loop, and is called where one is running."""
    return ConfigurationError(
        f"{name} starts an event loop of its own, with virtual time, but one is already running on "
        f"this thread. Call {name} in a plain test: `def`, and not `async def`."
    )
