"""Text that is checked before anybody sees it."""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

from msgspec import Struct
from reactivex import Observable, abc, compose
from reactivex import operators as rx

from rxagents.core.checks import checked_count, checked_function
from rxagents.core.chunks import StreamChunk
from rxagents.core.errors import ConfigurationError, OutputError
from rxagents.core.events import Answer, Complete, Reasoning, Thought, Token
from rxagents.operators.map_async import map_async

T = TypeVar("T")


def guard_window(
    check: Callable[[str], bool] | Callable[[str], Awaitable[bool]], size: int
) -> Callable[[Observable[T]], Observable[T]]:
    """Hold text back until it was checked together with what follows; then release it, or fail.

    Whatever `check` looks for, if it is no longer than `size` characters, is seen whole before
    any of it is released: the last `size` characters always wait. Text is what a `str` is, what a
    chunk brings of text, reasoning and refusal, and the content of `Token`, `Reasoning`, `Thought`,
    `Answer` and `Complete`, all in the order in which it comes: of several choices, guard each by
    itself. Items without text keep their place between the texts.

    .. marble::
        --a--b--c--d---|
        [ guard_window(is_harmless, size=2) ]
        -----------(ab)(cd|)

    Emits when: twice `size` characters wait, `size` of them new, and were checked: all but the
        last `size`.
    Backpressures when: downstream does, and while an asynchronous check runs.
    Completes when: the source has completed and the rest was checked.

    Args:
        check: Called with the text that waits, some of which it has seen before; tells whether
            it may be released. It may be a coroutine function.
        size: How many characters are held back.

    Returns:
        An operator that leaves the items as they are, be they `str`, chunks or events.

    Raises:
        ConfigurationError: At once, if an argument is of the wrong type or size; in the stream,
            if `check` returns neither True nor False.
        OutputError: In the stream, if `check` says no; nothing of what it saw for the first
            time is released.
        Exception: In the stream, what `check` raises. The source's errors pass, after the text
            that waits was checked.

    Example:
        >>> import reactivex as rx
        >>> from rxagents import operators as ops
        >>> pieces = rx.of("The pass", "word is ", "swordfish.")
        >>> guard = ops.guard_window(lambda text: "password" not in text, size=10)
        >>> pieces.pipe(guard).subscribe(print, print)
        The check of guard_window refused the model's output. ...
        <...>
    """
    checked_function("check", check)
    checked_count("size", size)
    return compose(_windows(size), _checked(check), _released())


class _Window(Struct, Generic[T], frozen=True):
    """What is checked together, and what may go if all is well."""

    text: str
    items: list[T]


class _Waiting(Generic[T]):
    """The items that wait, and how much text they have."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._items: deque[tuple[T, str]] = deque()
        self._length = 0
        self._unchecked = 0

    def add(self, item: T) -> _Window[T] | None:
        """Take in an item; return what is to be checked now, if anything."""
        text = _text_of(item)
        self._items.append((item, text))
        self._length += len(text)
        self._unchecked += len(text)
        if self._length >= 2 * self._size and self._unchecked >= self._size:
            return self._window(self._size)
        return None if self._length else self._window(0)

    def rest(self) -> _Window[T]:
        """Return all that waits."""
        return self._window(0)

    def _window(self, held_back: int) -> _Window[T]:
        """Return a window that lets go of as many items as leave `held_back` characters."""
        checked = "".join(text for _, text in self._items)
        self._unchecked = 0
        released: list[T] = []
        while self._items and self._length - len(self._items[0][1]) >= held_back:
            item, text = self._items.popleft()
            self._length -= len(text)
            released.append(item)
        return _Window(checked, released)


def _text_of(item: object) -> str:
    """Return all the text in `item`; what is a whole text stands apart from its neighbours."""
    if type(item) is StreamChunk:
        return item.reasoning + item.delta + item.refusal
    if isinstance(item, (Token, Reasoning)):
        return item.content
    if isinstance(item, (Thought, Answer, Complete)):
        return f"\n{item.content}\n"
    return item if isinstance(item, str) else ""


def _windows(size: int) -> Callable[[Observable[T]], Observable[_Window[T]]]:
    def windows(source: Observable[T]) -> Observable[_Window[T]]:
        def subscribe(
            observer: abc.ObserverBase[_Window[T]], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            waiting = _Waiting[T](size)

            def on_next(item: T) -> None:
                window = waiting.add(item)
                if window is not None:
                    observer.on_next(window)

            def on_error(error: Exception) -> None:
                observer.on_next(waiting.rest())
                observer.on_error(error)

            def on_completed() -> None:
                observer.on_next(waiting.rest())
                observer.on_completed()

            return source.subscribe(on_next, on_error, on_completed, scheduler=scheduler)

        return Observable(subscribe)

    return windows


def _checked(
    check: Callable[[str], Any],
) -> Callable[[Observable[_Window[T]]], Observable[_Window[T]]]:
    async def check_later(window: _Window[T]) -> _Window[T]:
        return _passed(window, not window.text or await check(window.text))

    def check_now(window: _Window[T]) -> _Window[T]:
        return _passed(window, not window.text or check(window.text))

    return map_async(check_later) if _is_async(check) else rx.map(check_now)


def _is_async(function: Callable[[str], object]) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004  # an object's own, which may be async
    )


def _passed(window: _Window[T], verdict: object) -> _Window[T]:
    if not isinstance(verdict, bool):
        raise ConfigurationError(
            f"The check of guard_window must return True or False, not {type(verdict).__name__}; "
            "one that is asynchronous must be a coroutine function."
        )
    if not verdict:
        raise OutputError(
            "The check of guard_window refused the model's output. What was released before had "
            "passed it; the rest was held back."
        )
    return window


def _released() -> Callable[[Observable[_Window[T]]], Observable[T]]:
    def released(source: Observable[_Window[T]]) -> Observable[T]:
        def subscribe(
            observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            def on_next(window: _Window[T]) -> None:
                for item in window.items:
                    observer.on_next(item)

            return source.subscribe(
                on_next, observer.on_error, observer.on_completed, scheduler=scheduler
            )

        return Observable(subscribe)

    return released
