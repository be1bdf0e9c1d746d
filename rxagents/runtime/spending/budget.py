"""Limit what several runs may use and cost together.

Theory of operation. A budget sums what has ended (`spent`: counted, and estimated) and what is
running (estimates: the input when the request is sent, the output with each packet). A request is
refused when the sum has reached the limit, and one that runs fails at its next packet. When a
request ends, its estimate is replaced by the provider's counts. Several streams may be over the
limit at the same moment; each of them ends at its next packet.

The price of a running request is the price of a token times the tokens, with rates that are looked
up once for each model: `genai-prices` is too slow for each packet.
"""

from __future__ import annotations

from decimal import Decimal

from rxagents.core.checks import checked_count
from rxagents.core.errors import ConfigurationError, RunLimitError
from rxagents.core.usage import Usage, tokens_of
from rxagents.runtime.spending.cost import NOTHING, Cost
from rxagents.runtime.spending.ledger import Entry, Ledger, Rates
from rxagents.runtime.spending.prices import (
    PricedModel,
    Prices,
    checked_prices,
    require_prices,
)


class Budget:
    """Limits the tokens and the price of all runs and models that share it.

    Give it to models or to runs as `budget=`. At the limit no further request is sent, and streams
    that run end in the middle: they fail with `RunLimitError`, after all that had arrived. What
    ran over is at most the packet that reached the limit, of each stream, and the input of requests
    that were sent before. Without limits it only counts.

    Args:
        usd: The most US dollars; `None` for no limit. A model whose price is not known is refused
            then, since its cost could not be limited.
        tokens: The most tokens, input and output; `None` for no limit.
        prices: Your own prices, by model: a `Price`, or such as `"openai:gpt-5-mini"` for a model
            with another name. They come before those of genai-prices (the extra `prices`), which
            are chosen by `base_url` and model.

    Attributes:
        usd: The limit in US dollars. It may be changed.
        tokens: The limit of tokens. It may be changed.

    Raises:
        ConfigurationError: An argument is not usable, or `usd` is given without `prices`, and
            genai-prices is not installed.

    Example:
        >>> import asyncio, rxagents
        >>> from rxagents.testing import Reply, ScriptedLLM
        >>> budget = rxagents.Budget(tokens=1000)
        >>> reply = Reply("Hello", usage=rxagents.Usage(8, 2, 10))
        >>> asyncio.run(ScriptedLLM(reply, budget=budget).chat("Hi")).content
        'Hello'
        >>> budget.spent.usage.total_tokens
        10
    """

    def __init__(
        self,
        *,
        usd: Decimal | float | str | None = None,
        tokens: int | None = None,
        prices: Prices | None = None,
    ) -> None:
        self.usd = None if usd is None else _checked_usd(usd)
        self.tokens = None if tokens is None else checked_count("tokens", tokens)
        self._ledger = _BudgetLedger(self, checked_prices(prices))
        if usd is not None and not prices:
            require_prices()

    @property
    def spent(self) -> Cost:
        """The usage and cost of the requests that have ended."""
        return self._ledger.cost

    @property
    def is_reached(self) -> bool:
        """Whether the limit is reached, with estimates of the requests that run."""
        return self._ledger.limit_reached is not None

    @property
    def ledger(self) -> Ledger:
        """The ledger that requests are entered in."""
        return self._ledger

    def __repr__(self) -> str:
        return f"Budget(usd={self.usd!r}, tokens={self.tokens!r}, spent={self.spent!r})"


class _BudgetLedger(Ledger):
    """The ledger of a budget.

    Attributes:
        live_tokens: The estimated tokens of the requests that run.
        live_usd: Their estimated price.
    """

    def __init__(self, budget: Budget, prices: Prices) -> None:
        super().__init__(prices)
        self.budget = budget
        self.live_tokens = 0
        self.live_usd = NOTHING
        self._rates: dict[tuple[str, str, str | None], Rates | None] = {}

    @property
    def limit_reached(self) -> RunLimitError | None:
        """The error of requests that may not go on; `None` if they may."""
        budget = self.budget
        if budget.tokens is not None:
            tokens = self.live_tokens + _tokens(self.cost)
            if tokens >= budget.tokens:
                return RunLimitError(
                    f"The budget of {budget.tokens} tokens is used: {tokens}, with estimates of "
                    "what is running. Raise tokens of the Budget."
                )
        if budget.usd is not None:
            usd = self.live_usd + self.priced
            if usd >= budget.usd:
                return RunLimitError(
                    f"The budget of {budget.usd} USD is used: {usd:.6f} USD, with estimates of "
                    "what is running. Raise usd of the Budget."
                )
        return None

    def begin(self, model: PricedModel, input_tokens: int) -> Entry:
        """Enter a request that is about to be sent."""
        error = self.limit_reached
        if error is not None:
            raise error
        rates = self._rates_of(model) if self.budget.usd is not None else None
        return _LimitedEntry(self, rates, input_tokens)

    def _rates_of(self, model: PricedModel) -> Rates:
        key = (model.provider, model.names[-1], model.url)
        if key not in self._rates:
            self._rates[key] = Rates.of(model, self.prices)
        rates = self._rates[key]
        if rates is None:
            where = "" if model.url is None else f" at {model.url}"
            raise ConfigurationError(
                f"The price of {model.names[-1]!r}{where} is not known, so Budget(usd=…) cannot "
                f"limit it. Pass prices={{{model.names[-1]!r}: rxagents.Price(…)}} to the Budget."
            )
        return rates


class _LimitedEntry(Entry):
    """A request that runs, of a budget."""

    __slots__ = ("_budget", "_input", "_output", "_rates")

    def __init__(self, ledger: _BudgetLedger, rates: Rates | None, input_tokens: int) -> None:
        super().__init__(ledger)
        self.is_limited = True
        self._budget = ledger
        self._rates = rates
        self._input = input_tokens
        self._output = 0
        self._count(1, input_tokens, 0)

    def progress(self, output_tokens: int) -> None:
        """Note the output so far; raise at the limit."""
        self._count(1, 0, output_tokens - self._output)
        self._output = output_tokens
        error = self._budget.limit_reached
        if error is not None:
            raise error

    def end(self, usage: Usage | None, model: PricedModel) -> None:
        """Replace the estimate by the counts of the provider."""
        self._count(-1, self._input, self._output)
        super().end(usage, model)

    def _count(self, sign: int, given: int, written: int) -> None:
        budget = self._budget
        budget.live_tokens += sign * (given + written)
        if self._rates is not None:
            usd = given * self._rates.input + written * self._rates.output
            budget.live_usd += sign * usd


def _tokens(cost: Cost) -> int:
    return tokens_of(cost.usage) + tokens_of(cost.estimated_usage)


def _checked_usd(usd: object) -> Decimal:
    try:
        amount = Decimal(str(usd))
    except ArithmeticError:
        amount = Decimal("NaN")
    if isinstance(usd, bool) or not amount.is_finite() or amount <= 0:
        raise ConfigurationError(f"usd must be an amount of US dollars above 0, not {usd!r}.")
    return amount
