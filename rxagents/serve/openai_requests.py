"""Read what the requests of OpenAI's two APIs have in common.

A client's settings of the model (`temperature`, `max_tokens`, `stop`, `response_format` …) and its
bookkeeping (`user`, `metadata`, `store` …) are ignored: the agent has settings of its own. Chat
pages send them with each request. Refused is what would change who acts: tools of the client.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from rxagents.serve.failures import RequestError

_FIELDS: Final = frozenset(
    {"role", "content", "name", "tool_calls", "tool_call_id", "reasoning_content", "reasoning"}
)


def check_tools(tools: Sequence[Any] | None, tool_choice: Any) -> None:
    """Check that the client has no tools that the agent would have to call.

    Raises:
        RequestError: There are tools, and `tool_choice` is not `"none"`.
    """
    if tools and tool_choice != "none":
        raise RequestError(
            400,
            f"The request has {len(tools)} tools, but the agent calls only its own: leave out "
            'tools, or send tool_choice="none".',
        )


def role_dict(message: dict[str, Any]) -> dict[str, Any]:
    """Return a message of chat completions with the fields that an agent reads.

    A client sends back the message of a completion as it was, with `refusal`, `audio` and
    `annotations`. The text of a refusal is the content.
    """
    kept = {field: value for field, value in message.items() if field in _FIELDS}
    if message.get("content") is None and isinstance(message.get("refusal"), str):
        kept["content"] = message["refusal"]
    elif isinstance(kept.get("content"), list):
        kept["content"] = [_part(part) for part in kept["content"]]
    return kept


def _part(part: Any) -> Any:
    match part:
        case {"type": "refusal", "refusal": text}:
            return {"type": "text", "text": text}
    return part
