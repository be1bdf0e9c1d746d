"""Log requests, responses and retries at DEBUG, on the logger `rxagents.http`.

A record has no header and no body, so it has no key and no prompt. Texts of a server are redacted.
"""

from __future__ import annotations

import logging
import time

from rxagents.core.errors import ProviderError
from rxagents.core.printing import printed
from rxagents.providers.failures import request_id
from rxagents.providers.prepared_request import PreparedRequest
from rxagents.runtime.logs import logger
from rxagents.transport import StreamedResponse

_LONGEST_ERROR = 300


class HttpLog:
    """Logs the attempts of one request.

    Args:
        request: The request.

    Attributes:
        request: The same; where a function returns the key, that of the attempt, which hides it.
    """

    __slots__ = ("_attempt", "_log", "_start", "request")

    def __init__(self, request: PreparedRequest) -> None:
        self.request = request
        self._log = logger("http")
        self._attempt = 0
        self._start = 0.0

    def on_request(self, body: bytes | None) -> None:
        """Log that an attempt begins to send `body`; `None` is a GET."""
        self._attempt += 1
        if self._is_silent():
            return
        self._start = time.monotonic()
        request = self.request
        url = request.redact(str(request.url.with_query(None).with_user(None)))
        method, size = ("GET", 0) if body is None else ("POST", len(body))
        self._debug(f"{method} {url}, {size} bytes, attempt {self._attempt}")

    def on_response(self, response: StreamedResponse) -> None:
        """Log the status of a response and the provider's id of the request."""
        if self._is_silent():
            return
        known_id = request_id(response.headers)
        shown = f", request id {self.request.redact(known_id)}" if known_id else ""
        self._debug(f"status {response.status} after {self._seconds()} s{shown}")

    def on_failure(self, error: ProviderError, wait: float | None) -> None:
        """Log a failed attempt, and when the next one follows.

        Args:
            error: The error; what it quotes is redacted.
            wait: Seconds to the next attempt; `None` if there is none.
        """
        if self._is_silent():
            return
        text = " ".join(printed(error).split())[:_LONGEST_ERROR]
        following = "no retry" if wait is None else f"attempt {self._attempt + 1} in {wait:.2f} s"
        self._debug(
            f"attempt {self._attempt} failed after {self._seconds()} s with "
            f"{type(error).__name__}: {text} ({following})"
        )

    def on_complete(self) -> None:
        """Log that the answer is complete."""
        if not self._is_silent():
            self._debug(f"complete after {self._seconds()} s")

    def _is_silent(self) -> bool:
        return not self._log.isEnabledFor(logging.DEBUG)

    def _seconds(self) -> str:
        return f"{time.monotonic() - self._start:.3f}"

    def _debug(self, text: str) -> None:
        self._log.debug("%s: %s", self.request.provider, text)
