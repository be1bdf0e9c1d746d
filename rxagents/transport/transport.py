"""Send the requests of one provider."""

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
from rxagents.transport.connection import KeptConnectionLostError
from rxagents.transport.failures import closed_session_error, one_line
from rxagents.transport.http_response import HttpResponse
from rxagents.transport.per_loop import PerLoop
from rxagents.transport.proxy import proxy_of_environment
from rxagents.transport.session import make_session

READ_BUFFER_BYTES = 64 * 1024
"""aiohttp stops the socket at twice this. With its default a slow consumer stops it megabytes
late."""


class StaleConnectionError(TransportError):
    """The server had closed a kept connection before it read the request: send it again at once.

    It is no failure of the provider, and does not count as a retry.
    """


class Transport:
    """Sends a provider's requests, over one session a running loop.

    Args:
        provider: The provider's name, for errors.
        session: The caller's own session, which is never closed here. `None` makes one for each
            loop, without a limit on connections, without cookies, and with the environment's
            proxies.
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
        """Send a request, and wait for the status and headers of the response.

        Args:
            url: The full URL.
            headers: All headers but `accept-encoding`.
            body: The body of a POST; `None` for a GET.
            connect_timeout: Seconds for name lookup, connection and TLS; `None` for no limit.

        Raises:
            ConnectTimeoutError: There was no connection within `connect_timeout`.
            StaleConnectionError: A kept connection turned out to be closed.
            TransportError: There was no connection, or no HTTP response on it.
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
                f"No connection to {url.host} within Timeouts.connect ({connect_timeout} s). "
                "Check base_url and the network, or raise the timeout.",
                provider=self._provider,
            )
        except (aiohttp.ClientError, OSError) as error:
            if session.closed:
                failure = closed_session_error(self._provider)
            elif isinstance(error, KeptConnectionLostError):
                failure = StaleConnectionError(
                    f"{url.authority} closed a connection that was kept open from an earlier "
                    "request. Try again.",
                    provider=self._provider,
                )
            else:
                failure = self._connection_error(error, url)
        except (RuntimeError, ValueError) as error:  # the caller's session is closed, or has auth
            raise ConfigurationError(
                f"The session that was given cannot send the request: {error}. Check the argument "
                "session."
            ) from error
        else:
            return self._http_response(response, session)
        # Raised here, without a cause: aiohttp's errors hold the request with its key.
        raise failure

    def _http_response(
        self, response: aiohttp.ClientResponse, session: aiohttp.ClientSession
    ) -> HttpResponse:
        coding = response.headers.get("content-encoding", "").strip().lower()
        if coding in {"", "identity"}:
            return HttpResponse(response, self._provider, session, self._lingering)
        return CompressedResponse(coding, response, self._provider, session, self._lingering)

    async def aclose(self) -> None:
        """Close the running loop's session and all its connections."""
        here = asyncio.get_running_loop()
        for response, loop in tuple(self._lingering.items()):
            if loop is here:
                response.close()
        await self._sessions.aclose()

    def _connection_error(self, error: aiohttp.ClientError | OSError, url: URL) -> ProviderError:
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
                f"Cannot connect to {where} through the environment's proxy {error.host}:"
                f"{error.port} ({_reason(error)}). Check HTTP_PROXY, HTTPS_PROXY and NO_PROXY.",
                provider=self._provider,
            )
        if isinstance(error, aiohttp.ClientConnectorError):
            return ConnectError(
                f"Cannot connect to {where} ({_reason(error)}). Check base_url, the network, and "
                "that the server runs.",
                provider=self._provider,
            )
        if isinstance(error, aiohttp.ClientResponseError):
            return ProtocolError(
                f"{where} did not answer with valid HTTP ({one_line(error)}). Check base_url.",
                provider=self._provider,
                retryable=False,
            )
        is_closed = isinstance(error, aiohttp.ServerDisconnectedError)
        reason = "the server closed it" if is_closed else one_line(error)
        return TransportError(
            f"The connection to {where} broke before the response ({reason}). Try again.",
            provider=self._provider,
        )


def _reason(error: aiohttp.ClientConnectorError) -> str:
    """Return the system's message: asyncio's own, "Connect call failed", does not say why."""
    number = error.os_error.errno
    return os.strerror(number) if number and number > 0 else one_line(error.os_error)


async def _close_session(session: aiohttp.ClientSession) -> None:
    await session.close()
