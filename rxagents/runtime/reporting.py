"""Report an exception that no stream delivers, once.

`on_error` carries the source's failures only. What a consumer's callback, an operator's own code
or a clean-up raises has no subscriber to go to; the functions here give it to exactly one other
place.

Code that calls a callback catches `BaseException`, and hands it to one of these functions. With
`except Exception`, a callback that raises `CancelledError`, as `future.result()` of a cancelled
future does, would leave a stream that neither goes on nor ends. `KeyboardInterrupt` and
`SystemExit` are to end the program: the functions raise them again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from rxagents.core.errors import RxAgentsError


class AwaitingCode(Protocol):
    """Code that awaits a stream, as a `Bridge` represents it.

    Attributes:
        closed: Whether the code has left.
        fail: Raises an exception in the code.
    """

    closed: bool
    fail: Callable[[Exception], None]


def report_unhandled(
    error: BaseException,
    loop: asyncio.AbstractEventLoop | None,
    bridge: AwaitingCode | None,
    message: str = "A stream's subscriber raised",
) -> None:
    """Report what a subscriber, or code between it and the source, raised.

    The code that awaits the stream raises it. Where no code does, the loop's exception handler
    gets it.

    Args:
        error: What was raised.
        loop: The loop of the subscription; `None` in virtual time.
        bridge: The bridge of the code that awaits the stream, if there is one.
        message: Says what happened; for the loop's exception handler.

    Raises:
        Exception: `error`, in virtual time, where the code that advances the clock gets it.
        BaseException: `error`, if it is to end the program.
    """
    error = nonfatal(error)
    if bridge is not None and not bridge.closed:
        bridge.fail(error)
    elif loop is not None:
        loop.call_exception_handler({"message": message, "exception": error})
    else:
        raise error


def report_harmless(error: BaseException, message: str) -> None:
    """Report an exception after which the stream goes on, such as an observing callback's.

    The running loop's exception handler gets it; without a loop, the logger `rxagents`.

    Args:
        error: What was raised.
        message: Says what happened.

    Raises:
        BaseException: `error`, if it is to end the program.
    """
    error = nonfatal(error)
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        logging.getLogger("rxagents").warning(message, exc_info=error)
    else:
        loop.call_exception_handler({"message": message, "exception": error})


def nonfatal(error: BaseException) -> Exception:
    """Return what a callback raised as an `Exception` that can be delivered.

    Raises:
        BaseException: `error`, if it is to end the program.
    """
    if isinstance(error, (KeyboardInterrupt, SystemExit)):
        raise error
    return as_exception(error)


def as_exception(error: BaseException) -> Exception:
    """Return `error` as an `Exception` that `on_error` may carry.

    `SystemExit`, `KeyboardInterrupt`, `CancelledError`, `StopIteration` and `StopAsyncIteration`
    would end more than the stream, or make it look complete. They become the cause of an
    `RxAgentsError`.
    """
    if isinstance(error, Exception) and not isinstance(error, (StopIteration, StopAsyncIteration)):
        return error
    stopped = RxAgentsError(
        f"The code of the stream or of its subscriber raised {type(error).__name__}, which a "
        "stream cannot deliver. Raise another kind of exception instead."
    )
    stopped.__cause__ = error
    return stopped
