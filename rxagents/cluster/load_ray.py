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
        module = importlib.import_module("ray")
    except ImportError as error:
        if (error.name or "").partition(".")[0] != "ray":
            raise
        module = None
    if getattr(module, "__file__", None) is None:  # or a folder `ray` beside the program
        raise ConfigurationError(
            "rxagents.cluster needs the extra 'ray': pip install 'rxagents[ray]'"
        )
    return module
