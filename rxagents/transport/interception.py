"""Define how a test stands between a provider and the network."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol, runtime_checkable

from msgspec import Struct
from yarl import URL

from rxagents.core.errors import ProviderError


class HttpRequest(Struct, frozen=True):
    """A request before it is sent.

    Attributes:
        provider: The provider's name, for errors.
        method: `"POST"` or `"GET"`.
        url: The full URL.
        headers: All headers, also those with a key.
        body: The body of a POST.
    """

    provider: str
    method: str
    url: URL
    headers: Mapping[str, str]
    body: bytes | None

    def __repr__(self) -> str:
        """Show no key and no conversation."""
        return f"HttpRequest({self.method} {self.url.with_query(None)})"


class StreamedResponse(Protocol):
    """The response to one request, as providers read it; `HttpResponse` describes each part."""

    @property
    def status(self) -> int:
        """The HTTP status."""

    @property
    def reason(self) -> str:
        """The reason phrase beside the status."""

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers."""

    @property
    def failure(self) -> ProviderError | None:
        """Why the body ended; `None` if it is complete, or has not ended yet."""

    async def read(self) -> bytes:
        """Return the next bytes as soon as there are any; `b""` at the end."""

    def read_nowait(self) -> bytes | None:
        """Return the next bytes; `None` if none are there yet."""

    def listen(self, on_data: Callable[[], object]) -> bool:
        """Call `on_data` when bytes arrive, and at the end; return whether it will be called."""

    async def read_head(self, limit: int) -> bytes:
        """Return at most `limit` bytes of the body of an error."""

    def finish(self) -> None:
        """End the response; its connection may be kept."""

    def close(self) -> None:
        """End the response, and close its connection."""


Send = Callable[[], Awaitable[StreamedResponse]]


@runtime_checkable
class Interceptor(Protocol):
    """Answers the requests of a provider itself, or sends them; a `session` of a model."""

    async def intercept(self, request: HttpRequest, send: Send) -> StreamedResponse:
        """Return the response to a request.

        Args:
            request: The request.
            send: Sends it for real.
        """
