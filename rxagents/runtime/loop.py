"""The running event loop, or an error that says what to do."""

from __future__ import annotations

import asyncio

from rxagents.core.errors import ConfigurationError


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
