"""Distinguish whole responses from cut ones by their finish reason."""

from __future__ import annotations

WHOLE = frozenset({"stop", "tool_calls"})
"""Unified finish reasons of responses that are whole: only these seal the calls that are open.

The others may end inside a call: `length`, `content_filter`, and every word that is not known, such
as `network_error` or `abort`.
"""


# "" is that of a model that gives no reason. The last line has the words of other APIs that
# compatible hosts pass on: text-generation-inference, Together, Cohere, Anthropic.
_WHOLE_TEXT = frozenset(
    {"", "stop", "tool_calls"}
    | {"eos", "eos_token", "stop_sequence", "complete", "end_turn", "tool_use"}
)


def is_whole_text(finish_reason: str) -> bool:
    """Return whether the model ended the text of its response itself."""
    return finish_reason.lower() in _WHOLE_TEXT
