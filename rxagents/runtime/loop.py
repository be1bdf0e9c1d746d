"""Find the running event loop, and run code on its thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from rxagents.core.errors import ConfigurationError


def running_loop() -> asyncio.AbstractEventLoop:
    """Return the running loop.

    Our sources call this in their `subscribe` function and let the error pass: reactivex hands
    what `subscribe` raises to `on_error`, or raises it where the subscriber gave no `on_error`.

    Raises:
        ConfigurationError: No loop is running on this thread.
    """
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise ConfigurationError(
            "There is no running event loop to stream on. In a plain script use "
            "rxagents.run(observable), or subscribe inside a coroutine that asyncio.run runs."
        ) from None


def is_loop_running() -> bool:
    """Return whether a loop is running on this thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def runs_here(loop: asyncio.AbstractEventLoop) -> bool:
    """Return whether `loop` is running on this thread."""
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False


def run_on_loop(
    loop: asyncio.AbstractEventLoop, callback: Callable[..., object], *args: object
) -> None:
    """Call `callback(*args)` on the thread of `loop`: now if this is it, else in its next turn.

    Any thread may call it. If the loop is closed, nothing happens: it has no timer, task or
    subscriber left that needs the call.
    """
    if runs_here(loop):
        callback(*args)
        return
    with suppress(RuntimeError):  # raised by a closed loop
        loop.call_soon_threadsafe(callback, *args)
