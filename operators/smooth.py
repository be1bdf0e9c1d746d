"""Emit text word by word at an even pace."""

from __future__ import annotations

import functools
import re
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from reactivex import Observable, abc

from rxagents.core.checks import checked_seconds
from rxagents.core.errors import ConfigurationError
from rxagents.core.joining import only_text_of
from rxagents.core.scripts import MARKS, STACKERS, UNSPACED
from rxagents.operators._cutter import Cutter
from rxagents.runtime.factories import operator_factory
from rxagents.runtime.timed_scope import TimedScope, timed

T = TypeVar("T")

_WORD = re.compile(r"\s*\S+(?:\s+\Z)?|\s+")

# The same for text that is not ASCII: a letter of a script without blanks is a word, together with
# its marks and the punctuation around it. Every character that is not white space is either such a
# letter or in the second branch, so no text is lost. No branch can fail after a loop that is
# ambiguous, so the time is linear.
_LETTER = rf"(?![{MARKS}])[{UNSPACED}]"
_OPENERS = "(\\[{「『【《〈“«\uff08\uff3b\uff5b\u3014\u2018"
_WORD_OR_LETTER = (
    rf"\s*(?:[^\w\s]*{_LETTER}(?:[{STACKERS}]{_LETTER}|[{MARKS}]|[^\w\s{_OPENERS}])*"
    rf"|(?:[{MARKS}]|[^\s{UNSPACED}])+)(?:\s+\Z)?|\s+"
)


@functools.cache
def _word_or_letter() -> re.Pattern[str]:
    return re.compile(_WORD_OR_LETTER)  # 3 ms, which most programs do not need


@operator_factory
def smooth(
    interval: float = 0.02, *, longest_lag: float = 1.0
) -> Callable[[Observable[T]], Observable[T]]:
    """Emit text word by word at an even pace, for people who read it while it comes.

    It cuts texts (`str`), `Token` and `Reasoning` events, and chunks that carry only text or only
    reasoning into words. Every other item keeps its place between them. When more text waits than
    `longest_lag` seconds can show at that pace, several words go at a time. Text in Chinese,
    Japanese, Thai, Lao, Khmer and Burmese, which have no blanks, goes character by character.

    .. marble::
        --(a b c)--------d--|
        [ smooth(3, longest_lag=9) ]
        --a--b--c--------d--|
        time: 1 s per character

    Emits when: text waits and `interval` seconds have passed since the last word.
    Backpressures when: downstream does.
    Completes when: the source has completed and nothing waits any more.

    Args:
        interval: Seconds between words.
        longest_lag: About how many seconds a word may lag behind the source.

    Returns:
        An operator that cuts items and keeps their type. The `index` and `content` of chunks are
        those of the resulting stream.

    Raises:
        ConfigurationError: On the call, if an argument is not a number above 0, or `longest_lag`
            is less than `interval`. The source's errors pass at once, after all the text that
            waits.

    Example:
        >>> import reactivex as rx, rxagents
        >>> from rxagents import operators as ops
        >>> rxagents.run(rx.of("one two", " three").pipe(ops.smooth(0.001)), print)
        one
         two
         three
        ' three'
    """
    checked_seconds("interval", interval)
    checked_seconds("longest_lag", longest_lag)
    if interval > longest_lag:
        raise ConfigurationError(
            f"longest_lag must be at least interval ({interval} s), not {longest_lag} s."
        )
    most_waiting = max(1, round(longest_lag / interval))

    def smooth_(source: Observable[T]) -> Observable[T]:
        def subscribe(observer: abc.ObserverBase[T], scope: TimedScope) -> None:
            pacer = _Pacer(observer, scope, interval, most_waiting)
            scope.subscribe(source, pacer.on_next, pacer.on_error, pacer.on_completed)

        return timed(subscribe)

    return smooth_


class _Pacer(Generic[T]):
    """The words of one subscription that wait, and the timer of the next one."""

    def __init__(
        self, observer: abc.ObserverBase[T], scope: TimedScope, interval: float, most_waiting: int
    ) -> None:
        self._observer = observer
        self._gate = scope.gate
        self._interval = interval
        self._most_waiting = most_waiting
        self._words: deque[tuple[T, bool]] = deque()
        self._cutter = Cutter()
        self._timer = scope.timer(self._show)
        self._is_busy = False
        self._completed = False

    def on_next(self, item: T) -> None:
        text = only_text_of(item)
        if text:
            pattern = _WORD if text.isascii() else _word_or_letter()
            words = self._cutter.cut(item, pattern.findall(text))
            self._words.extend((word, True) for word in words)
        else:
            self._words.append((self._cutter.keep(item), False))
        if not (self._is_busy or self._timer.is_pending):
            self._show()

    def on_error(self, error: Exception) -> None:
        self._timer.stop()
        while self._words:
            self._observer.on_next(self._words.popleft()[0])
        self._observer.on_error(error)

    def on_completed(self) -> None:
        self._completed = True
        self._complete_when_done()

    def _show(self) -> None:
        """Emit the next words and the items before them; start the timer only after a word."""
        # Stays True while the gate is closed: on_next then only queues.
        self._is_busy = True
        # Rounded up, so that everything that waits now is emitted within longest_lag.
        count, shown = -(-len(self._words) // self._most_waiting), 0
        while self._words and (shown < count or not self._words[0][1]):
            if self._gate.closed:
                self._gate.when_open(lambda: self._timer.start(0))
                return
            item, is_word = self._words.popleft()
            shown += is_word
            self._observer.on_next(item)
        self._is_busy = False
        if shown:
            self._timer.start(self._interval)
        self._complete_when_done()

    def _complete_when_done(self) -> None:
        if self._completed and not self._words and not self._is_busy:
            self._observer.on_completed()
