"""Show a run in a notebook while it goes on.

Theory of operation. Each item goes into the `Timeline` at once; a timer draws the picture. One
timer is pending at a time, of two kinds (`_is_idle`): after a drawing it is an idle one, half a
second later, so that a gap is seen to grow; the first item replaces it by one that fires as soon
as the rate allows. `_next_draw` is that time: a fifteenth of a second after the last drawing, or
ten times as long as that drawing took, since a picture of 200,000 items takes 0.16 s. The end is
drawn at once.

- `_timeline.end` is the only state of the stream. It is set once, on the loop's thread, by
  `on_error`, `on_completed` or `dispose`, whichever comes first; then no timer is left.
- A cell that awaits the picture is a task of the kernel. To interrupt the kernel cancels it, and
  `_wait` disposes the stream. Without `await` there is nothing that the kernel could interrupt.
- IPython sends an update to the cell whose context made the timer, so that the picture changes in
  its own cell while another one runs.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Generator
from types import ModuleType
from typing import Any, Generic, TypeVar

from reactivex import Observable
from reactivex.disposable import SingleAssignmentDisposable

from rxagents.core.errors import ConfigurationError, StreamCancelledError
from rxagents.core.events import ErrorInfo
from rxagents.pictures.lanes import End
from rxagents.pictures.picture import DEFAULT_WIDTH, RunPicture, checked_width, failed
from rxagents.pictures.timeline import Timeline
from rxagents.runtime.loop import run_on_loop, running_loop

T = TypeVar("T")

_INTERVAL = 1 / 15
"""Seconds between two updates, at least: each one is a whole picture that the browser draws."""

_IDLE_INTERVAL = 0.5
"""Seconds between two updates while nothing comes, so that a gap is seen to grow."""

_SHARE = 10
"""Of the loop's time, drawing takes one part in so many at most."""


def display(
    stream: Observable[T], *, title: str = "", width: int = DEFAULT_WIDTH
) -> LivePicture[T]:
    """Subscribe to a stream, and show it in a notebook as a picture that grows while it runs.

    The picture is that of `draw_run`, updated at most 15 times a second. `await
    rxagents.display(stream)` waits for the end: then interrupting the kernel disposes the stream.
    Without `await` the cell ends at once, and the picture goes on to grow below it.

    Args:
        stream: The stream, usually `agent.run_stream(…)` or `llm.chat_stream(…)`.
        title: The title of the picture.
        width: The width of the picture in pixels, 320 or more.

    Returns:
        The subscription. Awaiting it returns the last item, as awaiting the stream does.

    Raises:
        ConfigurationError: This is no notebook, IPython is not installed, no event loop is running,
            or an argument is of the wrong type.
    """
    if not isinstance(stream, Observable):
        raise ConfigurationError(
            f"display shows an Observable, not {type(stream).__name__}. To draw a recording or "
            "a list of events, use draw_run."
        )
    checked_width(width)
    return LivePicture(stream, _shell(), title, width)


class LivePicture(Generic[T]):
    """A subscription whose items a notebook shows; `display` makes it.

    Attributes:
        has_ended: Whether the stream has ended, or was disposed.
    """

    def __init__(self, stream: Observable[T], ipython: ModuleType, title: str, width: int) -> None:
        self._loop = running_loop()
        self._start = self._loop.time()
        self._timeline = Timeline()
        self._title = title
        self._width = width
        self._last: T | None = None
        self._result: asyncio.Future[T | None] = self._loop.create_future()
        self._subscription = SingleAssignmentDisposable()
        self._next_draw = self._start + _INTERVAL
        self._is_idle = True
        self._timer: asyncio.TimerHandle | None = None
        self._handle = ipython.display.display(self._drawn(self._timeline), display_id=True)
        self._start = self._loop.time()  # the first picture may have taken a while
        self._timer = self._loop.call_later(_IDLE_INTERVAL, self._draw)
        self._subscription.disposable = stream.subscribe(
            self._on_next, self._on_error, self._on_completed
        )

    @property
    def has_ended(self) -> bool:
        """Whether the stream has ended, or was disposed."""
        return self._timeline.end is not None

    @property
    def picture(self) -> RunPicture:
        """The picture as it is now; it does not change any more."""
        return self._drawn(copy.deepcopy(self._timeline))

    def dispose(self) -> None:
        """Stop the stream; the picture shows where.

        Any thread may call it, any number of times.
        """
        self._subscription.dispose()
        run_on_loop(self._loop, self._on_dispose)

    def __await__(self) -> Generator[Any, None, T | None]:
        return self._wait().__await__()

    async def _wait(self) -> T | None:
        try:
            return await asyncio.shield(self._result)
        except asyncio.CancelledError:
            self.dispose()
            raise

    def _ipython_display_(self) -> None:
        """Show nothing: the picture is on the screen already."""

    def _drawn(self, timeline: Timeline) -> RunPicture:
        return RunPicture(timeline, width=self._width, title=self._title, now=self._now())

    def _now(self) -> float:
        return self._loop.time() - self._start

    def _on_next(self, item: T) -> None:
        self._last = item
        self._timeline.add(self._now(), item)
        if self._is_idle:
            self._is_idle = False
            self._draw_at(self._next_draw)

    def _on_error(self, error: Exception) -> None:
        if not self.has_ended:
            self._finish(failed(self._now(), ErrorInfo.of(error)), error)

    def _on_completed(self) -> None:
        if not self.has_ended:
            self._finish(End(self._now(), "completed"))

    def _on_dispose(self) -> None:
        if not self.has_ended:
            error = StreamCancelledError("The stream that display shows was disposed.")
            self._finish(End(self._now(), "disposed"), error)

    def _finish(self, end: End, error: Exception | None = None) -> None:
        self._timeline.finish(end)
        if error is None:
            self._result.set_result(self._last)
        else:
            self._result.set_exception(error)
            self._result.exception()  # the picture shows a failure that nobody awaits
        self._draw()

    def _draw_at(self, time: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(max(time, self._loop.time()), self._draw)

    def _draw(self) -> None:
        start = self._loop.time()
        self._handle.update(self._drawn(self._timeline))
        now = self._loop.time()
        self._next_draw = now + max(_INTERVAL, _SHARE * (now - start))
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self.has_ended:
            self._is_idle = True
            self._draw_at(max(now + _IDLE_INTERVAL, self._next_draw))


def _shell() -> ModuleType:
    """Return IPython, which runs this code.

    Raises:
        ConfigurationError: It is not installed, or does not run.
    """
    try:
        import IPython
    except ImportError:
        raise ConfigurationError(
            "display needs IPython, which every notebook has: pip install ipython"
        ) from None
    if IPython.get_ipython() is None:
        raise ConfigurationError(
            "display shows a picture in a notebook, and this is a plain Python program. Record the "
            "stream with operators.record, and draw the file with draw_run."
        )
    return IPython
