"""Check arguments where they are passed."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import TypeVar

from rxagents.core.errors import ConfigurationError

F = TypeVar("F", bound=Callable[..., object])


def checked_count(name: str, value: object) -> int:
    """Return `value` if it is a whole number of 1 or more.

    Raises:
        ConfigurationError: It is not.
    """
    return _checked_integer(name, value, 1)


def checked_choice(value: object) -> int:
    """Return `value` if it is a valid index of a choice.

    Raises:
        ConfigurationError: It is not a whole number of 0 or more.
    """
    return _checked_integer("choice", value, 0)


def checked_count_or_zero(name: str, value: object) -> int:
    """Return `value` if it is a whole number of 0 or more.

    Raises:
        ConfigurationError: It is not.
    """
    return _checked_integer(name, value, 0)


def checked_seconds(name: str, value: object, *, zero: bool = False) -> float:
    """Return `value` if it is a finite number of seconds above 0.

    Args:
        name: The argument's name, for the error message.
        value: The argument.
        zero: Whether 0 is allowed.

    Raises:
        ConfigurationError: It is not.
    """
    seconds = math.nan
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        seconds = float(value) if value <= sys.float_info.max else math.inf
    if math.isfinite(seconds) and (seconds > 0 or (zero and seconds == 0)):
        return seconds
    least = "0 or more" if zero else "more than 0"
    raise ConfigurationError(f"{name} must be a number of seconds, {least}, not {value!r}.")


def checked_fraction(name: str, value: object) -> float:
    """Return `value` if it is a number between 0 and 1.

    Raises:
        ConfigurationError: It is not.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1:
        return float(value)
    raise ConfigurationError(f"{name} must be a number between 0 and 1, not {value!r}.")


def checked_function(name: str, value: F) -> F:
    """Return `value` if it can be called.

    Raises:
        ConfigurationError: It cannot.
    """
    if not callable(value):
        raise ConfigurationError(f"{name} must be a function, not {type(value).__name__}.")
    return value


def _checked_integer(name: str, value: object, least: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        if hasattr(value, "subscribe"):
            raise ConfigurationError(
                "Pass the result of the operator's function to pipe(), such as text(), not text."
            )
        raise ConfigurationError(f"{name} must be a whole number, {least} or more, not {value!r}.")
    return value
