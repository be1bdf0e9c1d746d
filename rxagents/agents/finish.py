"""Classify finish reasons: whole answers, cut answers, pauses, and failures.

A wire passes on a finish word that it does not know. Such a word may stand for a success or for a
failure of the provider (`error`, `network_error`, Gemini's MALFORMED_FUNCTION_CALL, Ollama's
`load`), so only the words of a whole or a cut text make an answer.
"""

from __future__ import annotations

from typing import Final

from rxagents.core.errors import OutputError
from rxagents.core.finish_reasons import is_whole_text
from rxagents.core.response import Response

PAUSE: Final = "pause_turn"
"""Anthropic's stop reason of a turn that goes on when its message is sent back."""

CANCELLED: Final = "cancelled"
"""The finish reason of a run that was stopped, and of a turn that was ended early."""

LIMIT: Final = "limit"
"""The finish reason of a run that has its answer from a last turn, at a limit."""

APPROVAL: Final = "approval"
"""The finish reason of a run whose calls wait for decisions."""

_CUT = frozenset({"length", "max_tokens", "content_filter"})


def is_whole(response: Response) -> bool:
    """Return whether the model ended its response itself."""
    return is_whole_text(response.finish_reason)


def check_finish(response: Response) -> None:
    """Check that a response may be an answer, whole or cut.

    Raises:
        OutputError: It ended in another way.
    """
    reason = response.finish_reason
    if is_whole_text(reason) or reason.lower() in _CUT:
        return
    detail = response.metadata.get("finish_message")
    explained = f": {detail}" if detail else ""
    raise OutputError(
        f"The model's response is not an answer: it ended with the finish reason {reason!r} after "
        f"{len(response.content)} characters of text{explained}. Run again, or use another model "
        "or host."
    )
