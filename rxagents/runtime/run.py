"""Run one Observable on an event loop of its own, for plain scripts."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

from reactivex import Observable

from rxagents.core.checks import checked_function
from rxagents.core.errors import ConfigurationError
from rxagents.runtime.last_value import last_value
from rxagents.runtime.loop import is_loop_running

T = TypeVar("T")

MaybeNone: TypeAlias = Any
"""`None` for a stream without items, which `T | None` would make every caller check for."""


def run(source: Observable[T], on_next: Callable[[T], object] | None = None) -> T | MaybeNone:
    """Subscribe, block until the end and return the last value.

    It starts an event loop, and closes the client sessions that were made on it. Ctrl-C disposes
    the subscription and raises `KeyboardInterrupt`.

    Args:
        source: The Observable to subscribe to.
        on_next: Called with each value, such as `print`.

    Returns:
        The last value; `None` if there was none. A type checker lets you use the value without a
        check for `None`.

    Raises:
        ConfigurationError: A loop is already running on this thread, as in a coroutine or a
            notebook; `source` is not an Observable; or `on_next` is not a plain function.
        Exception: The source's error, or what `on_next` or an operator raised.
    """
    if not isinstance(source, Observable):
        raise _not_a_stream(source)
    if on_next is not None:
        checked_function("on_next", on_next)
        if inspect.iscoroutinefunction(on_next):
            raise ConfigurationError(
                "on_next must be a plain function: run does not await what it returns. To await a "
                "function for each item, use the operator map_async."
            )
    if is_loop_running():
        raise ConfigurationError(
            "rxagents.run starts an event loop, but one is already running on this thread, as in a "
            "coroutine or a notebook. Write `last = await stream` for the last value, read the "
            "stream with rxagents.to_aiter, or subscribe to it."
        )
    work = last_value(source, on_next)
    return asyncio.run(work)


def _not_a_stream(source: object) -> ConfigurationError:
    if not inspect.iscoroutine(source):
        hint = next(
            (
                f" Write run(….{name}(…))."
                for name in ("run_stream", "chat_stream")
                if callable(getattr(source, name, None))
            ),
            "",
        )
        return ConfigurationError(f"run takes an Observable, not {type(source).__name__}.{hint}")
    source.close()  # else Python also warns that nobody awaited it
    return ConfigurationError(
        f"run takes an Observable, not the coroutine {source.__qualname__}(…). Write "
        "asyncio.run(…) for a coroutine, or await it where a loop is running; or run a stream, "
        "such as llm.chat_stream(…)."
    )
