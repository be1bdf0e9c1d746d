"""The headers that a model may set, and those that go along with a redirect."""

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
"""Headers that are not the caller's to set; nor are those that begin with `proxy-`."""

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""What a header's name is made of: a token of RFC 9110."""

_FOR_ANY_ORIGIN = frozenset({"accept", "accept-language", "content-type", "user-agent"})
"""What a redirect to another origin may see; a key may be in any other header."""


def checked_headers(headers: dict[str, str]) -> dict[str, str]:
    """Return headers with their names in lower case.

    Raises:
        ToolError: One of them is not the caller's to set, or has no name.
    """
    lowered = {name.lower(): value for name, value in headers.items()}
    for name in lowered:
        if not _NAME.fullmatch(name):
            raise ToolError(
                f"The header {name[:80]!r} cannot be set: a name has letters, digits and hyphens, "
                "and no spaces. Mend it."
            )
        if name in _OF_THE_CONNECTION or name.startswith("proxy-"):
            raise ToolError(f"The header {name!r} cannot be set. Leave it out.")
    return lowered


def for_any_origin(headers: dict[str, str]) -> dict[str, str]:
    """Return the headers that hold no key."""
    return {name: value for name, value in headers.items() if name in _FOR_ANY_ORIGIN}
