"""Run the blocks of the README and the docs, and the examples, unchanged and offline."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

import pytest
from offline import answer

from rxagents.testing import ScriptedServer

pytestmark = pytest.mark.real_time

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
DOCS = sorted((ROOT / "docs").glob("*.md"))
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def blocks(page: str) -> list[str]:
    """Return the Python blocks of a page."""
    return re.findall(r"```python\n(.*?)```", page, re.DOTALL)


async def run_offline(*arguments: str, typed: str = "") -> str:
    """Run Python with the environment of a user whose OpenAI is a scripted server."""
    async with ScriptedServer(answer) as server:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-X",
            "dev",
            "-W",
            "error",
            *arguments,
            env={"OPENAI_API_KEY": "any", "OPENAI_BASE_URL": server.url},
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, errors = await process.communicate(typed.encode())
        assert (process.returncode, errors.decode()) == (0, "")
        return output.decode()


@pytest.mark.parametrize("block", blocks(README), ids=range(len(blocks(README))))
async def test_readme_block_runs(block: str) -> None:
    assert (await run_offline("-c", block)).strip()


@pytest.mark.parametrize("page", DOCS, ids=lambda path: path.name)
async def test_blocks_of_page_run_in_order(page: Path) -> None:
    program = "\n".join(blocks(page.read_text()))
    if program:
        assert (await run_offline("-c", program)).strip()


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
async def test_example_runs(example: Path) -> None:
    assert (await run_offline(str(example), typed="Hi\nMy name is Ada.\n")).strip()


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_example_is_short(example: Path) -> None:
    assert len(example.read_text().splitlines()) < 60


def test_first_screen_holds_both_commands() -> None:
    first_screen = README.splitlines()[:22]
    assert "pip install -e '.[cli]' && rxagents demo" in first_screen
    assert "pip install -e '.[dev]' && pytest" in first_screen


def test_makefile_runs_the_test_command() -> None:
    assert "\tpip install -e '.[dev]' && pytest\n" in (ROOT / "Makefile").read_text()
