"""Secrets stay out of messages, reprs, and the local variables that a traceback shows."""

from __future__ import annotations

import json
import pickle
import traceback
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, quote_plus

import aiohttp
import pytest
import wires
from hypothesis import given
from hypothesis import strategies as st
from wires import WIRES, SpokenWire

import rxagents
from rxagents import OpenAI, Timeouts
from rxagents.providers.redaction import redacted
from rxagents.testing import Ending, NoReply, RawReply, Reply, ScriptedServer, StatusReply

KEY = "sk-a+B/c=&d~0123456789"

SPELLINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "percent": lambda text: quote(text, safe=""),
    "path": quote,
    "form": quote_plus,
    "lower hex": lambda text: quote(text, safe="").replace("%2B", "%2b").replace("%2F", "%2f"),
    "twice": lambda text: quote(quote(text, safe=""), safe=""),
    "JSON": lambda text: json.dumps(text)[1:-1],
    "JSON slash": lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
    "JSON escapes": lambda text: "".join(f"\\u{ord(character):04x}" for character in text),
    "repr of JSON": lambda text: repr(json.dumps(text).replace("/", "\\/").encode())[3:-2],
    "HTML": lambda text: text.replace("&", "&amp;").replace("+", "&#43;").replace("/", "&#x2F;"),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_secret_is_hidden_in_every_spelling(spelling: str) -> None:
    spelled = SPELLINGS[spelling](KEY)
    assert redacted(f"GET /v1?key={spelled}: no", None, [KEY]) == "GET /v1?key=***: no"
    assert redacted(f"{spelled}{spelled}", KEY, []) == "******"


def test_secret_that_is_cut_off_is_hidden() -> None:
    assert redacted(f"GET /v1?key={quote(KEY, safe='')[:20]}", KEY, []) == "GET /v1?key=***"


@pytest.mark.parametrize(("key", "shown"), [("short", "Bearer ***"), ("none", "Bearer none")])
def test_short_key_is_hidden(key: str, shown: str) -> None:
    assert redacted(f"Bearer {key}", key, []) == shown


@given(
    st.text(), st.text(st.characters(codec="utf-8", exclude_characters="*"), min_size=1), st.text()
)
def test_redaction_changes_nothing_else(before: str, secret: str, after: str) -> None:
    text = redacted(before + secret + after, None, [secret])
    if len(secret) < 8:
        assert text == before + secret + after
    else:
        assert "***" in text
        assert secret not in text


@pytest.mark.parametrize("safe", ["", "/"])
async def test_echoed_query_is_hidden(safe: str) -> None:
    def refuse(request: Any) -> StatusReply:
        return StatusReply(404, f"<pre>Cannot POST {request.path}</pre>")

    async with ScriptedServer(refuse) as server:
        llm = OpenAI("m", base_url=f"{server.url}?key={quote(KEY, safe=safe)}", max_retries=0)
        async with llm:
            with pytest.raises(rxagents.NotFoundError) as raised:
                await llm.chat("hi")
    assert "completions?key=***" in str(raised.value)


REPLIES: dict[str, Any] = {
    "status": StatusReply(401, f"bad key {wires.KEY}"),
    "no answer": NoReply(Ending.FIN),
    "stall": NoReply(Ending.STALL),
    "stall inside": Reply("one two three", cut_after=2, ending=Ending.STALL),
    "cut": Reply("one two three", cut_after=2, ending=Ending.FIN),
    "no stream": RawReply([f"<html>{wires.KEY}</html>".encode()]),
    "bad event": RawReply([f"data: {{oops {wires.KEY}\n\n".encode()]),
}


def shown_with_locals(error: BaseException) -> str:
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    return "".join(shown.format())


async def ask(llm: Any) -> BaseException:
    """Return the error of a request; the key is in no local variable here."""
    try:
        await llm.chat("hi")
    except rxagents.RxAgentsError as error:
        return error
    raise AssertionError("no error")


@pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.name)
@pytest.mark.parametrize("name", REPLIES)
async def test_captured_locals_hold_no_key(wire: SpokenWire, name: str) -> None:
    async with ScriptedServer(REPLIES[name]) as server:
        timeout = Timeouts(first=0.05, idle=0.05)
        url = wire.url_of(server)
        async with wire.model(url, timeout=timeout, max_retries=0) as llm:
            error = await ask(llm)
    shown = shown_with_locals(error) + repr(error)
    assert wires.KEY not in shown


async def test_total_timeout_holds_no_key() -> None:
    async with ScriptedServer(NoReply(Ending.STALL)) as server:
        timeout = Timeouts(total=0.05)
        async with OpenAI("m", api_key=KEY, base_url=server.url, timeout=timeout) as llm:
            error = await ask(llm)
    assert type(error) is rxagents.TotalTimeoutError
    assert error.__context__ is not None
    shown = shown_with_locals(error) + shown_with_locals(error.__context__)
    assert KEY not in shown


async def test_unusable_session_error_holds_no_key() -> None:
    session = aiohttp.ClientSession()
    await session.close()
    llm = OpenAI("m", api_key=KEY, base_url="http://127.0.0.1:1/v1", session=session)
    error = await ask(llm)
    assert type(error) is rxagents.ConfigurationError
    shown = shown_with_locals(error)
    assert KEY not in shown


def test_half_made_provider_has_a_repr() -> None:
    llm = OpenAI.__new__(OpenAI)
    assert repr(llm) == "OpenAI()"
    with pytest.raises(rxagents.ConfigurationError) as raised:
        OpenAI("m", base_url="http://127.0.0.1:1/v1", max_retries=-1)
    shown = shown_with_locals(raised.value)
    assert "repr() failed" not in shown
    whole = OpenAI("m", api_key=KEY, base_url=f"http://127.0.0.1:1/v1?key={quote(KEY)}")
    assert repr(pickle.loads(pickle.dumps(whole))) == repr(whole)
    assert KEY not in repr(whole)
