"""Arguments, checked where they are given."""

from __future__ import annotations

from rxagents.core.errors import ConfigurationError


def checked_count(name: str, value: object) -> int:
    """Return `value` if it is a whole number of 1 or more.

    Raises:
        ConfigurationError: It is not.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ConfigurationError(f"{name} must be a whole number, 1 or more, not {value!r}.")
    return value
