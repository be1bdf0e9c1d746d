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
from typing import Any, NoReturn, Protocol

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
    message: str | None = None,
) -> None:
    """Report what a subscriber, or code between it and the source, raised.

    The code that awaits the stream raises it. Where no code does, the loop's exception handler
    gets it. The error of a stream whose subscription has no `on_error` comes here too, because
    reactivex raises it in the place of `on_error`.

    Args:
        error: What was raised.
        loop: The loop of the subscription; `None` in virtual time.
        bridge: The bridge of the code that awaits the stream, if there is one.
        message: Says what happened, for the loop's exception handler; by default, which of the
            two above it was.

    Raises:
        Exception: `error`, in virtual time, where the code that advances the clock gets it.
        BaseException: `error`, if it is to end the program.
    """
    error = nonfatal(error)
    if bridge is not None and not bridge.closed:
        bridge.fail(error)
    elif loop is not None:
        happened = message or (_NO_ON_ERROR if _lacks_on_error(error) else _CONSUMER_RAISED)
        loop.call_exception_handler({"message": happened, "exception": error})
    else:
        raise error


def raise_unhandled(error: Exception) -> NoReturn:
    """Raise the error of a stream whose subscription has no `on_error`, as reactivex does."""
    raise error


_CONSUMER_RAISED = "A stream's subscriber raised"
_NO_ON_ERROR = "A stream failed, and its subscription has no on_error: pass one to subscribe()"


def _lacks_on_error(error: Exception) -> bool:
    """Return whether `error` was raised in the place of an `on_error` that was not given."""
    traceback = error.__traceback__
    while traceback is not None:
        frame = traceback.tb_frame
        code = frame.f_code
        if code is raise_unhandled.__code__:
            return True
        if code.co_name == "default_error" and _is_reactivex(frame.f_globals):
            return True
        traceback = traceback.tb_next
    return False


def _is_reactivex(module: dict[str, Any]) -> bool:
    return str(module.get("__name__")).startswith("reactivex.")


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
