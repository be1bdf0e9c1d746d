"""The signature of tool calls that Gemini did not make, which its models since 3 require."""

from __future__ import annotations

import re

FOREIGN_SIGNATURE = "skip_thought_signature_validator"
"""The value that Google documents for calls in a conversation of another model."""

_SIGNS_CALLS = re.compile(r"gemini-([3-9]|\d\d)")


def needs_signature(model: str) -> bool:
    """Return whether the model refuses a turn whose first call has no signature."""
    return _SIGNS_CALLS.search(model) is not None
