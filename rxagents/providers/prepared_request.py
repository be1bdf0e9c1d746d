"""A request to a provider that can be sent any number of times."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from msgspec import Struct
from yarl import URL

from rxagents.core.limits import Limits
from rxagents.core.timeouts import Timeouts
from rxagents.runtime.metering.attempt import ModelRequest
from rxagents.transport import Transport
from rxagents.wire.parser import StreamInfo, WireParser
from rxagents.wire.think_tags import ThinkTags


class RequestContent:
    """Holds the parts of a request that only a further attempt needs, until the answer has begun.

    A body may have megabytes, and an answer may take minutes.

    Args:
        request: The request.

    Attributes:
        body: Its body.
        metered: The request to the model, with its messages, for limiters and budgets.
    """

    __slots__ = ("body", "metered")

    def __init__(self, request: PreparedRequest) -> None:
        self.body = request.body
        self.metered = request.metered

    def drop(self) -> None:
        """Forget the content."""
        self.body = self.metered = None


class PreparedRequest(Struct, frozen=True):
    """A request, how to send it, and how to read its response.

    Attributes:
        provider: The provider's name.
        url: The full URL.
        headers: All headers; without those of the key, if a function returns it.
        body: The rendered JSON for a POST; `None` for a GET.
        parser: Makes a parser for one answer.
        transport: Sends the request.
        timeouts: Limits of each phase.
        limits: Limits of the answer's size.
        max_retries: The most retries while nothing has been delivered.
        redact: Replaces the secrets in a text that the provider wrote.
        think_tags: The tags around thinking at the beginning of the text; `None` for none.
        raw: Whether chunks keep the bytes of their events.
        metered: The request to the model, for limiters and budgets; `None` for other requests.
        key_function: Returns the key of each attempt; `None` if the headers have it already.
        authorize: Returns the headers that carry a key.
    """

    provider: str
    url: URL
    headers: dict[str, str]
    body: bytes | None
    parser: Callable[[StreamInfo], WireParser]
    transport: Transport
    timeouts: Timeouts
    limits: Limits
    max_retries: int
    redact: Callable[[str], str]
    think_tags: ThinkTags | None
    raw: bool
    metered: ModelRequest | None = None
    key_function: Callable[[], str | Awaitable[str]] | None = None
    authorize: Callable[[str | None], dict[str, str]] | None = None

    def __repr__(self) -> str:
        """Show neither the key nor the conversation."""
        url = str(self.url.with_query(None))
        return f"PreparedRequest(provider={self.provider!r}, url={url!r})"
