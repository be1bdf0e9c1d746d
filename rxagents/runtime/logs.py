"""Give out the loggers of the library, which are silent by default.

`RXAGENTS_LOG=debug` in the environment sets the level of the logger `rxagents`, and prints its
records to standard error unless the program has set up logging itself. It is read when a logger is
first asked for, not on import.
"""

from __future__ import annotations

import logging
import os
from functools import cache

VARIABLE = "RXAGENTS_LOG"
_LEVELS = ("debug", "info", "warning", "error")


def logger(name: str) -> logging.Logger:
    """Return the logger `rxagents.<name>`."""
    _read_environment()
    return logging.getLogger(f"rxagents.{name}")


@cache
def _read_environment() -> None:
    level = os.environ.get(VARIABLE, "").strip().lower()
    if not level:
        return
    parent = logging.getLogger("rxagents")
    if level not in _LEVELS:
        parent.warning("%s must be one of %s, not %r.", VARIABLE, ", ".join(_LEVELS), level)
        return
    parent.setLevel(level.upper())
    if not parent.hasHandlers():
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(message)s"))
        parent.addHandler(handler)
