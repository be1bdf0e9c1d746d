"""Distinguish whole responses from cut ones by their finish reason."""

from __future__ import annotations

WHOLE = frozenset({"stop", "tool_calls"})
"""Unified finish reasons of responses that are whole: only these seal the calls that are open.

The others may end inside a call: `length`, `content_filter`, and every word that is not known, such
as `network_error` or `abort`.
"""


def is_cut(finish_reason: str) -> bool:
    """Return whether a response in text may be cut. A model may give no reason."""
    return finish_reason != "" and finish_reason not in WHOLE
