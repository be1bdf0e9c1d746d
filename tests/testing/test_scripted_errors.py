"""Errors of a script arrive as they were scripted, or are refused."""

from __future__ import annotations

from typing import Any

import pytest
from observing import Seen
from wires import SpokenWire, any_wire, each_wire

import rxagents
from rxagents.testing import Reply, ScriptedLLM, ScriptedServer

KINDS = [
    rxagents.BadRequestError,
    rxagents.AuthenticationError,
    rxagents.NotFoundError,
    rxagents.StreamTimeoutError,
    rxagents.PayloadTooLargeError,
    rxagents.RateLimitError,
    rxagents.ServerError,
    rxagents.OverloadedError,
]
REFUSED = "The script's reply cannot be rendered on this wire: The scripted "


async def failure(wire: SpokenWire, error: rxagents.ProviderError, text: str = "Hm") -> Exception:
    async with ScriptedServer(Reply(text, error=error)) as server:
        async with wire.model(wire.url_of(server), max_retries=0) as llm:
            seen = Seen(llm.chat_stream("hi"))
            await seen.over.wait()
    assert seen.error is not None
    if REFUSED not in str(seen.error):
        assert "".join(chunk.delta for chunk in seen.items) == text
    return seen.error


@any_wire
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", ["", "Hm"])
async def test_error_without_status_keeps_class(
    wire: SpokenWire, kind: type[rxagents.ProviderError], text: str
) -> None:
    error = await failure(wire, kind("Not now."), text)
    assert type(error) is kind
    assert "Not now." in str(error)


@each_wire
async def test_error_that_wire_cannot_send_is_refused(wire: SpokenWire) -> None:
    scripted = rxagents.RateLimitError("Not now.", status=429, retry_after=3)
    error = await failure(wire, scripted)
    assert type(error) is rxagents.BadRequestError
    assert f"{REFUSED}RateLimitError(" in str(error)
    assert "retry_after=3" in str(error)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (rxagents.ProviderError("x"), "arrives as ProviderError"),
        (rxagents.TruncatedStreamError("x"), "the reply's ending"),
        (rxagents.FirstEventTimeoutError("x"), "ending and delay"),
        (rxagents.RateLimitError("x", status=500), "arrives as ServerError, not as RateLimitError"),
        (rxagents.ServerError("x", status=200), "change the status"),
    ],
)
def test_error_that_cannot_arrive_is_refused(error: Any, words: str) -> None:
    with pytest.raises(rxagents.ConfigurationError, match=words):
        Reply("Hm", error=error)


def test_scripted_llm_refuses_lost_attribute() -> None:
    reply = Reply("Hm", error=rxagents.ServerError("x", retryable=False))
    with pytest.raises(rxagents.ConfigurationError, match="retryable=False"):
        ScriptedLLM(reply)
