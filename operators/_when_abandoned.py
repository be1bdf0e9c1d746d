"""What the operators share that share one source."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

from rxagents.core.errors import ConfigurationError

WhenAbandoned: TypeAlias = Literal["cancel", "continue"]
"""What becomes of the source when the last subscriber leaves."""


def is_cancelled(when_abandoned: object) -> bool:
    """Tell whether the source is cancelled then.

    Raises:
        ConfigurationError: It is neither of the two.
    """
    if when_abandoned not in get_args(WhenAbandoned):
        raise ConfigurationError(
            f'when_abandoned must be "cancel" or "continue", not {when_abandoned!r}.'
        )
    return when_abandoned == "cancel"
