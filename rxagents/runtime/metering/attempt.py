"""Meter one attempt of a request: wait, enter it, count its answer, and settle."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from rxagents.core.chunks import StreamChunk
from rxagents.core.errors import (
    ConfigurationError,
    ConnectTimeoutError,
    OverloadedError,
    RateLimitError,
    ResponseError,
    StatusError,
    TransportError,
)
from rxagents.core.messages import Message
from rxagents.core.token_estimate import TextCount, estimated_input
from rxagents.core.tools import Tool
from rxagents.core.usage import Usage, tokens_of
from rxagents.runtime.limiting.protocol import LimitedRequest, Permit, RequestLimiter
from rxagents.runtime.metering.metering import Metering, current_metering
from rxagents.runtime.spending.budget import Budget
from rxagents.runtime.spending.ledger import Entry
from rxagents.runtime.spending.prices import PricedModel

_EXPECTED_OUTPUT = 1000
"""The output tokens that a request without `max_tokens` reserves."""


class ModelRequest(Struct, frozen=True):
    """A request to a model, as it is metered.

    Attributes:
        provider: The wire's name.
        model: The model's name.
        url: The base URL; `None` for a model in process.
        messages: The conversation.
        tools: The tools that the model may call.
        max_tokens: The most tokens of the answer, if it is limited.
        limiter: The model's own limiter.
        budget: The model's own budget.
    """

    provider: str
    model: str
    url: str | None = None
    messages: tuple[Message, ...] = ()
    tools: tuple[Tool, ...] = ()
    max_tokens: int | None = None
    limiter: RequestLimiter | None = None
    budget: Budget | None = None


class Metered:
    """Admits an attempt before a block and ends it after; gives `None` if nothing meters it.

    A class, since every open stream has one: a generator takes 600 bytes.

    Args:
        request: The request.
    """

    __slots__ = ("_attempt",)

    def __init__(self, request: ModelRequest | None) -> None:
        self._attempt = new_attempt(request)

    async def __aenter__(self) -> Attempt | None:
        if self._attempt is not None:
            await self._attempt.admit()
        return self._attempt

    async def __aexit__(self, _: object, error: BaseException | None, __: object) -> None:
        if self._attempt is not None:
            self._attempt.end(error)


def new_attempt(request: ModelRequest | None) -> Attempt | None:
    """Return an attempt to be metered; `None` if no limiter, budget or ledger is there."""
    if request is None:
        return None
    metering = current_metering()
    if request.limiter is not None or request.budget is not None:
        metering = metering.with_own(request.limiter, request.budget)
    for probe in metering.probes:
        probe.is_metered = True
    if not metering.limiters and not metering.ledgers:
        return None
    return Attempt(request, metering)


class Attempt:
    """One attempt, under all limiters and ledgers.

    Call `admit` before it is sent, `responded` with its response, `add` and `check` with its
    chunks, and `end` in any case.

    Attributes:
        is_complete: Whether the answer is complete, so that the provider's counts are final.
    """

    __slots__ = (
        "_entries",
        "_has_responded",
        "_input",
        "_is_refused",
        "_metering",
        "_model",
        "_permits", "_pieces",
        "_request",
        "_text",
        "_usage",
        "is_complete",
    )  # fmt: skip

    def __init__(self, request: ModelRequest, metering: Metering) -> None:
        self.is_complete = False
        self._request = request
        self._metering = metering
        self._input = estimated_input(request.messages, request.tools)
        self._permits: list[Permit] = []
        self._entries: list[Entry] = []
        self._model = ""
        self._text = TextCount()
        self._pieces = 0
        self._usage: Usage | None = None
        self._has_responded = False
        self._is_refused = False

    @property
    def waits(self) -> bool:
        """Whether there is a limiter to wait for."""
        return bool(self._metering.limiters)

    async def admit(self) -> None:
        """Wait until the request may be sent, and enter it.

        Raises:
            RunLimitError: A budget is used up.
            ConfigurationError: The price of the model is not known, and a budget limits it.
        """
        await self.wait()
        try:
            self.enter()
        except BaseException:
            self.give_back()
            raise

    async def wait(self) -> None:
        """Wait for the limiters.

        Raises:
            RunLimitError: A budget is used up.
        """
        request, metering = self._request, self._metering
        for ledger in metering.ledgers:
            if (error := ledger.limit_reached) is not None:
                raise error
        if not metering.limiters:
            return
        output = request.max_tokens or _EXPECTED_OUTPUT
        limited = LimitedRequest(
            request.provider, request.model, self._input, output, metering.context
        )
        try:
            # In one order everywhere: two requests never wait for each other's limiter, also not
            # for those that several processes share by their names.
            for limiter in sorted(metering.limiters, key=_order):
                self._permits.append(await limiter.acquire(limited))
        except BaseException:
            self.give_back()
            raise

    def enter(self) -> None:
        """Enter the request in the ledgers: it is about to be sent.

        Raises:
            RunLimitError: A budget is used up.
            ConfigurationError: The price of the model is not known, and a budget limits it.
        """
        request = self._request
        model = PricedModel(request.provider, (request.model,), request.url)
        try:
            for ledger in self._metering.ledgers:
                self._entries.append(ledger.begin(model, self._input))
        except BaseException:
            for entry in self._entries:
                entry.end(None, model)
            self._entries.clear()
            raise

    @property
    def is_limited(self) -> bool:
        """Whether `check` may raise while the answer arrives."""
        return any(entry.is_limited for entry in self._entries)

    def responded(self, headers: Mapping[str, str], *, is_refused: bool) -> None:
        """Note the response: the provider has read the request."""
        self._has_responded = True
        self._is_refused = is_refused
        for permit in self._permits:
            permit.learn(headers)

    def add(self, chunks: Iterable[StreamChunk]) -> None:
        """Count what has arrived."""
        add = self._text.add
        for chunk in chunks:
            if chunk.delta:
                add(chunk.delta)
                self._pieces += 1
            elif chunk.reasoning:
                add(chunk.reasoning)
                self._pieces += 1
            elif chunk.tool_calls:
                add("".join([call.name + call.arguments for call in chunk.tool_calls]))
                self._pieces += 1
            if chunk.usage is not None:
                self._usage = chunk.usage
            if not self._model:
                self._model = str(chunk.metadata.get("model", ""))

    def check(self) -> None:
        """Note the output so far in the ledgers.

        Raises:
            RunLimitError: A budget is used up.
        """
        for entry in self._entries:
            if entry.is_limited:
                entry.progress(self._written)

    def end(self, error: BaseException | None) -> None:
        """Settle what was reserved, and enter what was used."""
        if isinstance(error, (RateLimitError, OverloadedError)):
            is_limit = isinstance(error, RateLimitError)
            for permit in self._permits:
                if is_limit or error.retry_after is not None:
                    permit.refused(error.retry_after)
        usage = self._used(error)
        for permit in self._permits:
            permit.settle(0 if usage is None else tokens_of(usage))
        request = self._request
        names = (self._model, request.model) if self._model else (request.model,)
        model = PricedModel(request.provider, names, request.url)
        for entry in self._entries:
            entry.end(usage, model)

    @property
    def _written(self) -> int:
        """The estimate of the output so far: no chunk has less than one token."""
        return max(self._text.tokens, self._pieces)

    def _used(self, error: BaseException | None) -> Usage | None:
        """Return the provider's counts, an estimate, or `None` for a request that is not billed."""
        known = self._usage
        if self.is_complete and known is not None:
            return known
        if not self._has_responded and isinstance(error, _NOT_SENT):
            return None
        is_refused = self._is_refused or isinstance(error, _REFUSALS)
        if is_refused and known is None and not self._pieces:
            return None
        known = known or Usage()
        given = self._input if known.input_tokens is None else known.input_tokens
        written = max(known.output_tokens or 0, self._written)
        return Usage(
            given,
            written,
            given + written,
            cached_tokens=known.cached_tokens,
            raw=known.raw,
            estimated=True,
        )

    def give_back(self) -> None:
        """Give back what was reserved: the request was not sent."""
        for permit in self._permits:
            permit.give_back()
        self._permits.clear()


def _order(limiter: RequestLimiter) -> tuple[str, int]:
    return str(getattr(limiter, "name", "")), id(limiter)


_NOT_SENT = (TransportError, ConnectTimeoutError, ConfigurationError)
"""Errors before a response after which the provider bills nothing."""

_REFUSALS = (StatusError, ResponseError)
"""Errors of the provider, for which it bills nothing if no part of an answer came before."""
