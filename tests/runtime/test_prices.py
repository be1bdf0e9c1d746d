"""Test the prices of responses: one's own, and those of genai-prices, by wire and host."""

from __future__ import annotations

import builtins
from decimal import Decimal
from typing import Any

import pytest

from rxagents import Budget, ConfigurationError, Price, Usage
from rxagents import operators as ops
from rxagents.runtime.spending import prices
from rxagents.runtime.spending.prices import PricedModel, checked_prices, price_of

OPENAI = "https://api.openai.com/v1"
ANTHROPIC = "https://api.anthropic.com"
GOOGLE = "https://generativelanguage.googleapis.com"
OWN = Price(input="0.1", output=0.3, cached=Decimal("0.01"))
"""0.1 is exact here; as a binary number it is not."""


def usd(usage: Usage, model: PricedModel, own: Any = None) -> Decimal | None:
    return price_of(usage, model, own or {})


def test_host_and_model_choose_the_price() -> None:
    usage = Usage(1000, 100, 1100)
    known = PricedModel("openai", ["gpt-5-mini-2025-08-07", "gpt-5-mini"], OPENAI)
    assert usd(usage, known) == Decimal("0.00045")
    at_other_host = PricedModel("openai", ["gpt-5-mini"], "http://127.0.0.1:8000/v1")
    assert usd(usage, at_other_host) is None
    in_process = PricedModel("openai", ["gpt-5-mini"], None)
    assert usd(usage, in_process) is None
    unknown = PricedModel("openai", ["no-such-model"], OPENAI)
    assert usd(usage, unknown) is None


def test_requested_name_is_second_choice() -> None:
    model = PricedModel("openai", ["gateway-name", "gpt-5-mini"], OPENAI)
    assert usd(Usage(1000, 100), model) == Decimal("0.00045")


@pytest.mark.parametrize(
    ("wire", "url", "model", "usage", "expected"),
    [
        (  # 0.25 USD for input, 0.025 for cached, 2 for output with reasoning
            "openai",
            OPENAI,
            "gpt-5-mini",
            Usage(
                1000,
                100,
                1100,
                60,
                400,
                {
                    "prompt_tokens": 1000,
                    "completion_tokens": 100,
                    "prompt_tokens_details": {"cached_tokens": 400},
                    "completion_tokens_details": {"reasoning_tokens": 60},
                },
            ),
            "0.00036",
        ),
        (  # 3 USD for input, 3.75 for writing to the cache, 0.3 for reading, 15 for output
            "anthropic",
            ANTHROPIC,
            "claude-sonnet-4-5",
            Usage(
                100,
                10,
                cached_tokens=2000,
                raw={
                    "input_tokens": 100,
                    "output_tokens": 10,
                    "cache_read_input_tokens": 2000,
                    "cache_creation_input_tokens": 1000,
                },
            ),
            "0.0048",
        ),
        (  # 0.3 USD for input, 2.5 for output, beside which Gemini counts the thinking
            "gemini",
            GOOGLE,
            "gemini-2.5-flash",
            Usage(
                100,
                10,
                160,
                50,
                raw={"promptTokenCount": 100, "candidatesTokenCount": 10, "thoughtsTokenCount": 50},
            ),
            "0.00018",
        ),
    ],
    ids=["openai", "anthropic", "gemini"],
)
def test_cached_and_reasoning_tokens_as_billed(
    wire: str, url: str, model: str, usage: Usage, expected: str
) -> None:
    assert usd(usage, PricedModel(wire, [model], url)) == Decimal(expected)


def test_own_price_comes_first() -> None:
    model = PricedModel("openai", ["gpt-5-mini"], OPENAI)
    assert usd(Usage(1000, 100, cached_tokens=400), model, {"gpt-5-mini": OWN}) == Decimal(
        "0.000094"
    )


def test_own_price_reads_each_wire() -> None:
    assert OWN.of(Usage(100, 10, cached_tokens=1000), "anthropic") == Decimal("0.000023")
    assert OWN.of(Usage(100, 10, 160, 50), "gemini") == Decimal("0.000028")
    assert Price(1, 1).of(Usage(100, 10, cached_tokens=50), "openai") == Decimal("0.00011")


def test_name_of_own_model_stands_for_another() -> None:
    own = checked_prices(
        {"my-deployment": "openai:gpt-5-mini", "my-flash": "gemini:gemini-2.5-flash"}
    )
    model = PricedModel("openai", ["my-deployment"], "https://gateway.example/v1")
    assert usd(Usage(1000, 100), model, own) == Decimal("0.00045")
    flash = PricedModel("openai", ["my-flash"], None)
    assert usd(Usage(1000, 100), flash, own) == Decimal("0.00055")


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Price(-1, 1),
        lambda: Price(1, "free"),
        lambda: Price(True, 1),
        lambda: Budget(prices={"m": 3}),  # type: ignore[dict-item]  # a number
        lambda: Budget(prices={"m": "gpt-5"}),
        lambda: Budget(prices=[1]),  # type: ignore[arg-type]  # a list
        lambda: Budget(usd=0),
        lambda: Budget(usd="much"),
        lambda: Budget(tokens=0),
        lambda: ops.cost("print"),  # type: ignore[arg-type]  # a text
    ],
    ids=[
        "negative", "word", "bool", "number", "name", "list", "no usd", "no number", "no tokens",
        "report",
    ],
)  # fmt: skip
def test_wrong_argument_is_refused(wrong: Any) -> None:
    with pytest.raises(ConfigurationError):
        wrong()


def test_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    importing = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "genai_prices":
            raise ImportError(name)
        return importing(name, *rest)

    prices._genai_prices.cache_clear()
    monkeypatch.setattr(builtins, "__import__", without)
    try:
        for make in (lambda: Budget(usd=1), lambda: ops.cost(print)):
            with pytest.raises(ConfigurationError, match=r"pip install 'rxagents\[prices\]'"):
                make()
        assert Budget(tokens=100).spent.usd == 0
        assert Budget(usd=1, prices={"m": OWN}).usd == 1
        assert usd(Usage(1), PricedModel("openai", ["gpt-5-mini"], OPENAI)) is None
    finally:
        prices._genai_prices.cache_clear()
