"""Run `async def` tests, and fail each that leaks a task, a socket, an error or a warning."""

from __future__ import annotations

import gc
import inspect
from typing import Any

import pytest
import running

_VARIABLES = (
    "OPENAI_API_KEY",
    "OPENAI_BASE_URL",
    "OPENAI_ORG_ID",
    "OPENAI_PROJECT_ID",
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "ANTHROPIC_BASE_URL",
    "GOOGLE_API_KEY",
    "GEMINI_API_KEY",
    "OLLAMA_HOST",
    "OLLAMA_API_KEY",
    "http_proxy",
    "HTTP_PROXY",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="run loops in asyncio's debug mode")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "virtual_time: run the test on a loop with a virtual clock")
    running.debug = config.getoption("full")


def pytest_collection_finish() -> None:
    """Take the imported modules out of all later collections, which cost 60 ms each otherwise."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run an `async def` test; pytest itself runs, or refuses, whatever is not one."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    arguments: dict[str, Any] = {name: pyfuncitem.funcargs[name] for name in names}
    running.run_async(
        pyfuncitem.obj(**arguments),
        arguments.get("loop_errors"),
        virtual_time=pyfuncitem.get_closest_marker("virtual_time") is not None,
    )
    return True


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the keys, hosts and proxies of the machine from the environment."""
    for name in _VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def loop_errors() -> list[Exception]:
    """The errors that reached the loop's exception handler; an `async def` test must empty it."""
    return []
