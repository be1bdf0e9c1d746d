"""What the README and the examples show runs, as it stands there."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from rxagents import Usage
from rxagents.testing import Reply, ScriptedServer

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


async def run_offline(*arguments: str) -> str:
    """Run Python with the environment of a user whose OpenAI is a scripted server."""
    reply = Reply("Hello from the script. " * 5, usage=Usage(1, 2, 3))
    async with ScriptedServer(reply) as server:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-X",
            "dev",
            "-W",
            "error",
            *arguments,
            env={"OPENAI_API_KEY": "any", "OPENAI_BASE_URL": server.url},
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, errors = await process.communicate()
        assert (process.returncode, errors.decode()) == (0, "")
        return output.decode()


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_a_block_of_the_readme_runs(block: str, run_async: Any) -> None:
    assert run_async(run_offline("-c", block)).strip()


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_runs(example: Path, run_async: Any) -> None:
    assert run_async(run_offline(str(example))).strip()


def test_the_first_screen_holds_the_two_commands() -> None:
    first_screen = README.splitlines()[:22]
    assert "pip install -e '.[cli]' && rxagents demo" in first_screen
    assert "pip install -e '.[dev]' && pytest" in first_screen


def test_the_makefile_runs_the_readmes_test_command() -> None:
    assert "\tpip install -e '.[dev]' && pytest\n" in (ROOT / "Makefile").read_text()
