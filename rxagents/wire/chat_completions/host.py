"""The properties of a chat-completions host that change the request."""

from __future__ import annotations

from msgspec import Struct

from rxagents.wire.sent_calls import ANY_ID, IdRule


class ChatHost(Struct, frozen=True):
    """A host of chat completions.

    Attributes:
        max_tokens_field: `"max_completion_tokens"` at OpenAI, whose reasoning models refuse the
            old name; `"max_tokens"` on other hosts, which know only that.
        call_ids: Which ids of tool calls the host accepts.
        extra_fields: The fields of an assistant's message, beside OpenAI's own, that the host
            accepts, such as `"reasoning_content"`; `None` for all: a host requires what it sent.
        signs_calls: Whether the host's model requires Gemini's signature with tool calls.
        needs_answer_to_tools: Whether the host refuses a user's message right after a tool's
            result ("Unexpected role 'user' after role 'tool'").
    """

    max_tokens_field: str = "max_tokens"
    call_ids: IdRule = ANY_ID
    extra_fields: frozenset[str] | None = None
    signs_calls: bool = False
    needs_answer_to_tools: bool = False

    def accepts(self, field: str) -> bool:
        """Return whether the host accepts an extra field of an assistant's message."""
        return self.extra_fields is None or field in self.extra_fields


ANY_HOST = ChatHost()
"""A host of which nothing is known."""
