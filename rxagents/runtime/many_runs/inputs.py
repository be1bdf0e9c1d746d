"""Read the inputs of many runs, lazily, with a key for each."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Mapping
from contextlib import aclosing
from typing import Any

from rxagents.core.errors import ConfigurationError
from rxagents.runtime.event_log.log_store import checked_key


def checked_inputs(inputs: object) -> Any:
    """Return `inputs` if it can be iterated over, and is not one text.

    Raises:
        ConfigurationError: It cannot.
    """
    if isinstance(inputs, (Iterable, AsyncIterable)) and not isinstance(inputs, (str, bytes)):
        return inputs
    raise ConfigurationError(
        "inputs must be an iterable or an asynchronous iterable of inputs or of (key, input) "
        f"pairs, not {type(inputs).__name__}."
    )


async def keyed(inputs: Any) -> AsyncGenerator[tuple[str, Any], None]:
    """Yield each input with its key: its own, or its position.

    Raises:
        ConfigurationError: A key is not usable.
    """
    if isinstance(inputs, Mapping):
        inputs = inputs.items()
    if isinstance(inputs, Iterable):
        for position, item in enumerate(inputs):
            yield _key_and_input(position, item)
        return
    async with aclosing(_iterated(inputs)) as items:
        position = 0
        async for item in items:
            yield _key_and_input(position, item)
            position += 1


async def _iterated(inputs: AsyncIterable[Any]) -> AsyncGenerator[Any, None]:
    iterator = aiter(inputs)
    try:
        async for item in iterator:
            yield item
    finally:
        close = getattr(iterator, "aclose", None)
        if close is not None:
            await close()


def _key_and_input(position: int, item: Any) -> tuple[str, Any]:
    if isinstance(item, tuple) and len(item) == 2:
        return checked_key(item[0]), item[1]
    return str(position), item
