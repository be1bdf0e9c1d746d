"""Define what a limiter is: the one in this process, or one that a whole cluster shares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from msgspec import Struct


class LimitedRequest(Struct, frozen=True):
    """A request that waits for a limiter, as `fair_by` gets it.

    Attributes:
        provider: The provider's name, such as `"openai"`.
        model: The model's name.
        input_tokens: An estimate of the input.
        output_tokens: The most tokens of the answer: `max_tokens`, or 1,000 without it.
        context: The `context` of the run that makes the request; `None` outside of a run.
    """

    provider: str
    model: str
    input_tokens: int
    output_tokens: int
    context: Any = None

    @property
    def tokens(self) -> int:
        """The tokens to reserve."""
        return self.input_tokens + self.output_tokens


class Permit(Protocol):
    """The permission to send one request. Exactly one of `settle` and `give_back` ends it."""

    def learn(self, headers: Mapping[str, str]) -> None:
        """Read the provider's limits from the headers of the response, names in any case."""
        ...

    def refused(self, retry_after: float | None) -> None:
        """Hold back all requests: the provider refused this one because of its rate.

        Args:
            retry_after: Seconds that the provider asks to wait; `None` if it does not say.
        """
        ...

    def settle(self, tokens: int | None) -> None:
        """End the request.

        Args:
            tokens: The tokens that it has used, in place of those reserved; `None` if unknown.
        """
        ...

    def give_back(self) -> None:
        """End a request that was not sent."""
        ...


@runtime_checkable
class RequestLimiter(Protocol):
    """Lets requests wait. `Limiter` is one; a limiter of a whole cluster would be another."""

    async def acquire(self, request: LimitedRequest) -> Permit:
        """Wait until the request may be sent; to leave the line, cancel the task that waits."""
        ...
