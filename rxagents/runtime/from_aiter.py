"""From an asynchronous iterable to an Observable."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Callable
from typing import TypeVar

from reactivex import Observable

from rxagents.core.errors import ConfigurationError
from rxagents.runtime.source import Emitter, task_source

T = TypeVar("T")

_FAIR_SHARE = 64
"""Items after which others get their turn: an iterable need never wait, and would starve them."""


def from_aiter(factory: Callable[[], AsyncIterable[T]]) -> Observable[T]:
    """Make a cold Observable of an asynchronous iterable.

    ::

        rxagents.from_aiter(lambda: some_async_iterable())

    Args:
        factory: Makes the iterable; called once a subscription, so that each has its own.

    Returns:
        An Observable of the iterable's items, which is closed when the subscription ends. A
        slow asynchronous reader slows the iteration.

    Raises:
        ConfigurationError: `factory` is not a function.
    """
    if not callable(factory):
        raise ConfigurationError(
            "from_aiter takes a function that makes the iterable, so that each subscription has "
            f"its own: from_aiter(lambda: …), not {type(factory).__name__}."
        )

    async def produce(emitter: Emitter[T]) -> None:
        iterable = factory()
        if not isinstance(iterable, AsyncIterable):
            raise ConfigurationError(
                "The function given to from_aiter must return an asynchronous iterable, "
                f"not {type(iterable).__name__}."
            )
        iterator = aiter(iterable)
        try:
            count = 0
            async for item in iterator:
                await emitter.emit((item,))
                count += 1
                if count % _FAIR_SHARE == 0:
                    await asyncio.sleep(0)
        finally:
            close = getattr(iterator, "aclose", None)
            if close is not None:
                await close()

    return task_source(produce)
