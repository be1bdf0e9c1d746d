"""Let a model search the web, through a SearXNG server or one with the same JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import aiohttp
import msgspec
from msgspec import Struct

from rxagents.core.checks import checked_count, checked_seconds
from rxagents.core.errors import ConfigurationError, ToolError
from rxagents.core.header_text import checked_headers
from rxagents.core.json_depth import is_deeper
from rxagents.core.json_text import JSON_ERRORS
from rxagents.core.tools import Tool, tool
from rxagents.tools.guarded_http import (
    GuardedRequest,
    HttpLimits,
    parse_url,
    read_up_to,
    send_guarded,
)
from rxagents.tools.host_names import host_of

_MOST_BYTES = 2 * 1024 * 1024
"""Bytes of an answer. A page of SearXNG has some 50 KiB."""

_DEPTH = 32
_LONGEST_QUERY = 1_000
_LONGEST_SNIPPET = 500
_LONGEST_TITLE = 200
_LONGEST_URL = 2_000


class _Result(Struct):
    """One hit. A server may omit a field or send null."""

    title: Any = None
    url: Any = None
    content: Any = None


class _Answer(Struct):
    results: list[_Result] | None = None


def web_search(
    url: str,
    *,
    allow_private: bool = False,
    results: int = 8,
    headers: Mapping[str, str] | None = None,
    timeout: float = 20.0,
) -> Tool:
    """Make a tool that searches the web.

    The server is SearXNG, or another one that answers `GET url?q=…&format=json` with
    `{"results": [{"title", "url", "content"}]}`. The tool connects to it through the same guard as
    `http_request`: only to public addresses, unless `allow_private` is set, and to no other host,
    also after a redirect. The model chooses the text of the query and nothing else.

    What comes back is text that strangers have written: see the page "Security".

    Args:
        url: The URL of the search, such as `"https://searx.example.com/search"`; a query in it is
            kept, for example `language` or `categories`.
        allow_private: Whether the server may have an address that is not public, as one on this
            machine has.
        results: The most results that the model gets.
        headers: Headers to send, such as a key; the model does not see them.
        timeout: Seconds that a search may take.

    Raises:
        ConfigurationError: An argument is of the wrong type or size.
    """
    try:
        base = parse_url(url) if isinstance(url, str) else None
    except ToolError as error:
        raise ConfigurationError(f"url cannot be used: {error}") from None
    if base is None:
        raise ConfigurationError(f"url must be a str, not {type(url).__name__}.")
    sent = {"accept": "application/json", **checked_headers(headers or {})}
    limits = HttpLimits(
        hosts=frozenset({host_of(base)}),
        allow_private=allow_private,
        timeout=checked_seconds("timeout", timeout),
    )
    checked_count("results", results)

    @tool
    async def web_search(query: str) -> str:
        """Search the web, and return titles, URLs and excerpts of the pages found.

        Args:
            query: What to search for.
        """
        text = " ".join(query.encode("utf-8", "replace").decode().split())
        if not text or len(text) > _LONGEST_QUERY:
            raise ToolError(f"The query must have 1 to {_LONGEST_QUERY} characters.")
        target = base.update_query({"q": text, "format": "json"})
        request = GuardedRequest(url=target, method="GET", headers=sent, body=None)
        answer = await send_guarded(request, limits, _read)
        found = [hit for hit in map(_shown, answer.results or ()) if hit][:results]
        if not found:
            return f"No results for {text!r}. Try other words."
        return "\n\n".join(f"{number}. {hit}" for number, hit in enumerate(found, start=1))

    return web_search


async def _read(response: aiohttp.ClientResponse) -> _Answer:
    if response.status != 200:
        raise ToolError(
            f"The search failed with HTTP {response.status}. {_advice(response.status)}"
        )
    body = await read_up_to(response.content, _MOST_BYTES + 1)
    if len(body) > _MOST_BYTES:
        raise ToolError(f"The search's answer is longer than {_MOST_BYTES} bytes. Ask for less.")
    try:
        if is_deeper(body, _DEPTH):
            raise ValueError("it is nested too deeply")
        return msgspec.json.decode(body, type=_Answer)
    except JSON_ERRORS:
        raise ToolError(
            "The search server sent no JSON of search results. Go on without this tool."
        ) from None


def _advice(status: int) -> str:
    if status == 429:
        return "Wait before you search again."
    if status == 403:
        return "The server may not allow JSON (search.formats in SearXNG's settings.yml)."
    return "Try again later." if status >= 500 else "Go on without this tool."


def _shown(result: _Result) -> str:
    """Return a result as text, its parts on one line each; empty without a URL."""
    url = _line(result.url, _LONGEST_URL)
    if not url.startswith(("http://", "https://")):
        return ""
    title = _line(result.title, _LONGEST_TITLE) or "(no title)"
    snippet = _line(result.content, _LONGEST_SNIPPET)
    return "\n".join(part for part in (title, url, snippet) if part)


def _line(value: object, longest: int) -> str:
    text = " ".join(value.split()) if isinstance(value, str) else ""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
