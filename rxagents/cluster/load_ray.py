"""Import Ray, which takes a second, when it is first needed."""

from __future__ import annotations

import importlib
from typing import Any

from rxagents.core.errors import ConfigurationError


def load_ray() -> Any:
    """Return the module `ray`.

    Raises:
        ConfigurationError: It is not installed.
    """
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        if (error.name or "").partition(".")[0] != "ray":
            raise
        raise ConfigurationError(
            "rxagents.cluster needs the extra 'ray': pip install 'rxagents[ray]'"
        ) from None
