"""One attempt: a POST out, bytes back. All of aiohttp is in this file.

What it refuses: redirects are not followed, cookies not kept, TLS is always verified.
"""

from __future__ import annotations

import asyncio
import base64
import os
import urllib.request
from collections.abc import Mapping
from typing import TypedDict

import aiohttp
from multidict import CIMultiDictProxy
from yarl import URL

from rxagents.core.errors import (
    ConfigurationError,
    ConnectError,
    ConnectTimeoutError,
    ProtocolError,
    ProviderError,
    TransportError,
    TruncatedStreamError,
)
from rxagents.runtime.per_loop import PerLoop

READ_BUFFER_BYTES = 64 * 1024
"""aiohttp stops the socket at twice this; its default notices a slow consumer megabytes late."""

READ_BYTES = 32 * 1024
"""The most that is handed on at once, so that what is made of it stays in the processor's cache:
a chunk of a burst read in one piece of 256 KiB costs about a sixth more."""

LINGER_SECONDS = 0.1
"""How long an answer may take to end after its end marker, for its connection to be kept."""


class _Proxy(TypedDict, total=False):
    proxy: URL
    proxy_headers: dict[str, str]


class Transport:
    """Sends a provider's requests, over one session a running loop.

    Args:
        provider: The provider's name, for errors.
        session: The caller's own session, which is never closed here; `None` makes one for each
            loop, with no limit on connections, no cookies, and the environment's proxies.
    """

    def __init__(self, provider: str, session: aiohttp.ClientSession | None = None) -> None:
        self._provider = provider
        self._session = session
        self._sessions = PerLoop(_make_session, _close_session)
        self._lingering: set[Exchange] = set()

    async def post(
        self, url: URL, headers: Mapping[str, str], body: bytes, connect_timeout: float | None
    ) -> Exchange:
        """Send a request and wait for the answer's status and headers.

        Args:
            url: Where to.
            headers: All of them.
            body: The request's body.
            connect_timeout: Seconds for name lookup, connection and TLS; `None` for no limit.

        Raises:
            ConnectTimeoutError: No connection in time.
            TransportError: No connection, or no HTTP answer on it.
        """
        session = self._sessions.get() if self._session is None else self._session
        try:
            response = await session.post(
                url,
                data=body,
                headers=headers,
                allow_redirects=False,
                raise_for_status=False,
                timeout=aiohttp.ClientTimeout(total=None, connect=connect_timeout),
                read_bufsize=READ_BUFFER_BYTES,
                **({} if self._session is not None else _proxy_of_environment(url)),
            )
        except aiohttp.ConnectionTimeoutError:
            failure: ProviderError = ConnectTimeoutError(
                f"No connection to {url.host} within {connect_timeout} s. Check base_url and the "
                "network, or raise Timeouts.connect.",
                provider=self._provider,
            )
        except (aiohttp.ClientError, OSError) as error:
            failure = self._typed(error, url)
        except (RuntimeError, ValueError) as error:  # of the caller's session: closed, other auth
            raise ConfigurationError(f"The session cannot send the request: {error}.") from error
        else:
            return Exchange(response, self._provider, self._lingering)
        # Raised out here, without a cause: aiohttp's errors hold the request with its key.
        raise failure

    async def aclose(self) -> None:
        """Close what the running loop holds: its session and every connection of it."""
        for exchange in tuple(self._lingering):
            exchange.close()
        await self._sessions.aclose()

    def _typed(self, error: aiohttp.ClientError | OSError, url: URL) -> ProviderError:
        where = f"{url.scheme}://{url.authority}"
        if isinstance(error, aiohttp.ClientSSLError):
            return ConnectError(
                f"The TLS certificate of {where} cannot be verified ({error}). Check base_url and "
                "the machine's certificates.",
                provider=self._provider,
                retryable=False,
            )
        if isinstance(error, aiohttp.ClientProxyConnectionError):
            return ConnectError(
                f"Cannot connect to the proxy {error.host}:{error.port}, which the environment "
                f"names, for {where} ({_cause(error)}). Check HTTP_PROXY, HTTPS_PROXY, NO_PROXY.",
                provider=self._provider,
            )
        if isinstance(error, aiohttp.ClientConnectorError):
            return ConnectError(
                f"Cannot connect to {where} ({_cause(error)}). Check base_url, the network, and "
                "that the server runs.",
                provider=self._provider,
            )
        if isinstance(error, aiohttp.ClientResponseError):
            return ProtocolError(
                f"{where} does not answer in HTTP ({_words(error)}). Check base_url.",
                provider=self._provider,
                retryable=False,
            )
        return TransportError(
            f"The connection to {where} broke before an answer ({_words(error)}). Try again.",
            provider=self._provider,
        )


