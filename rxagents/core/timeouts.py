"""Define the time limits of a request, which are validated when they are created."""

from __future__ import annotations

import math

from msgspec import Struct

from rxagents.core.errors import ConfigurationError


class Timeouts(Struct, frozen=True, kw_only=True):
    """Limit the seconds of each phase of a stream; `None` is no limit.

    The defaults allow long answers: reasoning models are silent for minutes, and a healthy stream
    may run for an hour.

    Attributes:
        connect: Name lookup, connection and TLS.
        first: From the request to the first event.
        idle: From one event to the next. Comments are no events. The time in which a slow
            consumer holds the stream does not count.
        total: The whole stream, with its retries and a slow consumer's time.

    Raises:
        ConfigurationError: A value is not a positive number.
    """

    connect: float | None = 5.0
    first: float | None = 300.0
    idle: float | None = 120.0
    total: float | None = None

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if value is not None and not _is_seconds(value):
                raise ConfigurationError(
                    f"The {name} timeout must be a positive number of seconds or None, "
                    f"not {value!r}."
                )

    @classmethod
    def of(cls, timeout: Timeouts | float | None) -> Timeouts:
        """Make `Timeouts` of a user's argument.

        Args:
            timeout: `Timeouts`, or seconds for `first` and `idle`, or `None` for the defaults.

        Raises:
            ConfigurationError: `timeout` is not a positive number.
        """
        if isinstance(timeout, Timeouts):
            return timeout
        if timeout is None:
            return cls()
        if not _is_seconds(timeout):
            raise ConfigurationError(
                "timeout must be a positive number of seconds or rxagents.Timeouts, not "
                f"{timeout!r}."
            )
        return cls(first=timeout, idle=timeout)


def _is_seconds(value: object) -> bool:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    return 0 < value < math.inf
