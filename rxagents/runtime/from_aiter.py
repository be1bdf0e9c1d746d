"""Make an Observable of an asynchronous iterable."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Callable
from typing import TypeVar

from reactivex import Observable

from rxagents.core.errors import ConfigurationError
from rxagents.runtime.factories import source_factory
from rxagents.runtime.source import Emitter, task_source

T = TypeVar("T")

_FAIR_SHARE = 64
"""Items between two loop iterations: an iterable that never waits would starve all other tasks."""


@source_factory
def from_aiter(factory: Callable[[], AsyncIterable[T]]) -> Observable[T]:
    """Make a cold Observable of an asynchronous iterable.

    Args:
        factory: Makes the iterable; called once for each subscription.

    Returns:
        An Observable of the iterable's items. The iterator is closed when the subscription ends. A
        slow asynchronous reader slows the iteration.

    Raises:
        ConfigurationError: `factory` is not a function.

    Example:
        >>> import rxagents
        >>> async def letters():
        ...     yield "a"
        ...     yield "b"
        >>> rxagents.run(rxagents.from_aiter(letters), print)
        a
        b
        'b'
    """
    if not callable(factory):
        raise ConfigurationError(
            "from_aiter takes a function that returns a new iterable for each subscription, as in "
            f"from_aiter(lambda: …), not {type(factory).__name__}."
        )

    async def produce(emitter: Emitter[T]) -> None:
        iterable = factory()
        if not isinstance(iterable, AsyncIterable):
            raise ConfigurationError(
                "The function that from_aiter was given must return an asynchronous iterable, not "
                f"{type(iterable).__name__}."
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
