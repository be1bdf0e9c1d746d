"""What the operators on chunks share."""

from __future__ import annotations

from rxagents.core.errors import ConfigurationError


def not_a_chunk(name: str, item: object) -> ConfigurationError:
    """Return the error of an operator that was given something else than chunks."""
    return ConfigurationError(
        f"{name} takes the StreamChunks of a model's stream, not {type(item).__name__}: put it "
        "before operators that make something else of them."
    )
