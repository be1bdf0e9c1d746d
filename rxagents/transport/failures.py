"""Make typed errors of what went wrong on a connection."""

from __future__ import annotations

import os
import ssl

import aiohttp
from yarl import URL

from rxagents.core.errors import (
    ConnectError,
    ConnectTimeoutError,
    ProtocolError,
    ProviderError,
    TransportError,
)
from rxagents.transport.proxy import Proxy

_RETRYABLE_OF_PROXY = {408, 429}
"""The statuses below 500 after which a proxy may connect if it is asked again."""


def one_line(error: BaseException) -> str:
    """Return the message of `error` on one line, or else its type."""
    return " ".join(str(error).split()) or type(error).__name__


def closed_session_error(provider: str) -> TransportError:
    """Return the error of a stream whose session was closed."""
    return TransportError(
        "The session was closed while a stream used it. Dispose the streams of a model before "
        "its aclose().",
        provider=provider,
        retryable=False,
    )


def reason_of_cut(error: BaseException) -> str:
    """Return why a body ended too early; `error` is aiohttp's."""
    # aiohttp adds the error of the connection to the message, and keeps it nowhere else.
    if isinstance(error, ConnectionResetError) or "ConnectionResetError" in str(error):
        return "the connection was reset"
    if isinstance(error.__cause__, aiohttp.http_exceptions.ContentLengthError):
        return "the body is shorter than its content-length"
    if isinstance(error, OSError):
        return _reason(error)
    return "the connection was closed before the last chunk"


def connect_timeout_error(
    provider: str, url: URL, proxy: Proxy | None, seconds: float | None
) -> ProviderError:
    """Return the error of a connection that took longer than `seconds`."""
    return ConnectTimeoutError(
        f"No connection to {_where(url, proxy)} within Timeouts.connect ({seconds} s). "
        f"{_advice(proxy)}, or raise the timeout.",
        provider=provider,
    )


def invalid_http_error(provider: str, reason: str, url: URL, proxy: Proxy | None) -> ProtocolError:
    """Return the error of a response that is not valid HTTP."""
    return ProtocolError(
        f"{_where(url, proxy)} did not answer with valid HTTP ({reason}). {_advice(proxy)}.",
        provider=provider,
        retryable=False,
    )


def connection_error(
    provider: str, error: aiohttp.ClientError | OSError, url: URL, proxy: Proxy | None
) -> ProviderError:
    """Return the error of a request without a response.

    Args:
        provider: The provider's name.
        error: What aiohttp raised.
        url: The URL of the request.
        proxy: The environment's proxy for it.
    """
    where = _where(url, proxy)
    match error:
        case aiohttp.ClientHttpProxyError():
            return _refused_by_proxy(provider, error, url, proxy)
        case aiohttp.ClientSSLError():
            return _tls_error(provider, error, url, proxy)
        case aiohttp.ClientProxyConnectionError() if proxy is None:
            return ConnectError(
                f"Cannot connect to {where} through the session's proxy {error.host}:{error.port} "
                f"({_reason(error.os_error)}). Check the argument session.",
                provider=provider,
            )
        case aiohttp.ClientConnectorError():
            return ConnectError(
                f"Cannot connect to {where} ({_reason(error.os_error)}). {_advice(proxy)}, and "
                "that the server runs.",
                provider=provider,
            )
        case aiohttp.ClientResponseError():
            return invalid_http_error(provider, one_line(error), url, proxy)
    is_closed = isinstance(error, aiohttp.ServerDisconnectedError)
    reason = "it was closed" if is_closed else _reason(error)
    return TransportError(
        f"The connection to {where} broke before the response ({reason}). Try again.",
        provider=provider,
    )


def _refused_by_proxy(
    provider: str, error: aiohttp.ClientHttpProxyError, url: URL, proxy: Proxy | None
) -> ProviderError:
    """Return the error of a proxy that answered CONNECT with another status than 200."""
    name = "the session's proxy" if proxy is None else str(proxy)
    variable = "the proxy's URL" if proxy is None else f"{proxy.variable} and NO_PROXY"
    advice = f"Check {variable}."
    if error.status == 407:
        variable = "the proxy's URL" if proxy is None else proxy.variable
        advice = f"Write a valid user name and password in {variable}: http://user:password@host."
    said = " ".join(f"{error.status} {error.message}".split())
    return ConnectError(
        f"{name[0].upper()}{name[1:]} refused to connect to {_origin(url)} ({said}). {advice}",
        provider=provider,
        status=error.status,
        retryable=error.status >= 500 or error.status in _RETRYABLE_OF_PROXY,
    )


def _tls_error(
    provider: str, error: aiohttp.ClientSSLError, url: URL, proxy: Proxy | None
) -> ProviderError:
    reason: BaseException = error
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        reason = error.certificate_error
    elif isinstance(error, aiohttp.ClientConnectorError):
        reason = error.os_error
    if isinstance(reason, ssl.CertificateError):
        problem = f"The TLS certificate of {_where(url, proxy)} cannot be verified"
        advice = "the machine's certificates"
    else:
        problem = f"The TLS handshake with {_where(url, proxy)} failed"
        advice = "that https:// is right"
    return ConnectError(
        f"{problem} ({one_line(reason)}). {_advice(proxy)}, and {advice}.",
        provider=provider,
        retryable=isinstance(reason, ssl.SSLEOFError),  # the connection closed in the handshake
    )


def _origin(url: URL) -> str:
    return f"{url.scheme}://{url.authority}"


def _where(url: URL, proxy: Proxy | None) -> str:
    return _origin(url) if proxy is None else f"{_origin(url)} through {proxy}"


def _advice(proxy: Proxy | None) -> str:
    variables = "" if proxy is None else f", {proxy.variable} and NO_PROXY"
    return f"Check base_url, the network{variables}"


def _reason(error: BaseException) -> str:
    """Return the system's message: asyncio's own, "Connect call failed", does not say why."""
    number = error.errno if isinstance(error, OSError) else None
    if number and number > 0:
        return os.strerror(number)
    is_reset = isinstance(error, ConnectionResetError)
    return "the connection was closed" if is_reset else one_line(error)
