"""Call the methods of a store, whose results may come later."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any, TypeVar

from rxagents.runtime.loop import run_on_loop, running_loop
from rxagents.runtime.reporting import as_exception

T = TypeVar("T")


def call(
    operation: Callable[[], T | Future[T]],
    then: Callable[[T], object],
    fail: Callable[[Exception], object],
) -> None:
    """Call a method of a store, and continue on this loop when its result is there.

    The loop's end or a cancelled task cannot undo a write: nothing awaits it.

    Args:
        operation: Calls the method.
        then: Called with the result; at once, if the store has it at once.
        fail: Called with the error instead.
    """
    try:
        outcome = operation()
    except Exception as error:
        fail(as_exception(error))
        return
    if not isinstance(outcome, Future):
        then(outcome)
        return
    loop = running_loop()
    outcome.add_done_callback(partial(run_on_loop, loop, _continue, then, fail))


def _continue(
    then: Callable[[Any], object], fail: Callable[[Exception], object], outcome: Future[Any]
) -> None:
    try:
        result = outcome.result()
    except BaseException as error:
        fail(as_exception(error))
        return
    then(result)
