"""The choice of the environment's proxy, and the errors of connections through one."""

from __future__ import annotations

import ssl
from unittest.mock import Mock

import aiohttp
import pytest
from yarl import URL

from rxagents import ConnectError
from rxagents.transport.failures import connection_error
from rxagents.transport.proxy import proxy_of_environment

URL_OF_MODEL = URL("http://model.example/v1")


def test_no_proxy_excludes_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example:3128")
    assert proxy_of_environment(URL_OF_MODEL) is not None
    monkeypatch.setenv("NO_PROXY", "model.example")
    assert proxy_of_environment(URL_OF_MODEL) is None


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
def test_proxy_is_found_in_each_variable(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "http://proxy.example:3128")
    proxy = proxy_of_environment(URL_OF_MODEL)
    assert proxy is not None
    assert (proxy.url.host, proxy_of_environment(URL("https://a.example")) is None) == (
        "proxy.example",
        "all" not in variable.lower(),
    )


@pytest.mark.parametrize(
    ("value", "host"), [(" http://proxy.example:3128 ", "proxy.example"), (" ", None)]
)
def test_white_space_around_proxy_is_ignored(
    value: str, host: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", value)
    proxy = proxy_of_environment(URL_OF_MODEL)
    assert (proxy and proxy.url.host) == host


def test_proxy_of_session_is_named() -> None:
    key = Mock(host="proxy.example", port=3128)
    failure = aiohttp.ClientProxyConnectionError(key, OSError(111, "refused"))
    error = connection_error("acme", failure, URL_OF_MODEL, None)
    assert isinstance(error, ConnectError)
    assert "through the session's proxy proxy.example:3128" in str(error)
    assert "Check the argument session." in str(error)


@pytest.mark.parametrize(
    ("reason", "retried"), [(ssl.SSLEOFError(8, "EOF"), True), (ssl.SSLError(1, "bad"), False)]
)
def test_only_closed_handshake_is_retryable(reason: ssl.SSLError, retried: bool) -> None:
    failure = aiohttp.ClientConnectorSSLError(Mock(host="h", port=1), reason)
    assert connection_error("acme", failure, URL_OF_MODEL, None).retryable is retried
