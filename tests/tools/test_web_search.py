"""Test `web_search`: what it sends, what the model gets, and where it may not go."""

from __future__ import annotations

import json
from typing import Any

import pytest
from http_site import KEY, Site, ask, refusal, running_site

from rxagents import ConfigurationError
from rxagents.tools import web_search

HIT = {"title": "Rain  in\nOslo", "url": "https://example.com/rain", "content": "It rains."}


def searching(site: Site, **options: Any) -> Any:
    return web_search(site.url("/search?language=en"), **{"allow_private": True, **options})


def answer(site: Site, body: Any, query: str = "rain", **head: Any) -> None:
    path = f"/search?language=en&q={query}&format=json"
    site.answer(path, body if isinstance(body, (str, bytes)) else json.dumps(body), **head)


async def test_results_are_numbered_lines() -> None:
    async with running_site() as site:
        answer(site, {"results": [HIT, {**HIT, "content": None, "score": 1.5}], "answers": []})
        assert await ask(searching(site), query="rain") == (
            "1. Rain in Oslo\nhttps://example.com/rain\nIt rains.\n\n"
            "2. Rain in Oslo\nhttps://example.com/rain"
        )


async def test_query_is_encoded_and_headers_are_sent() -> None:
    async with running_site() as site:
        answer(site, {"results": []}, query="a%26format%3Dhtml+%23x")
        tool = searching(site, headers={"X-Key": KEY})
        assert "No results for 'a&format=html #x'" in await ask(tool, query=" a&format=html\n#x ")
        assert f"x-key: {KEY}" in site.requests[0].lower()
        assert "KEY" not in str(tool.parameters)


async def test_number_and_length_of_results_are_bounded() -> None:
    long = {"title": "t" * 999, "url": "https://example.com", "content": "c" * 9_999}
    async with running_site() as site:
        answer(site, {"results": [long] * 50})
        text = await ask(searching(site, results=3), query="rain")
        assert ("\n\n3. " in text, "\n\n4. " in text, len(text) < 3 * 800) == (True, False, True)


async def test_results_without_a_web_address_are_left_out() -> None:
    bad = [{**HIT, "url": url} for url in ("javascript:alert(1)", None, 5, "file:///etc/passwd")]
    async with running_site() as site:
        answer(site, {"results": [*bad, {}]})
        assert await ask(searching(site), query="rain") == "No results for 'rain'. Try other words."


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ("<html>", "200 OK", "no JSON of search results"),
        ('{"results": "none"}', "200 OK", "no JSON of search results"),
        ("[" * 5_000, "200 OK", "no JSON of search results"),
        ("", "403 Forbidden", "search.formats"),
        ("", "429 Slow down", "Wait before"),
        ("", "502 Bad", "Try again later"),
        (" " * 2_100_000, "200 OK", "longer than"),
    ],
    ids=["html", "other JSON", "deep", "403", "429", "502", "long"],
)
async def test_failed_search_is_an_error_for_the_model(
    body: str, status: str, message: str
) -> None:
    async with running_site() as site:
        answer(site, body, status=status)
        assert message in await refusal(searching(site), query="rain")


async def test_private_address_must_be_allowed() -> None:
    async with running_site() as site:
        tool = searching(site, allow_private=False)
        assert "not on the public internet" in await refusal(tool, query="rain")
        assert site.connections == 0


async def test_redirect_to_another_host_is_refused() -> None:
    async with running_site() as site:
        site.redirect("/search?language=en&q=rain&format=json", site.url("/", host="localhost"))
        assert "'localhost' is not allowed" in await refusal(searching(site), query="rain")
        assert len(site.requests) == 1


@pytest.mark.parametrize("query", ["", "  ", "x" * 1_001])
async def test_empty_or_long_query_is_refused(query: str) -> None:
    async with running_site() as site:
        assert "1 to 1000 characters" in await refusal(searching(site), query=query)


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("ftp://example.com", {}), ("https://me:secret@example.com", {}), (5, {}),
        ("https://example.com", {"results": 0}), ("https://example.com", {"timeout": 0}),
        ("https://example.com", {"headers": {"x": "a\r\nb"}}),
    ],
)  # fmt: skip
def test_bad_arguments_raise(url: Any, options: Any) -> None:
    with pytest.raises(ConfigurationError):
        web_search(url, **options)
