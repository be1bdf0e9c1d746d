"""Keep whole answers, and play them when they are asked for again."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

from reactivex import Observable, abc

from rxagents.core.checks import checked_count
from rxagents.core.chunks import StreamChunk
from rxagents.core.errors import ConfigurationError
from rxagents.operators._answer_cache import Answers, read_answer
from rxagents.runtime.event_log.event_log import EventLog
from rxagents.runtime.event_log.log_entries import decoder_of
from rxagents.runtime.event_log.log_store import checked_key
from rxagents.runtime.factories import operator_factory
from rxagents.runtime.from_recording import Player
from rxagents.runtime.recording import RecordedLine
from rxagents.runtime.stream import Stream
from rxagents.runtime.timed_scope import TimedScope, timed

T = TypeVar("T")


@operator_factory
def cached(
    log: EventLog,
    key: str | Callable[[], str] | None = None,
    *,
    type: Any = StreamChunk,
    speed: float = math.inf,
    max_items: int = 10_000,
) -> Callable[[Observable[T]], Observable[T]]:
    """Play the answer from a log if it has it; else take it from the source, and keep it.

    Directly after `chat_stream`, the key is made of the rendered request: its URL and its body.
    Headers, such as the API key, are no part of it: give each customer a log or keys of its own. An
    answer is kept when it is complete; one that fails, is disposed or is longer than `max_items` is
    not. While an answer is being made, further subscribers of the same key share it. The bounds of
    the cache, in age, number and size, are those of the log's store (`Retention`).

    A chunk from the log has `"cached": True` in its metadata; its usage is that of the request that
    was sent once.

    .. marble::
        --1-----2-----3-|
                              (1)(2)(3)|
        [ cached(log) ]
        --1-----2-----3-|
                              (1)(2)(3)|

    Emits when: the source emits, or at once what the log has.
    Backpressures when: downstream does; while several share an answer, when all do.
    Completes when: the source has completed and the answer is stored.

    Args:
        log: The log that keeps the answers, under keys that begin with `"cached:"`.
        key: The key of the answer, or a function that returns one for each subscription; by default
            that of the request of a model's stream.
        type: The type of the items, to read them.
        speed: Plays with the recorded times divided by this number; at once by default.
        max_items: The most items of an answer that is kept.

    Returns:
        An operator that leaves the source's items as they are.

    Raises:
        ConfigurationError: On the call, if an argument has the wrong type or value; when it is
            applied, if there is no key and the source is no model's stream; in the stream, if no
            event loop is running.
        BackpressureError: In the stream of a subscriber that shares an answer and is `max_items`
            behind. The source's errors pass, to all that share it. A log that fails is reported to
            the loop's exception handler, and the source is asked.

    Example:
        >>> import rxagents
        >>> from rxagents import operators as ops
        >>> from rxagents.testing import ScriptedLLM
        >>> llm, log = ScriptedLLM("Paris."), rxagents.EventLog()
        >>> answer = llm.chat_stream("What is the capital of France?").pipe(ops.cached(log))
        >>> for _ in range(2):
        ...     rxagents.run(answer).content
        'Paris.'
        'Paris.'
        >>> len(llm.requests)
        1
    """
    if not isinstance(log, EventLog):
        kind = log.__class__.__name__
        raise ConfigurationError(f"log must be an rxagents.EventLog, not {kind}.")
    if isinstance(speed, bool) or not isinstance(speed, (int, float)) or not speed > 0:
        raise ConfigurationError(f"speed must be a number above 0, not {speed!r}.")
    checked_count("max_items", max_items)
    if key is not None and not callable(key):
        checked_key(key)
    try:
        decoder = decoder_of(type)
    except Exception as error:  # msgspec and typing raise many kinds
        raise ConfigurationError(f"Items cannot be read as {type!r}: {error}.") from error

    def cached_(source: Observable[T]) -> Observable[T]:
        make_key = key if key is not None else _request_key(source)

        def subscribe(observer: abc.ObserverBase[T], scope: TimedScope) -> None:
            name = checked_key(f"cached:{make_key() if callable(make_key) else make_key}")

            def on_answer(lines: list[RecordedLine[T]] | None) -> None:
                if scope.is_disposed:
                    return
                if lines is None:
                    stream = Answers.of(log).join(log, name, source, max_items)
                    scope.subscribe(
                        stream, observer.on_next, observer.on_error, observer.on_completed
                    )
                else:
                    Player(observer, scope, iter(lines), speed, name).start()

            read_answer(log.store, name, decoder, on_answer)

        return timed(subscribe)

    return cached_


def _request_key(source: Observable[Any]) -> Callable[[], str]:
    request_key = source.request_key if isinstance(source, Stream) else None
    if request_key is None:
        raise ConfigurationError(
            "cached finds no request to make a key of: put it directly after a model's "
            "chat_stream, or pass the key."
        )
    return request_key
