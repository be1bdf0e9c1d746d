"""Read whatever a tool's function gives, item by item."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any

from reactivex import Observable

from rxagents.core.errors import StreamCancelledError, ToolError
from rxagents.core.printing import printed
from rxagents.runtime.bridge import detach, detached
from rxagents.runtime.daemon_thread import DaemonThread
from rxagents.runtime.reporting import report_harmless
from rxagents.runtime.tool_execution.slot import Slot

is_in_tool: ContextVar[bool] = ContextVar("rxagents_is_in_tool", default=False)
"""Whether the current code belongs to a tool, so that a run waits for it."""


@contextmanager
def in_tool() -> Iterator[None]:
    """Mark what is subscribed to inside as part of a tool."""
    token = is_in_tool.set(True)
    try:
        yield
    finally:
        is_in_tool.reset(token)


def call_detached(call: partial[Any]) -> Any:
    """Call a function without the current bridge, and return what it returns."""
    with detached():
        return call()


class Progress:
    """An item that is progress, also if no other item follows: it is emitted at once."""

    def __init__(self, content: object) -> None:
        self.content = content


class _End:
    """Marks the end of an iterator, and holds what a generator returned."""

    def __init__(self, value: object) -> None:
        self.value = value


async def items_of(name: str, call: partial[Any], slot: Slot) -> AsyncGenerator[object, None]:
    """Call a tool's function, and yield its progress and then its result.

    Asynchronous functions and iterators run on the loop, all others on a thread. An Observable is
    yielded itself.

    Args:
        name: The tool's name.
        call: The function with its arguments.
        slot: Held until the function has ended, also where it withstands its cancellation.
    """
    detach()
    is_in_tool.set(True)
    slot.hold()
    is_async = inspect.iscoroutinefunction(call.func) or inspect.isasyncgenfunction(call.func)
    try:
        async with aclosing(
            _awaited(call()) if is_async else _on_thread(name, call, slot)
        ) as items:
            async for item in items:
                yield item
    except StreamCancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise asyncio.CancelledError from error
        raise ToolError(
            f"The tool {name!r} read a stream that was cancelled: {printed(error)}"
        ) from error
    finally:
        slot.release()


async def _awaited(result: object) -> AsyncGenerator[object, None]:
    if isinstance(result, Awaitable) and not isinstance(result, Observable):
        result = await result
    if isinstance(result, Observable) or not isinstance(result, AsyncIterable):
        yield result
        return
    iterator = aiter(result)
    try:
        async for item in iterator:
            yield item
    finally:
        close = getattr(iterator, "aclose", None)
        if close is not None:
            await close()


async def _on_thread(
    name: str, call: Callable[[], Any], slot: Slot
) -> AsyncGenerator[object, None]:
    slot.hold()
    thread = DaemonThread(f"rxagents tool {name}", slot.release)
    try:
        result = await thread.run(call)
        items = _steps(name, result, thread) if isinstance(result, Iterator) else _awaited(result)
        async with aclosing(items):
            async for item in items:
                yield item
    finally:
        thread.close()


async def _steps(
    name: str, iterator: Iterator[object], thread: DaemonThread
) -> AsyncGenerator[object, None]:
    """Yield the items of `iterator`, each when it is asked for, and what a generator returns."""
    close = getattr(iterator, "close", _no_close)
    try:
        while not isinstance(item := await thread.run(partial(_next, iterator)), _End):
            yield item
        if item.value is not None:
            yield item.value
    except BaseException:  # the consumer has left, or waits for this error and not for `close`
        thread.run(close).add_done_callback(partial(_report_close, name))
        raise
    await thread.run(close)


def _report_close(name: str, closed: asyncio.Future[object]) -> None:
    error = None if closed.cancelled() else closed.exception()
    if error is not None:
        report_harmless(error, f"Closing the iterator of the tool {name!r} failed")


def _next(iterator: Iterator[object]) -> object:
    try:
        return next(iterator)
    except StopIteration as end:
        return _End(end.value)


def _no_close() -> None:
    """Replace the `close` of an iterator that has none."""
