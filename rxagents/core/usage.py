"""Token counts, as the provider counts them."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field


class Usage(Struct, frozen=True):
    """The token counts of one request.

    A count that the provider did not send is `None`, never a guess or a sum.

    Attributes:
        input_tokens: Tokens of the prompt.
        output_tokens: Tokens of the response.
        total_tokens: The provider's own total.
        reasoning_tokens: Tokens spent on thinking; providers differ in whether `output_tokens`
            includes them.
        cached_tokens: Prompt tokens read from the provider's cache.
        raw: The provider's usage object, as received.
        estimated: The counts are estimates, for a response that was stopped before the provider
            sent them. They are never added to counts of a provider.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    reasoning_tokens: int | None = None
    cached_tokens: int | None = None
    raw: dict[str, Any] = field(default_factory=dict)
    estimated: bool = False


def add_usage(a: Usage | None, b: Usage | None) -> Usage | None:
    """Return the counts of two requests added up; `None` is a request without counts.

    A count that only one of them has is taken from that one. The sum of two has no `raw`, since no
    provider sent it.
    """
    if a is None or b is None:
        return b if a is None else a
    return Usage(
        _add(a.input_tokens, b.input_tokens),
        _add(a.output_tokens, b.output_tokens),
        _add(a.total_tokens, b.total_tokens),
        _add(a.reasoning_tokens, b.reasoning_tokens),
        _add(a.cached_tokens, b.cached_tokens),
        estimated=a.estimated or b.estimated,
    )


def tokens_of(usage: Usage | None) -> int:
    """Return the provider's total, or the sum of its input and output counts."""
    if usage is None:
        return 0
    if usage.total_tokens is not None:
        return usage.total_tokens
    return (usage.input_tokens or 0) + (usage.output_tokens or 0)


def _add(a: int | None, b: int | None) -> int | None:
    if a is None or b is None:
        return b if a is None else a
    return a + b
