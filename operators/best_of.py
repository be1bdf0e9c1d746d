"""Run a stream several times and keep the best answer."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, TypeAlias, TypeVar

from reactivex import Observable

from rxagents.core.checks import checked_count, checked_function
from rxagents.core.chunks import StreamChunk
from rxagents.core.errors import ConfigurationError
from rxagents.core.events import ErrorEvent
from rxagents.core.response import ResponseBuilder
from rxagents.runtime.factories import operator_factory
from rxagents.runtime.last_value import last_value
from rxagents.runtime.source import Emitter, task_source

T = TypeVar("T")

Judge: TypeAlias = Callable[[list[Any]], int | Awaitable[int] | Observable[int]]


@operator_factory
def best_of(
    n: int, judge: Judge, *, enough: Callable[[Any], bool] | None = None
) -> Callable[[Observable[T]], Observable[T]]:
    """Subscribe to the source `n` times, and emit the answer that `judge` chooses.

    The result of an attempt is a `Response` if it is a stream of chunks, and otherwise its last
    item, such as the `Complete` of an agent's run. An attempt that fails is left out, unless all
    fail. With one result left, `judge` is not called. Nothing is emitted before the choice; all
    attempts are kept in memory until then.

    .. marble::
        --a----b--|
        --c--d--|
        --e-----f----|
        [ best_of(3, judge) ]
        -------------(c)(d|)

    Emits when: `judge` has chosen: all items of the chosen attempt, at once.
    Backpressures when: downstream does, after the choice; before it, the attempts run at full
        speed.
    Completes when: the items of the chosen attempt were emitted.

    Args:
        n: How many times to subscribe. Each subscription of a model's stream is a request.
        judge: Called with the results in the order in which the attempts started; returns the index
            of the best. It may be a coroutine function, or return an Observable whose last item is
            the index, such as the answer of another model.
        enough: Called with each result as it comes. If it returns True, that attempt is chosen
            without `judge`, and the others are disposed, which closes their requests.

    Returns:
        An operator that leaves the items of the chosen attempt as they are, on the running loop.

    Raises:
        ConfigurationError: On the call, if an argument has the wrong type or value; in the stream,
            if `judge` returns no index of the list, or no event loop is running.
        Exception: In the stream, the error of the first attempt, if all fail; and whatever `judge`
            or `enough` raises.

    Example:
        >>> import reactivex as rx, rxagents
        >>> from rxagents import StreamChunk, operators as ops
        >>> texts = iter(["Hi", "Hello there", "Hey"])
        >>> source = rx.defer(lambda _: rx.of(StreamChunk(next(texts))))
        >>> def longest(answers: list[rxagents.Response]) -> int:
        ...     return max(range(len(answers)), key=lambda i: len(answers[i].content))
        >>> best = source.pipe(ops.best_of(3, longest))
        >>> rxagents.run(best, lambda chunk: print(chunk.delta))
        Hello there
        StreamChunk(...)
    """
    checked_count("n", n)
    checked_function("judge", judge)
    if enough is not None:
        checked_function("enough", enough)

    def best_of_(source: Observable[T]) -> Observable[T]:
        async def produce(emitter: Emitter[T]) -> None:
            attempts = [_Attempt[T]() for _ in range(n)]
            chosen = await _run(source, attempts, enough)
            if chosen is None:
                chosen = await _choose(attempts, judge)
            await emitter.emit(chosen.items)
            if chosen.error is not None:
                raise chosen.error

        return task_source(produce)

    return best_of_


class _Attempt(Generic[T]):
    """One subscription of the source: its items, and how it ended."""

    def __init__(self) -> None:
        self.items: list[T] = []
        self.error: Exception | None = None
        self.result: object = None

    async def run(self, source: Observable[T]) -> None:
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


async def _run(
    source: Observable[T], attempts: list[_Attempt[T]], enough: Callable[[Any], bool] | None
) -> _Attempt[T] | None:
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


def _is_enough(enough: Callable[[Any], bool], attempt: _Attempt[T]) -> bool:
    verdict = enough(attempt.result)
    if not isinstance(verdict, bool):
        raise ConfigurationError(
            f"The function enough= of best_of must return True or False, not "
            f"{type(verdict).__name__}."
        )
    return verdict


async def _choose(attempts: list[_Attempt[T]], judge: Judge) -> _Attempt[T]:
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
