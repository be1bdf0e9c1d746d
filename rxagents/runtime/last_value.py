"""Await the last value of an Observable."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from reactivex import Observable

from rxagents.runtime.bridge import Bridge
from rxagents.runtime.reporting import as_exception, nonfatal

T = TypeVar("T")


async def last_value(
    source: Observable[T], on_next: Callable[[T], object] | None = None
) -> T | None:
    """Subscribe, wait for the end and return the last value.

    It buffers nothing. When it returns, raises or is cancelled, no task of the source is left.

    Args:
        source: The Observable to subscribe to.
        on_next: Called with each value.

    Returns:
        The last value; `None` if there was none.

    Raises:
        Exception: The source's error, or what `on_next` or an operator raised.
    """
    loop = asyncio.get_running_loop()
    result: asyncio.Future[T | None] = loop.create_future()
    last: T | None = None

    def fail(error: Exception) -> None:
        if not result.done():
            result.set_exception(as_exception(error))

    def on_value(value: T) -> None:
        nonlocal last
        if result.done():
            return
        last = value
        if on_next is not None:
            try:
                on_next(value)
            except BaseException as error:
                fail(nonfatal(error))

    def complete() -> None:
        if not result.done():
            result.set_result(last)

    bridge = Bridge(loop, fail)
    with bridge.entered():
        subscription = source.subscribe(on_value, fail, complete, scheduler=bridge.scheduler)
    try:
        return await result
    finally:
        subscription.dispose()
        await bridge.aclose()
