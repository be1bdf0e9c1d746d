"""One request to a provider, ready to be sent any number of times."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct
from yarl import URL

from rxagents.core.limits import Limits
from rxagents.providers.timeouts import Timeouts
from rxagents.transport import Transport
from rxagents.wire.parser import StreamInfo, WireParser


class PreparedRequest(Struct, frozen=True):
    """A request, and how to send it and to read its answer.

    Attributes:
        provider: The provider's name.
        url: Where to.
        headers: All of them.
        body: The rendered request; `None` for a GET.
        parser: Makes the parser of an answer.
        transport: What to send it with.
        timeouts: How long it may take.
        limits: How much the answer may hold.
        max_retries: How often to try again while nothing has been delivered.
        redact: Takes the secrets out of a text that the provider wrote.
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

    def __repr__(self) -> str:
        """Show neither key nor conversation."""
        url = str(self.url.with_query(None))
        return f"PreparedRequest(provider={self.provider!r}, url={url!r})"
