"""Find the price of a response: the caller's own, or that of the library genai-prices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from functools import cache
from types import ModuleType
from typing import Any, TypeAlias

from msgspec import Struct

from rxagents.core.errors import ConfigurationError
from rxagents.core.usage import Usage

_MILLION = 1_000_000

_RAW_USAGE = {
    "openai": ("openai", "chat", "usage"),
    "openai-responses": ("openai", "responses", "usage"),
    "anthropic": ("anthropic", "default", "usage"),
    "gemini": ("google", "default", "usageMetadata"),
}
"""For each wire the provider and flavor by which genai-prices reads its usage object, and where."""

_PROVIDER_IDS = {"gemini": "google", "openai-responses": "openai"}
"""The names of genai-prices for our providers, where they differ."""


class Price(Struct, frozen=True):
    """The price of a model, in US dollars for a million tokens.

    Attributes:
        input: For the input that was not cached.
        output: For the output, with reasoning.
        cached: For input that the provider read from its cache; `None` for the price of `input`.

    Raises:
        ConfigurationError: A price is not a number of 0 or more.
    """

    input: Decimal | float | str
    output: Decimal | float | str
    cached: Decimal | float | str | None = None

    def __post_init__(self) -> None:
        _decimal("input", self.input)
        _decimal("output", self.output)
        if self.cached is not None:
            _decimal("cached", self.cached)

    def of(self, usage: Usage, provider: str = "") -> Decimal:
        """Return the price of a response, in US dollars.

        Args:
            usage: The tokens. Input that was written to a cache is priced as other input.
            provider: The wire's name; wires differ in what their counts include.
        """
        fresh, cached, output = _billed(usage, provider)
        cached_price = self.input if self.cached is None else self.cached
        total = (
            fresh * _decimal("input", self.input)
            + cached * _decimal("cached", cached_price)
            + output * _decimal("output", self.output)
        )
        return total / _MILLION


Prices: TypeAlias = Mapping[str, Price | str]
"""For the name of a model its price, or `"provider:model"` by whose price it is counted."""


class PricedModel(Struct, frozen=True):
    """The circumstances that a price depends on, besides the usage.

    Attributes:
        provider: The wire's name, such as `"openai"`.
        names: The names of the model, the one from the response first.
        url: The base URL, by which genai-prices knows the host; `None` for a model in process.
    """

    provider: str
    names: Sequence[str]
    url: str | None


def price_of(usage: Usage, model: PricedModel, prices: Prices) -> Decimal | None:
    """Return the price of a response in US dollars; `None` if it is not known.

    genai-prices takes 0.06 to 0.5 ms for it, so it is called once a response.
    """
    for name in model.names:
        own = prices.get(name)
        if isinstance(own, Price):
            return own.of(usage, model.provider)
        if own is not None:
            provider, _, known_name = own.partition(":")
            provider = _PROVIDER_IDS.get(provider, provider)
            return _calculated(usage, model.provider, known_name, provider_id=provider)
    if model.url is None:
        return None
    for name in model.names:
        price = _calculated(usage, model.provider, name, provider_api_url=model.url)
        if price is not None:
            return price
    return None


def checked_prices(prices: Prices | None) -> Prices:
    """Return the caller's prices, checked.

    Raises:
        ConfigurationError: It is no mapping from models to `Price` or `"provider:model"`.
    """
    if prices is None:
        return {}
    if not isinstance(prices, Mapping):
        raise ConfigurationError(
            f"prices must map models to rxagents.Price, not {type(prices).__name__}."
        )
    for name, price in prices.items():
        if not isinstance(price, Price) and not (isinstance(price, str) and ":" in price):
            raise ConfigurationError(
                f"The price of {name!r} must be a rxagents.Price or a text such as "
                f"'openai:gpt-5-mini', not {price!r}."
            )
    return dict(prices)


def require_prices() -> None:
    """Check that genai-prices is installed.

    Raises:
        ConfigurationError: It is not.
    """
    if _genai_prices() is None:
        raise ConfigurationError(
            "Prices of models need the library genai-prices: pip install 'rxagents[prices]', or "
            "pass prices={model: rxagents.Price(…)}."
        )


@cache
def _genai_prices() -> ModuleType | None:
    try:
        import genai_prices
    except ImportError:
        return None
    return genai_prices


def _calculated(usage: Usage, wire: str, model: str, **provider: str) -> Decimal | None:
    library = _genai_prices()
    if library is None:
        return None
    with suppress(LookupError, ValueError):
        price: Decimal = library.calc_price(_counts(library, usage, wire), model, **provider)
        return Decimal(price.total_price)  # type: ignore[attr-defined]  # the library is untyped here
    return None


def _counts(library: Any, usage: Usage, wire: str) -> Any:
    """Return the counts as genai-prices wants them, with its own reading of the raw object."""
    if usage.raw and not usage.estimated and wire in _RAW_USAGE:
        provider, flavor, field = _RAW_USAGE[wire]
        with suppress(LookupError, ValueError):
            from genai_prices import extract_usage

            body = {field: usage.raw}
            read = extract_usage(body, provider_id=provider, api_flavor=flavor)
            return read.usage
    fresh, cached, output = _billed(usage, wire)
    return library.Usage(
        input_tokens=fresh + cached, cache_read_tokens=cached, output_tokens=output
    )


def _billed(usage: Usage, wire: str) -> tuple[int, int, int]:
    """Return the tokens of fresh input, cached input and output, as they are billed.

    Anthropic counts cached input beside `input_tokens`, and Gemini reasoning beside
    `output_tokens`; the others include them.
    """
    given, cached = usage.input_tokens or 0, usage.cached_tokens or 0
    output = usage.output_tokens or 0
    if wire == "gemini":
        output += usage.reasoning_tokens or 0
    if wire == "anthropic":
        written = usage.raw.get("cache_creation_input_tokens")
        return given + (written if isinstance(written, int) else 0), cached, output
    return max(0, given - cached), min(cached, given), output


def _decimal(name: str, value: object) -> Decimal:
    number = Decimal("NaN")
    if isinstance(value, (int, float, str, Decimal)) and not isinstance(value, bool):
        with suppress(InvalidOperation):
            number = Decimal(str(value))  # 0.1 is meant as 0.1, not as the nearest binary number
    if number.is_finite() and number >= 0:
        return number
    raise ConfigurationError(f"{name} must be a price in US dollars, 0 or more, not {value!r}.")
