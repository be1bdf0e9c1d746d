"""The chat page, and what it asks about the agent."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Final

from aiohttp import web

from rxagents.serve.failures import json_response
from rxagents.serve.runs import Runs


class PageRoutes:
    """The handlers of `/` and `/agent`.

    Args:
        runs: The server's runs.
        name: The name of the agent, which the page shows.
    """

    def __init__(self, runs: Runs, name: str) -> None:
        self._runs = runs
        self._name = name
        self._page = files("rxagents.serve").joinpath("page.html").read_bytes()
        self._headers = page_headers(self._page.decode())

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [web.get("/", self.page), web.get("/agent", self.agent)]

    async def page(self, _: web.Request) -> web.Response:
        """Return the page. It holds no data, so it is sent without a token."""
        return web.Response(body=self._page, headers=self._headers)

    async def agent(self, _: web.Request) -> web.Response:
        """Return the agent's name, and whether it keeps conversations itself."""
        has_conversations = self._runs.has_conversations()
        return json_response({"name": self._name, "has_conversations": has_conversations})


def page_headers(page: str) -> Mapping[str, str]:
    """Return the headers of a page that runs its own script and loads nothing from elsewhere."""
    policy = {
        "default-src": "'none'",
        "script-src": _hash(page, "script"),
        "style-src": _hash(page, "style"),
        "img-src": "data:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    return {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
    }


_CONTENT: Final = r"<{0}>(.*?)</{0}>"


def _hash(page: str, element: str) -> str:
    found = re.search(_CONTENT.format(element), page, re.DOTALL)
    assert found is not None, f"the page has a {element} element"
    digest = hashlib.sha256(found[1].encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
