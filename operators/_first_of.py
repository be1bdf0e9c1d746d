"""Race streams and keep the first that has something to show."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias, TypeVar

from reactivex import Observable, abc

from rxagents.core.chunks import StreamChunk
from rxagents.core.content import is_content
from rxagents.core.errors import ConfigurationError
from rxagents.core.events import Answer, Complete, Token
from rxagents.parsing.sentences import SentenceSplitter
from rxagents.runtime.factories import source_factory
from rxagents.runtime.racing.race import Criterion, FirstContent, Race
from rxagents.runtime.timed_scope import TimedScope, timed

T = TypeVar("T")

FirstBy: TypeAlias = Literal["content", "sentence"] | Callable[[T], bool]


@source_factory
def first_of(*streams: Observable[T], by: FirstBy[T] = "content") -> Observable[T]:
    """Subscribe to all streams and emit the first that wins; the others are disposed at once.

    A stream wins `by="content"` with its first text, reasoning, tool call or finish reason;
    reactivex's `amb` takes the first item of any kind: a model's first chunk often only names the
    model, and a run's first event is the start of a turn. It wins `by="sentence"` when its first
    sentence is complete, or with a tool call or its end. With a function it wins with the first
    item for which the function returns True; a chunk's `content` is all its text so far.

    Until a stream wins, the items of all are held back. A stream that fails before is out of the
    race. If all have ended and none has won, the first that completed is emitted.

    .. marble::
        --m--------a--b--|
        -----m--c--d--|
        [ first_of(other) ]
        --------(m)(c)-d--|
        legend: m = a chunk that only names the model

    Emits when: the winner emits; the items that it held back when it wins.
    Backpressures when: downstream does; before that, all streams run at full speed.
    Completes when: the winner completes.

    Args:
        *streams: The streams, one or more. They start in this order.
        by: What decides: `"content"`, `"sentence"`, or a function of one item.

    Returns:
        A cold stream of the winner's items; each subscription is a race of its own.

    Raises:
        ConfigurationError: On the call, if an argument has the wrong type or value; in the stream,
            if the function returns neither True nor False.
        Exception: In the stream, the winner's error; the first stream's, if all fail before one
            wins; and whatever the function raises.

    Example:
        >>> import reactivex as rx, rxagents
        >>> from rxagents import StreamChunk
        >>> quick = rx.concat(rx.of(StreamChunk(metadata={"model": "m"})), rx.never())
        >>> good = rx.of(StreamChunk("Hello"))
        >>> rxagents.run(rxagents.first_of(quick, good), lambda chunk: print(chunk.delta))
        Hello
        StreamChunk(...)
    """
    if not streams:
        raise ConfigurationError("first_of needs at least one stream.")
    for stream in streams:
        if not isinstance(stream, Observable):
            raise ConfigurationError(
                f"first_of takes Observables, not {type(stream).__name__}: first_of(*streams)."
            )
    make = _criterion(by)

    def subscribe(observer: abc.ObserverBase[T], scope: TimedScope) -> None:
        Race(observer, scope, make).enter(*streams)

    return timed(subscribe)


def _criterion(by: FirstBy[T]) -> Callable[[], Criterion[T]]:
    if by == "content":
        return lambda: FirstContent(is_end_enough=False)
    if by == "sentence":
        return _FirstSentence
    if not callable(by):
        raise ConfigurationError(
            f'by must be "content", "sentence" or a function of one item, not {by!r}.'
        )
    judge: Callable[[Any], Any] = by
    return lambda: _Judged(judge)


class _FirstSentence:
    """A stream wins when its first sentence is complete."""

    def __init__(self) -> None:
        self._splitter = SentenceSplitter()
        self._has_content = False

    def wins(self, item: object) -> bool:
        self._has_content = self._has_content or is_content(item)
        if isinstance(item, StreamChunk):
            is_over = bool(item.tool_calls or item.finish_reason)
            return bool(self._splitter.feed(item.delta)) or is_over
        if isinstance(item, Answer | Complete):
            return True
        text = item.content if isinstance(item, Token) else item
        return isinstance(text, str) and bool(self._splitter.feed(text))

    def wins_at_end(self) -> bool:
        return self._has_content


class _Judged:
    """A stream wins when a function of its items returns True."""

    def __init__(self, judge: Callable[[Any], Any]) -> None:
        self._judge = judge

    def wins(self, item: object) -> bool:
        verdict = self._judge(item)
        if not isinstance(verdict, bool):
            raise ConfigurationError(
                "The function by= of first_of must return True or False, not "
                f"{type(verdict).__name__}."
            )
        return verdict

    def wins_at_end(self) -> bool:
        return False
