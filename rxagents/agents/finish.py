"""Classify finish reasons: whole answers, cut answers, pauses, and failures.

A wire passes on a finish word that it does not know. Such a word may stand for a success or for a
failure of the provider (`error`, `network_error`, Gemini's MALFORMED_FUNCTION_CALL, Ollama's
`load`), so only the words in `_ANSWERS` make an answer.
"""

from __future__ import annotations

from typing import Final

from rxagents.core.errors import OutputError
from rxagents.core.response import Response

PAUSE: Final = "pause_turn"
"""Anthropic's stop reason of a turn that goes on when its message is sent back."""

# Beside the unified reasons, these are the words of other APIs that compatible hosts pass on:
# text-generation-inference, Together, Cohere, Anthropic. "" is that of a model that gives none.
_WHOLE = frozenset(
    {"", "stop", "tool_calls"}
    | {"eos", "eos_token", "stop_sequence", "complete", "end_turn", "tool_use"}
)
_CUT = frozenset({"length", "max_tokens", "content_filter"})
_ANSWERS = _WHOLE | _CUT


def is_whole(response: Response) -> bool:
    """Return whether the model ended its response itself."""
    return response.finish_reason.lower() in _WHOLE


def check_finish(response: Response) -> None:
    """Check that a response may be an answer, whole or cut.

    Raises:
        OutputError: It ended in another way.
    """
    reason = response.finish_reason
    if reason.lower() in _ANSWERS:
        return
    detail = response.metadata.get("finish_message")
    explained = f": {detail}" if detail else ""
    raise OutputError(
        f"The model's response is not an answer: it ended with the finish reason {reason!r} after "
        f"{len(response.content)} characters of text{explained}. Run again, or use another model "
        "or host."
    )
