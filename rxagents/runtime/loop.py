"""The running event loop, or what to do without one."""

from __future__ import annotations

import asyncio
import logging

from rxagents.core.errors import ConfigurationError, RxAgentsError


def running_loop() -> asyncio.AbstractEventLoop:
    """Return the running loop.

    Raises:
        ConfigurationError: None is running here.
    """
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise ConfigurationError(
            "There is no running event loop to stream on. In a plain script use "
            "rxagents.run(observable), or subscribe inside a coroutine that asyncio.run runs."
        ) from None


def runs_here(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether this is the thread of `loop`, and it runs."""
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False


def report(error: Exception, message: str) -> None:
    """Tell of an exception that harms nobody and that nobody awaits.

    The loop's exception handler is told; without a loop, the logger `rxagents`.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        logging.getLogger("rxagents").warning(message, exc_info=error)
    else:
        loop.call_exception_handler({"message": message, "exception": error})


def as_exception(error: BaseException) -> Exception:
    """Return what a stream can fail with, and what does not end the program."""
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    stopped = RxAgentsError(
        f"The code behind the stream ended itself with {type(error).__name__}. Raise an Exception "
        "in its place."
    )
    stopped.__cause__ = error
    return stopped
