"""Check the texts that go into HTTP headers."""

from __future__ import annotations

import re
from collections.abc import Mapping

from rxagents.core.errors import ConfigurationError

# RFC 9110, section 5.6.2. A name with a colon would be sent as another name.
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


def checked_text(name: str, text: object, *, secret: bool = False) -> str:
    """Return `text` if a header can hold it.

    Args:
        name: The argument, for the error.
        text: Its value.
        secret: Keep the value out of the error.

    Raises:
        ConfigurationError: It is empty, no text, or has characters that a header cannot hold.
    """
    shown = "" if secret else f", not {text!r}"
    if not isinstance(text, str) or not text.strip():
        raise ConfigurationError(f"{name} must be a non-empty str{shown}.")
    if any(ord(character) < 32 or ord(character) == 127 for character in text):
        raise ConfigurationError(
            f"{name} must not contain line ends or other control characters{shown}."
        )
    if secret and not text.isascii():
        raise ConfigurationError(
            f"{name} must contain only ASCII characters: check how it was copied."
        )
    return text


def checked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers with their names in lower case.

    Raises:
        ConfigurationError: It is no mapping, or a header cannot be sent.
    """
    if not isinstance(headers, Mapping):
        raise ConfigurationError(f"headers must be a dict, not {type(headers).__name__}.")
    for name, value in headers.items():
        checked_text("A header's name", name, secret=True)
        if not _NAME.fullmatch(name):
            raise ConfigurationError(
                "A header's name must consist of letters, digits and hyphens, without a colon."
            )
        checked_text(f"The header {name!r}", value, secret=True)
    return {name.lower(): value for name, value in headers.items()}
