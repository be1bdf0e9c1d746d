"""Keep the costs of requests that run, and of those that have ended."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from rxagents.core.errors import RunLimitError
from rxagents.core.usage import Usage
from rxagents.runtime.spending.cost import NOTHING, Cost
from rxagents.runtime.spending.prices import PricedModel, Prices, price_of


class Ledger:
    """Sums the costs of requests.

    Args:
        prices: The caller's own prices.
        on_change: Called with the sum each time a request has ended.

    Attributes:
        cost: The requests that have ended.
        priced: The sum of all prices that are known, with those of estimates.
        prices: The caller's own prices.
    """

    def __init__(self, prices: Prices, on_change: Callable[[Cost], object] | None = None) -> None:
        self.cost = Cost()
        self.priced = NOTHING
        self.prices = prices
        self._on_change = on_change

    @property
    def limit_reached(self) -> RunLimitError | None:
        """The error of requests that may not go on; `None` if they may."""
        return None

    def begin(self, model: PricedModel, input_tokens: int) -> Entry:
        """Enter a request that is about to be sent.

        Raises:
            RunLimitError: A limit has been reached.
            ConfigurationError: There is a limit in US dollars, and the price is not known.
        """
        return Entry(self)

    def add(self, usage: Usage, model: PricedModel) -> None:
        """Add a request that has ended."""
        usd = price_of(usage, model, self.prices)
        self.cost = self.cost.plus(usage, usd, model.names[-1])
        self.priced += usd or NOTHING
        if self._on_change is not None:
            self._on_change(self.cost)


class Entry:
    """One request that runs. Its numbers are estimates; they count for the limits until it ends.

    Attributes:
        is_limited: Whether `progress` has to be called for each packet.
    """

    __slots__ = ("_ledger", "is_limited")

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.is_limited = False

    def progress(self, output_tokens: int) -> None:
        """Note the output so far.

        Raises:
            RunLimitError: A limit has been reached.
        """

    def end(self, usage: Usage | None, model: PricedModel) -> None:
        """End the request; `None` if it has used nothing."""
        if usage is not None:
            self._ledger.add(usage, model)


class Rates:
    """The prices of a token in and out, by which a running request is estimated."""

    __slots__ = ("input", "output")

    def __init__(self, input: Decimal, output: Decimal) -> None:  # noqa: A002 - as in Price
        self.input = input
        self.output = output

    @classmethod
    def of(cls, model: PricedModel, prices: Prices) -> Rates | None:
        """Return the rates of a model, without tiers for long inputs; `None` if unknown."""
        given = price_of(Usage(_SAMPLE, 0, estimated=True), model, prices)
        written = price_of(Usage(0, _SAMPLE, estimated=True), model, prices)
        if given is None or written is None:
            return None
        return cls(given / _SAMPLE, written / _SAMPLE)


_SAMPLE = 1000
"""The tokens of which a rate is the average."""
