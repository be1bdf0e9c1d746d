"""Log what happens at a place of a pipe."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import TypeVar

from reactivex import Observable, abc
from reactivex.disposable import Disposable
from reactivex.scheduler import VirtualTimeScheduler

from rxagents.core.errors import ConfigurationError
from rxagents.core.printing import printed
from rxagents.runtime.factories import operator_factory
from rxagents.runtime.item_summary import item_text, item_type
from rxagents.runtime.logs import logger
from rxagents.runtime.short_repr import one_line
from rxagents.runtime.stream import Stream

T = TypeVar("T")

_numbers = count(1)
_LONGEST_ERROR = 200


@operator_factory
def log(name: str) -> Callable[[Observable[T]], Observable[T]]:
    """Log the subscription, each item and the end at this place of a pipe, at level DEBUG.

    The logger is `rxagents.stream`, which is silent by default: set its level, or start the program
    with `RXAGENTS_LOG=debug`. Each record has the name, the number of the subscription, the seconds
    since it began, and an item in one line. The level is looked at when the stream is subscribed
    to; if it is not DEBUG then, an item costs nothing.

    .. marble::
        --1--2--|
        [ log("numbers") ]
        --1--2--|

    Emits when: the source emits.
    Backpressures when: downstream does.
    Completes when: the source completes.

    Args:
        name: What the records begin with.

    Returns:
        An operator that leaves the items as they are.

    Raises:
        ConfigurationError: On the call, if `name` is not a text of one character or more. The
            source's errors pass.

    Example:
        >>> import logging, reactivex as rx, sys
        >>> from rxagents import operators as ops
        >>> handler = logging.StreamHandler(sys.stdout)
        >>> stream_log = logging.getLogger("rxagents.stream")
        >>> stream_log.addHandler(handler)
        >>> stream_log.setLevel("DEBUG")
        >>> rx.of("Hello").pipe(ops.log("words")).subscribe()
        words #... 0.0... s subscribe
        words #... 0.0... s next str(5) Hello
        words #... 0.0... s completed
        <...>
        >>> stream_log.removeHandler(handler)
        >>> stream_log.setLevel("NOTSET")
    """
    if not isinstance(name, str) or not name:
        raise ConfigurationError(f"name must be a text of one character or more, not {name!r}.")

    def log_(source: Observable[T]) -> Observable[T]:
        return _Logged(source, name)

    return log_


class _Logged(Stream[T]):
    """A stream that decides at each subscription whether to log it."""

    def __init__(self, source: Observable[T], name: str) -> None:
        super().__init__(partial(_subscribe_logged, source, name))
        self._source = source

    def subscribe(
        self,
        on_next: abc.ObserverBase[T] | abc.OnNext[T] | None = None,
        on_error: abc.OnError | None = None,
        on_completed: abc.OnCompleted | None = None,
        *,
        scheduler: abc.SchedulerBase | None = None,
    ) -> abc.DisposableBase:
        is_logged = logger("stream").isEnabledFor(logging.DEBUG)
        subscribe = super().subscribe if is_logged else self._source.subscribe
        return subscribe(on_next, on_error, on_completed, scheduler=scheduler)


def _subscribe_logged(
    source: Observable[T],
    name: str,
    observer: abc.ObserverBase[T],
    scheduler: abc.SchedulerBase | None = None,
) -> abc.DisposableBase:
    write = _writer(one_line(name), _clock(scheduler))
    has_ended = False

    def on_next(item: T) -> None:
        write(f"next {item_type(item)} {item_text(item)}".rstrip())
        observer.on_next(item)

    def on_error(error: Exception) -> None:
        nonlocal has_ended
        has_ended = True
        text = " ".join(printed(error).split())[:_LONGEST_ERROR]
        write(f"error {type(error).__name__}: {text}")
        observer.on_error(error)

    def on_completed() -> None:
        nonlocal has_ended
        has_ended = True
        write("completed")
        observer.on_completed()

    write("subscribe")
    subscription = source.subscribe(on_next, on_error, on_completed, scheduler=scheduler)

    def dispose() -> None:
        nonlocal has_ended
        if not has_ended:
            has_ended = True
            write("dispose")
        subscription.dispose()

    return Disposable(dispose)


def _writer(name: str, now: Callable[[], float]) -> Callable[[str], None]:
    """Return a function that logs an event of one subscription."""
    log, number, start = logger("stream"), next(_numbers), now()

    def write(text: str) -> None:
        log.debug("%s #%d %.3f s %s", name, number, now() - start, text)

    return write


def _clock(scheduler: abc.SchedulerBase | None) -> Callable[[], float]:
    """Return the time in seconds: of a virtual scheduler, of the running loop, or of the system."""
    if isinstance(scheduler, VirtualTimeScheduler):
        return lambda: scheduler.to_seconds(scheduler.now)
    try:
        return asyncio.get_running_loop().time
    except RuntimeError:
        return time.monotonic
