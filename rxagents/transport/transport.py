"""Send the requests of one provider."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial

import aiohttp
from yarl import URL

from rxagents.core.errors import ConfigurationError, ProviderError, TransportError
from rxagents.parsing.content_encoding import ACCEPTED
from rxagents.runtime.per_loop import PerLoop
from rxagents.transport.compressed_response import CompressedResponse
from rxagents.transport.connection import KeptConnectionLostError
from rxagents.transport.failures import (
    closed_session_error,
    connect_timeout_error,
    connection_error,
    invalid_http_error,
    one_line,
)
from rxagents.transport.http_response import HttpResponse
from rxagents.transport.interception import HttpRequest, Interceptor, StreamedResponse
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
            proxies. An `Interceptor` gets each request before such a session.
    """

    def __init__(
        self, provider: str, session: aiohttp.ClientSession | Interceptor | None = None
    ) -> None:
        self._provider = provider
        self._session = session if isinstance(session, aiohttp.ClientSession) else None
        self._interceptor = None if isinstance(session, aiohttp.ClientSession) else session
        self._sessions = PerLoop(make_session, _close_session)
        self._lingering: dict[HttpResponse, asyncio.AbstractEventLoop] = {}
        self._loops = PerLoop(asyncio.get_running_loop, self._close_lingering)

    async def send(
        self,
        url: URL,
        headers: Mapping[str, str],
        body: bytes | None,
        connect_timeout: float | None,
    ) -> StreamedResponse:
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
            ConfigurationError: The environment's proxy or the caller's session is not usable.
        """
        if self._interceptor is None:
            return await self._send(url, headers, body, connect_timeout)
        method = "GET" if body is None else "POST"
        return await self._interceptor.intercept(
            HttpRequest(self._provider, method, url, headers, body),
            partial(self._send, url, headers, body, connect_timeout),
        )

    async def _send(
        self,
        url: URL,
        headers: Mapping[str, str],
        body: bytes | None,
        connect_timeout: float | None,
    ) -> HttpResponse:
        proxy = proxy_of_environment(url) if self._session is None else None
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
                proxy=None if proxy is None else proxy.url,
                proxy_headers=None if proxy is None else proxy.headers,
            )
        except aiohttp.ConnectionTimeoutError:
            failure: ProviderError = connect_timeout_error(
                self._provider, url, proxy, connect_timeout
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
                failure = connection_error(self._provider, error, url, proxy)
        except (RuntimeError, ValueError) as error:
            if self._session is None:
                raise ConfigurationError(
                    f"The request to {url.scheme}://{url.authority} cannot be sent "
                    f"({one_line(error)}). Check base_url and headers."
                ) from error
            # It is closed, or has credentials of its own beside the key.
            raise ConfigurationError(
                f"The session that was given cannot send the request: {error}. Check the argument "
                "session."
            ) from error
        else:
            if len(set(response.headers.getall("content-length", ()))) <= 1:
                return self._http_response(response, session)
            # RFC 9112, section 6.3: an error. aiohttp's Python parser takes the first one.
            response.close()
            reason = "it has two different Content-Length headers"
            failure = invalid_http_error(self._provider, reason, url, proxy)
        # Raised here, without a cause: aiohttp's errors hold the request with its key.
        raise failure

    def _http_response(
        self, response: aiohttp.ClientResponse, session: aiohttp.ClientSession
    ) -> HttpResponse:
        self._loops.get()  # closes what lingers when the loop ends
        coding = response.headers.get("content-encoding", "").strip().lower()
        if coding in {"", "identity"}:
            return HttpResponse(response, self._provider, session, self._lingering)
        return CompressedResponse(coding, response, self._provider, session, self._lingering)

    async def aclose(self) -> None:
        """Close the running loop's session and all its connections."""
        await self._close_lingering(asyncio.get_running_loop())
        await self._sessions.aclose()

    async def _close_lingering(self, loop: asyncio.AbstractEventLoop) -> None:
        for response, its_loop in tuple(self._lingering.items()):
            if its_loop is loop:
                response.close()


async def _close_session(session: aiohttp.ClientSession) -> None:
    await session.close()
