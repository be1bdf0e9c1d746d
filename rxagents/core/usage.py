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
