"""Every test fails that leaks a task or a warning."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

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


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the tests apart from the keys and hosts of the machine they run on."""
    for name in _VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def loop_errors() -> list[dict[str, Any]]:
    """What reached the loop's exception handler; empty it to accept what it holds."""
    return []


@pytest.fixture
def run_async(
    loop_errors: list[dict[str, Any]],
) -> Iterator[Callable[[Awaitable[Any]], Any]]:
    """Run a coroutine on a debug loop; fail if it leaves a task, a socket or an unseen error."""

    def run(work: Awaitable[Any]) -> Any:
        async def supervised() -> Any:
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda _, context: loop_errors.append(context))
            result = await asyncio.wait_for(work, timeout=30)
            for _ in range(3):
                await asyncio.sleep(0)
            left = asyncio.all_tasks() - {asyncio.current_task()}
            assert not left, f"tasks left: {left}"
            return result

        return asyncio.run(supervised(), debug=True)

    yield run
    gc.collect()
    assert not loop_errors, f"errors nobody saw: {loop_errors}"
