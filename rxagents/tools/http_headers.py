"""Check the headers that a model sets, and select those that a redirect may forward."""

from __future__ import annotations

import re

from rxagents.core.errors import ToolError

_OF_THE_CONNECTION = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers that only the HTTP client may set; so are those that begin with `proxy-`."""

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""A valid header name: a token of RFC 9110."""

_FOR_ANY_ORIGIN = frozenset({"accept", "accept-language", "content-type", "user-agent"})
"""Headers that are forwarded to another origin; any other header may contain a key."""


def checked_headers(headers: dict[str, str]) -> dict[str, str]:
    """Return headers with their names in lower case.

    Raises:
        ToolError: A name is invalid, or the header may not be set.
    """
    lowered = {name.lower(): value for name, value in headers.items()}
    for name in lowered:
        if not _NAME.fullmatch(name):
            raise ToolError(
                f"Invalid header name {name[:80]!r}. Use letters, digits and hyphens, and no "
                "spaces."
            )
        if name in _OF_THE_CONNECTION or name.startswith("proxy-"):
            raise ToolError(f"The header {name!r} cannot be set. Omit it.")
    return lowered


def for_any_origin(headers: dict[str, str]) -> dict[str, str]:
    """Return the headers that cannot contain a key."""
    return {name: value for name, value in headers.items() if name in _FOR_ANY_ORIGIN}
