"""Run a stream several times and keep the best answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from reactivex import Observable

from rxagents.core.checks import checked_count, checked_function
from rxagents.operators._attempts import Attempt, Judge, choose, run_attempts
from rxagents.runtime.factories import operator_factory
from rxagents.runtime.source import Emitter, task_source

T = TypeVar("T")


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
            attempts = [Attempt[T]() for _ in range(n)]
            chosen = await run_attempts(source, attempts, enough)
            if chosen is None:
                chosen = await choose(attempts, judge)
            await emitter.emit(chosen.items)
            if chosen.error is not None:
                raise chosen.error

        return task_source(produce)

    return best_of_
