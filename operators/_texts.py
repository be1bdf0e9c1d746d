"""What the operators on text share."""

from __future__ import annotations

from rxagents.core.errors import ConfigurationError


def not_a_text(name: str, item: object) -> ConfigurationError:
    """Return the error of an operator that was given something else than text."""
    return ConfigurationError(
        f"{name} takes pieces of text (str), not {type(item).__name__}: put text() before it."
    )
