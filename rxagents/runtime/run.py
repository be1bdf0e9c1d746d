"""Run one Observable on an event loop of its own, for plain scripts."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import TypeVar

from reactivex import Observable

from rxagents.core.checks import checked_function
from rxagents.core.errors import ConfigurationError
from rxagents.runtime.last_value import last_value

T = TypeVar("T")


def run(source: Observable[T], on_next: Callable[[T], object] | None = None) -> T | None:
    """Subscribe, block until the end and return the last value.

    It starts an event loop, and closes the client sessions that were made on it. Ctrl-C disposes
    the subscription and raises `KeyboardInterrupt`.

    Args:
        source: The Observable to subscribe to.
        on_next: Called with each value, such as `print`.

    Returns:
        The last value; `None` if there was none.

    Raises:
        ConfigurationError: A loop is already running on this thread, `source` is not an
            Observable, or `on_next` is not a plain function.
        Exception: The source's error, or what `on_next` or an operator raised.
    """
    if not isinstance(source, Observable):
        raise ConfigurationError(f"run takes an Observable, not {type(source).__name__}.")
    if on_next is not None:
        checked_function("on_next", on_next)
        if inspect.iscoroutinefunction(on_next):
            raise ConfigurationError(
                "on_next must be a plain function: run does not await what it returns. To await a "
                "function for each item, use the operator map_async."
            )
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        work = last_value(source, on_next)
        return asyncio.run(work)
    raise ConfigurationError(
        "rxagents.run starts an event loop, but one is already running on this thread. Subscribe "
        "to the Observable, or read it with rxagents.to_aiter."
    )
