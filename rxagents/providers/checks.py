"""Check the arguments of providers when they are given."""

from __future__ import annotations

import os
from typing import get_args

import aiohttp
from yarl import URL

from rxagents.core.errors import ConfigurationError
from rxagents.core.header_text import checked_text
from rxagents.core.limits import DEFAULT_LIMITS, Limits
from rxagents.core.output_request import StructuredOutput
from rxagents.transport import Interceptor
from rxagents.transport.urls import parse_url


def checked_mode(mode: StructuredOutput) -> StructuredOutput:
    """Return `mode` if it is one of the ways to ask for a structured answer.

    Raises:
        ConfigurationError: It is not.
    """
    if mode not in get_args(StructuredOutput):
        raise ConfigurationError(
            f"structured_output must be 'native', 'tool' or 'prompt', not {mode!r}."
        )
    return mode


def checked_url(base_url: object) -> URL:
    """Return `base_url` as a URL.

    Raises:
        ConfigurationError: It is no http or https URL, or holds a password.
    """
    advice = "must be a URL such as 'https://api.example.com/v1'"
    if not isinstance(base_url, str) or any(ord(character) < 33 for character in base_url):
        raise ConfigurationError(f"base_url {advice}.")
    try:
        url = parse_url(base_url)
    except ValueError as error:
        shown = base_url.partition("?")[0]
        quoted = "" if "@" in shown else f", not {shown!r}"
        raise ConfigurationError(f"base_url {advice}{quoted}: {error}.") from None
    if url.scheme not in {"http", "https"}:
        raise ConfigurationError(f"base_url {advice}, not {base_url.partition('?')[0]!r}.")
    if url.user or url.password:
        raise ConfigurationError("base_url must not contain a password: use api_key or headers.")
    return url


def checked_retries(max_retries: object) -> int:
    """Return `max_retries`.

    Raises:
        ConfigurationError: It is no whole number of 0 or more.
    """
    if not isinstance(max_retries, int) or isinstance(max_retries, bool) or max_retries < 0:
        raise ConfigurationError(f"max_retries must be an int of 0 or more, not {max_retries!r}.")
    return max_retries


def checked_session(session: object) -> aiohttp.ClientSession | Interceptor | None:
    """Return the caller's session, or `None`.

    Raises:
        ConfigurationError: It is no aiohttp session, and nothing that takes requests in its place.
    """
    if session is not None and not isinstance(session, (aiohttp.ClientSession, Interceptor)):
        raise ConfigurationError(
            "session must be an aiohttp.ClientSession, or a rxagents.testing.Cassette, not "
            f"{type(session).__name__}."
        )
    return session


def checked_limits(limits: object) -> Limits:
    """Return the limits; the defaults for `None`.

    Raises:
        ConfigurationError: It is no `Limits`.
    """
    if limits is None:
        return DEFAULT_LIMITS
    if not isinstance(limits, Limits):
        raise ConfigurationError(f"limits must be rxagents.Limits, not {type(limits).__name__}.")
    return limits


def is_origin(other: str, url: URL) -> bool:
    """Return whether `url` has the scheme, host and port of `other`."""
    try:
        return checked_url(other).origin() == url.origin()
    except ConfigurationError:
        return False


def key_of_environment(name: str) -> str | None:
    """Return the key in the environment variable `name`; `None` if it is unset or empty.

    Raises:
        ConfigurationError: A header cannot hold it.
    """
    key = os.environ.get(name, "").strip()
    return checked_text(name, key, secret=True) if key else None
