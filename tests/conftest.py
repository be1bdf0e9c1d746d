"""Run `async def` tests, and fail each that leaks a task, a socket, an error or a warning."""

from __future__ import annotations

import gc
import inspect
from collections.abc import Iterator
from typing import Any

import matrix
import pytest
import running
from hypothesis import settings

LEFT_OUT = pytest.StashKey[int]()

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
    "RXAGENTS_INSPECT",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--full",
        action="store_true",
        help="run the whole matrix of tests, with more examples, and loops in asyncio's debug mode",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "real_time: run the test on a loop with the usual clock")
    config.addinivalue_line("markers", "only_full: run this test, or this value, with --full only")
    config.addinivalue_line(
        "markers", "one_of(id): run one of the values marked so; see tests/support/matrix.py"
    )
    full = config.getoption("full")
    running.debug = matrix.full = full
    settings.register_profile("full", deadline=None)
    settings.register_profile("default", deadline=None, max_examples=25)
    settings.load_profile("full" if full else "default")


@pytest.hookimpl(trylast=True)  # after -k and -m have chosen
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("full"):
        return
    left = matrix.left_out(items)
    config.stash[LEFT_OUT] = len(left)
    config.hook.pytest_deselected(items=[item for item in items if item in left])
    items[:] = [item for item in items if item not in left]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over the count from a worker of pytest-xdist; it is the same in each."""
    node.config.stash[LEFT_OUT] = getattr(node, "workeroutput", {}).get("left_out", 0)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left_out"] = session.config.stash.get(LEFT_OUT, 0)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if left := config.stash.get(LEFT_OUT, 0):
        terminalreporter.write_line(f"{left} tests were left out: `pytest --full` runs all.")


def pytest_collection_finish() -> None:
    """Take the imported modules out of all later collections, which cost 60 ms each otherwise."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Iterator[None]:
    running.forget_leaks()
    yield
    running.check_leaks()


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
        real_time=pyfuncitem.get_closest_marker("real_time") is not None,
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
