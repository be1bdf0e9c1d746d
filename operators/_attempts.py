"""The attempts of one subscription of `best_of`."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, TypeAlias, TypeVar

from reactivex import Observable

from rxagents.core.chunks import StreamChunk
from rxagents.core.errors import ConfigurationError
from rxagents.core.events import ErrorEvent
from rxagents.core.response import ResponseBuilder
from rxagents.runtime.last_value import last_value

T = TypeVar("T")

Judge: TypeAlias = Callable[[list[Any]], int | Awaitable[int] | Observable[int]]


class Attempt(Generic[T]):
    """One subscription of the source: its items, and how it ended."""

    def __init__(self) -> None:
        self.items: list[T] = []
        self.error: Exception | None = None
        self.result: object = None

    async def run(self, source: Observable[T]) -> None:
        """Subscribe, and wait for the end."""
        try:
            await last_value(source, self.items.append)
        except Exception as error:
            self.error = error
        else:
            self.result = _result(self.items)


def _result(items: Sequence[object]) -> object:
    chunks = [item for item in items if isinstance(item, StreamChunk)]
    if not chunks or len(chunks) < len(items):
        return items[-1] if items else None
    builder = ResponseBuilder()
    for chunk in chunks:
        builder.add(chunk)
    return builder.response()


async def run_attempts(
    source: Observable[T], attempts: list[Attempt[T]], enough: Callable[[Any], bool] | None
) -> Attempt[T] | None:
    """Run all attempts; return early with the first that is good enough."""
    running = {asyncio.create_task(attempt.run(source)): attempt for attempt in attempts}
    try:
        while running:
            done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in [task for task in running if task in done]:
                attempt = running.pop(task)
                task.result()
                if enough is not None and attempt.error is None and _is_enough(enough, attempt):
                    return attempt
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    return None


def _is_enough(enough: Callable[[Any], bool], attempt: Attempt[T]) -> bool:
    verdict = enough(attempt.result)
    if not isinstance(verdict, bool):
        raise ConfigurationError(
            f"The function enough= of best_of must return True or False, not "
            f"{type(verdict).__name__}."
        )
    return verdict


async def choose(attempts: list[Attempt[T]], judge: Judge) -> Attempt[T]:
    """Return the attempt that the judge chooses; a failed one, without its items, if all failed."""
    complete = [attempt for attempt in attempts if attempt.error is None]
    if not complete:
        first = attempts[0]
        first.items = [item for item in first.items[-1:] if isinstance(item, ErrorEvent)]
        return first
    if len(complete) == 1:
        return complete[0]
    index: object = judge([attempt.result for attempt in complete])
    if isinstance(index, Observable):
        index = await last_value(index)
    elif inspect.isawaitable(index):
        index = await index
    if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < len(complete):
        raise ConfigurationError(
            f"The judge of best_of must return the index of one of {len(complete)} results, 0 to "
            f"{len(complete) - 1}, not {index!r}."
        )
    return complete[index]
