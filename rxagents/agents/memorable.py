"""Decide whether a conversation remembers the exchange of a run."""

from __future__ import annotations

from rxagents.agents.run import Run
from rxagents.core.exchange import Exchange


def was_seen(exchange: Exchange) -> bool:
    """Return whether the user has seen something of the exchange."""
    return any(message.role != "user" for message in exchange)


def is_memorable(run: Run, exchange: Exchange) -> bool:
    """Return whether the exchange of a run is to be remembered.

    A content filter that stopped this question would stop all later runs of the conversation.
    Without an answer there is nothing to remember, unless tools have run: a model that does not
    know about their calls may repeat them.
    """
    return (bool(run.output) or has_acted(run, exchange)) and run.finish_reason != "content_filter"


def has_acted(run: Run, exchange: Exchange) -> bool:
    """Return whether a tool has run."""
    return bool(run.tool_calls) or any(message.role == "tool" for message in exchange)