class Exchange:
    """The answer to one request: status, headers, and a body to read.

    Whoever has one ends it with `finish` or `close`.
    """

    def __init__(
        self, response: aiohttp.ClientResponse, provider: str, lingering: set[Exchange]
    ) -> None:
        self.status: int = response.status
        self.reason: str = response.reason or ""
        self.headers: CIMultiDictProxy[str] = response.headers
        self._response = response
        self._provider = provider
        self._lingering = lingering

    async def read(self) -> bytes:
        """Return the next bytes, as soon as there are any; `b""` at the end.

        Raises:
            TruncatedStreamError: The connection broke, or the body is shorter than announced.
            ProtocolError: The body's encoding is broken.
        """
        content, connection = self._response.content, self._response.connection
        transport = connection.transport if connection is not None else None
        if transport is not None and transport.is_closing():
            await asyncio.sleep(0)  # aiohttp would wait on a connection that is about to go
        try:
            return await content.read(READ_BYTES)
        except (aiohttp.ClientError, OSError, RuntimeError) as error:
            # aiohttp raises before it hands over what it had received by then.
            received = content._read_nowait(-1)  # noqa: SLF001 - there is no public way
            failure = self._typed(error)
        if received:
            return received
        raise failure

    async def read_head(self, limit: int) -> bytes:
        """Return the beginning of the body, at most `limit` bytes, whatever becomes of the rest."""
        head = b""
        try:
            while len(head) < limit and (data := await self.read()):
                head += data
        except ProviderError:
            """What came before is all there is to quote."""
        return head[:limit]

    def finish(self) -> None:
        """The answer is over: keep the connection if the body ends too, now or in a moment."""
        content = self._response.content
        if content.is_eof():
            self._response.release()
            return
        self._lingering.add(self)
        timer = asyncio.get_running_loop().call_later(LINGER_SECONDS, self.close)
        content.on_eof(timer.cancel)
        content.on_eof(lambda: self._lingering.discard(self))

    def close(self) -> None:
        """Close the connection at once."""
        self._lingering.discard(self)
        self._response.close()

    def _typed(self, error: Exception) -> ProviderError:
        broken = isinstance(error.__cause__, aiohttp.http_exceptions.TransferEncodingError)
        if broken and "Not enough data" not in str(error.__cause__):
            return ProtocolError(
                f"{self._provider} sent a body whose encoding is broken ({_words(error)}).",
                provider=self._provider,
                retryable=False,
            )
        return TruncatedStreamError(
            f"The connection to {self._provider} broke in the middle of the stream "
            f"({_words(error)}). What came before was delivered; ask again for the rest.",
            provider=self._provider,
            retryable=True,
        )


def _cause(error: aiohttp.ClientConnectorError) -> str:
    """Return the system's words: asyncio's own, "Connect call failed", do not say why."""
    number = error.os_error.errno
    return os.strerror(number) if number and number > 0 else _words(error.os_error)


def _words(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _make_session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),
    )


def _proxy_of_environment(url: URL) -> _Proxy:
    """Return how to reach `url` by the environment's proxy, if it names one.

    aiohttp's own `trust_env` would read `.netrc` too, and refuse a key beside its password.

    Raises:
        ConfigurationError: What the environment names is no proxy.
    """
    named = urllib.request.getproxies()
    address = named.get(url.scheme) or named.get("all")
    if not address or urllib.request.proxy_bypass(url.host or ""):
        return {}
    try:
        proxy = URL(address)
    except ValueError:
        proxy = URL()
    if not proxy.host:
        raise ConfigurationError(
            f"The {url.scheme} proxy that the environment names is no URL: write http://host:port."
        )
    if proxy.user is None:
        return {"proxy": proxy}
    password = f"{proxy.user}:{proxy.password or ''}".encode()
    headers = {"proxy-authorization": f"Basic {base64.b64encode(password).decode()}"}
    return {"proxy": proxy.with_user(None), "proxy_headers": headers}


async def _close_session(session: aiohttp.ClientSession) -> None:
    await session.close()
