"""Limit the requests per minute of a `ScriptedServer`, as a provider does."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from typing import Any

from msgspec.structs import replace

from rxagents.core.checks import checked_count
from rxagents.testing.script import RawReply, StatusReply

_SECONDS = 60.0


class RateLimit:
    """Admits at most some requests in any 60 seconds of the loop's time.

    This is the strictest way in which providers count: no burst is forgiven.

    Args:
        requests_per_minute: The limit.
    """

    def __init__(self, requests_per_minute: int) -> None:
        self._limit = checked_count("requests_per_minute", requests_per_minute)
        self._admitted: deque[float] = deque()

    def refusal(self) -> StatusReply | None:
        """Count a request; return the response with status 429 if it is one too many."""
        now = asyncio.get_running_loop().time()
        admitted = self._admitted
        while admitted and admitted[0] <= now - _SECONDS:
            admitted.popleft()
        if len(admitted) < self._limit:
            admitted.append(now)
            return None
        wait = admitted[0] + _SECONDS - now
        body: dict[str, Any] = {
            "error": {
                "message": f"Rate limit reached: {self._limit} requests per minute.",
                "type": "requests",
                "code": "rate_limit_exceeded",
            }
        }
        return StatusReply(429, body, {"retry-after": str(math.ceil(wait))})

    def with_headers(self, reply: RawReply) -> RawReply:
        """Return a reply with OpenAI's headers of the limit and of what is left of it."""
        now = asyncio.get_running_loop().time()
        reset = self._admitted[0] + _SECONDS - now if self._admitted else 0.0
        headers = {
            "x-ratelimit-limit-requests": str(self._limit),
            "x-ratelimit-remaining-requests": str(self._limit - len(self._admitted)),
            "x-ratelimit-reset-requests": f"{reset:.3f}s",
        }
        return replace(reply, headers={**headers, **reply.headers})
