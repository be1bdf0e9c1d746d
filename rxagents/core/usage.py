"""Token counts, as the provider counts them."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field


class Usage(Struct, frozen=True):
    """What a request cost, in tokens.

    A count the provider did not send is `None`: never a guess, never a sum.

    Attributes:
        input_tokens: Tokens of the prompt.
        output_tokens: Tokens of the answer.
        total_tokens: The provider's own total.
        reasoning_tokens: Tokens spent on thinking; whether `output_tokens` holds them too
            differs between providers.
        cached_tokens: Prompt tokens read from the provider's cache.
        raw: The provider's usage object, as received.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    reasoning_tokens: int | None = None
    cached_tokens: int | None = None
    raw: dict[str, Any] = field(default_factory=dict)


def add_usage(a: Usage | None, b: Usage | None) -> Usage | None:
    """Return the counts of two requests together; `None` is a request that told none.

    A count that only one of them told is that one's. `raw` is empty where both told something:
    no provider sent the sum.
    """
    if a is None or b is None:
        return b if a is None else a
    return Usage(
        _add(a.input_tokens, b.input_tokens),
        _add(a.output_tokens, b.output_tokens),
        _add(a.total_tokens, b.total_tokens),
        _add(a.reasoning_tokens, b.reasoning_tokens),
        _add(a.cached_tokens, b.cached_tokens),
    )


def _add(a: int | None, b: int | None) -> int | None:
    if a is None or b is None:
        return b if a is None else a
    return a + b
