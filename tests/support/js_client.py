"""Start the JavaScript clients of `tests/serve/js_clients` against a server.

`npm install --prefix tests/serve/js_clients` installs them; without them the tests are skipped.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from serving import Served, serving

FOLDER = Path(__file__).parents[1] / "serve" / "js_clients"

needs_js_clients = pytest.mark.skipif(
    shutil.which("node") is None or not (FOLDER / "node_modules").is_dir(),
    reason="Node.js is missing, or `npm install --prefix tests/serve/js_clients` was not run",
)

SECONDS = 20
"""Only a safety net against a client that hangs."""


@asynccontextmanager
async def started(script: str, url: str, *words: str) -> AsyncIterator[Any]:
    """Start a client, and end it with the block."""
    command = ["node", str(FOLDER / script), url, *words]
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE)
    try:
        async with asyncio.timeout(SECONDS):
            yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def result_of(process: Any) -> Any:
    """Return the JSON that a client prints."""
    printed, complaint = await process.communicate()
    assert process.returncode == 0, complaint.decode()
    return json.loads(printed)


async def read(script: str, agent: Any, *words: str, **options: Any) -> Any:
    """Serve an agent, and return what a client has read."""
    async with serving(agent, **options) as server, client(script, server, *words) as process:
        return await result_of(process)


def client(script: str, server: Served, *words: str) -> Any:
    """Return `started` for a server."""
    return started(script, server.url, *words)
