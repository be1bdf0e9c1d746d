"""Arguments, checked where they are given."""

from __future__ import annotations

from rxagents.core.errors import ConfigurationError


def checked_count(name: str, value: object) -> int:
    """Return `value` if it is a whole number of 1 or more.

    Raises:
        ConfigurationError: It is not.
    """
    return _checked_integer(name, value, 1)


def checked_choice(value: object) -> int:
    """Return `value` if it can be the number of a choice.

    Raises:
        ConfigurationError: It is not a whole number of 0 or more.
    """
    return _checked_integer("choice", value, 0)


def _checked_integer(name: str, value: object, least: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ConfigurationError(f"{name} must be a whole number, {least} or more, not {value!r}.")
    return value
