"""Sends requests."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping

import aiohttp
from yarl import URL

from rxagents.core.errors import (
    ConfigurationError,
    ConnectError,
    ConnectTimeoutError,
    ProtocolError,
    ProviderError,
    TransportError,
)
from rxagents.parsing.content_encoding import ACCEPTED
from rxagents.transport.compressed_response import CompressedResponse
from rxagents.transport.connection import StaleConnection
from rxagents.transport.failures import closed_session, words
from rxagents.transport.http_response import HttpResponse
from rxagents.transport.per_loop import PerLoop
from rxagents.transport.proxy import proxy_of_environment
from rxagents.transport.session import make_session

READ_BUFFER_BYTES = 64 * 1024
"""aiohttp stops the socket at twice this; its default notices a slow consumer megabytes late."""


class StaleConnectionError(TransportError):
    """The server had closed a kept connection before it read the request: send it again at once."""


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
        self._sessions = PerLoop(make_session, _close_session)
        self._lingering: dict[HttpResponse, asyncio.AbstractEventLoop] = {}

    async def send(
        self,
        url: URL,
        headers: Mapping[str, str],
        body: bytes | None,
        connect_timeout: float | None,
    ) -> HttpResponse:
        """Send a request and wait for the answer's status and headers.

        Args:
            url: Where to.
            headers: All of them.
            body: What to POST; `None` for a GET.
            connect_timeout: Seconds for name lookup, connection and TLS; `None` for no limit.

        Raises:
            ConnectTimeoutError: No connection in time.
            StaleConnectionError: A kept connection turned out to be closed.
            TransportError: No connection, or no HTTP answer on it.
        """
        session = self._sessions.get() if self._session is None else self._session
        try:
            response = await session.request(
                "GET" if body is None else "POST",
                url,
                data=body,
                headers={"accept-encoding": ACCEPTED, **headers},
                auto_decompress=False,
                allow_redirects=False,
                raise_for_status=False,
                timeout=aiohttp.ClientTimeout(total=None, connect=connect_timeout),
                read_bufsize=READ_BUFFER_BYTES,
                **({} if self._session is not None else proxy_of_environment(url)),
            )
        except aiohttp.ConnectionTimeoutError:
            failure: ProviderError = ConnectTimeoutError(
                f"No connection to {url.host} within {connect_timeout} s. Check base_url and the "
                "network, or raise Timeouts.connect.",
                provider=self._provider,
            )
        except (aiohttp.ClientError, OSError) as error:
            if session.closed:
                failure = closed_session(self._provider)
            elif isinstance(error, StaleConnection):
                failure = StaleConnectionError(
                    f"{url.authority} closed a connection that was kept from an earlier request. "
                    "Try again.",
                    provider=self._provider,
                )
            else:
                failure = self._typed(error, url)
        except (RuntimeError, ValueError) as error:  # of the caller's session: closed, other auth
            raise ConfigurationError(f"The session cannot send the request: {error}.") from error
        else:
            return self._exchange(response, session)
        # Raised out here, without a cause: aiohttp's errors hold the request with its key.
        raise failure

    def _exchange(
        self, response: aiohttp.ClientResponse, session: aiohttp.ClientSession
    ) -> HttpResponse:
        coding = response.headers.get("content-encoding", "").strip().lower()
        if coding in {"", "identity"}:
            return HttpResponse(response, self._provider, session, self._lingering)
        return CompressedResponse(coding, response, self._provider, session, self._lingering)

    async def aclose(self) -> None:
        """Close what the running loop holds: its session and every connection of it."""
        here = asyncio.get_running_loop()
        for exchange, loop in tuple(self._lingering.items()):
            if loop is here:
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
                f"{where} does not answer in HTTP ({words(error)}). Check base_url.",
                provider=self._provider,
                retryable=False,
            )
        lost = isinstance(error, aiohttp.ServerDisconnectedError)
        why = "the server closed it" if lost else words(error)
        return TransportError(
            f"The connection to {where} broke before an answer ({why}). Try again.",
            provider=self._provider,
        )


def _cause(error: aiohttp.ClientConnectorError) -> str:
    """Return the system's words: asyncio's own, "Connect call failed", do not say why."""
    number = error.os_error.errno
    return os.strerror(number) if number and number > 0 else words(error.os_error)


async def _close_session(session: aiohttp.ClientSession) -> None:
    await session.close()
