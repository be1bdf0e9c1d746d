"""Arguments of providers, checked where they are given."""

from __future__ import annotations

import os
from collections.abc import Mapping

import aiohttp
from yarl import URL

from rxagents.core.errors import ConfigurationError
from rxagents.core.limits import DEFAULT_LIMITS, Limits


def checked_text(name: str, text: object, *, secret: bool = False) -> str:
    """Return `text` if it can stand in a header; the value of a secret is not shown.

    Raises:
        ConfigurationError: It is not usable.
    """
    shown = "" if secret else f", not {text!r}"
    if not isinstance(text, str) or not text.strip():
        raise ConfigurationError(f"{name} must be a text that is not empty{shown}.")
    if any(ord(character) < 32 or ord(character) == 127 for character in text):
        raise ConfigurationError(f"{name} must not hold line ends or control characters{shown}.")
    if secret and not text.isascii():
        raise ConfigurationError(
            f"{name} must hold ASCII characters only: check how it was copied."
        )
    return text


def checked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers with names in lower case.

    Raises:
        ConfigurationError: It is not usable.
    """
    if not isinstance(headers, Mapping):
        raise ConfigurationError(f"headers must be a dict, not {type(headers).__name__}.")
    for name, value in headers.items():
        checked_text("A header's name", name, secret=True)
        checked_text(f"The header {name!r}", value, secret=True)
    return {name.lower(): value for name, value in headers.items()}


def checked_url(base_url: object) -> URL:
    """Return the base URL.

    Raises:
        ConfigurationError: It is not usable.
    """
    advice = "must be a URL such as 'https://api.example.com/v1'"
    if not isinstance(base_url, str) or any(ord(character) < 33 for character in base_url):
        raise ConfigurationError(f"base_url {advice}.")
    try:
        url = URL(base_url)
    except ValueError as error:
        raise ConfigurationError(f"base_url {advice} ({error}).") from error
    if url.scheme not in {"http", "https"} or not url.host:
        raise ConfigurationError(f"base_url {advice}, not {base_url.partition('?')[0]!r}.")
    if url.user or url.password:
        raise ConfigurationError("base_url must not hold a password: use api_key or headers.")
    return url


def checked_retries(max_retries: object) -> int:
    """Return the number of retries.

    Raises:
        ConfigurationError: It is not usable.
    """
    if not isinstance(max_retries, int) or isinstance(max_retries, bool) or max_retries < 0:
        raise ConfigurationError(f"max_retries must be 0 or more, not {max_retries!r}.")
    return max_retries


def checked_session(session: object) -> aiohttp.ClientSession | None:
    """Return the caller's session.

    Raises:
        ConfigurationError: It is not usable.
    """
    if session is not None and not isinstance(session, aiohttp.ClientSession):
        raise ConfigurationError(
            f"session must be an aiohttp.ClientSession, not {type(session).__name__}."
        )
    return session


def checked_limits(limits: object) -> Limits:
    """Return the limits; `None` is the defaults.

    Raises:
        ConfigurationError: It is not usable.
    """
    if limits is None:
        return DEFAULT_LIMITS
    if not isinstance(limits, Limits):
        raise ConfigurationError(f"limits must be rxagents.Limits, not {type(limits).__name__}.")
    return limits


def is_origin(home: str, url: URL) -> bool:
    """Whether `url` is at the scheme, host and port of `home`."""
    try:
        return checked_url(home).origin() == url.origin()
    except ConfigurationError:
        return False


def key_of_environment(name: str) -> str | None:
    """Return the key in the environment variable `name`; `None` if there is none.

    Raises:
        ConfigurationError: It is not usable.
    """
    key = os.environ.get(name, "").strip()
    return checked_text(name, key, secret=True) if key else None
