"""The types of the public API, as two type checkers see them.

`tests/typing` has the statements. mypy reads them in `make types`, with all other tests.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from matrix import only_full

ROOT = Path(__file__).parent.parent
STATEMENTS = ROOT / "tests" / "typing"

WRONG = """
from rxagents import FunctionAgent
from rxagents.providers.base_llm import BaseLLM

async def main(llm: BaseLLM) -> None:
    wrong: int = (await FunctionAgent(llm).run("?")).output
    FunctionAgent(llm, output_type=5)
    also_wrong: str = (await FunctionAgent(llm).run("?", output_type=int)).output
    await FunctionAgent(llm).run("?", outputs=int)
"""


def check(checker: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    python = ["--pythonpath", sys.executable] if checker == "pyright" else []
    command = [sys.executable, "-m", checker, *python, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def errors_of(output: str) -> list[str]:
    return [line for line in output.splitlines() if "error:" in line]


@only_full
@pytest.mark.parametrize("checker", ["mypy", "pyright"])
def test_type_checkers_agree_on_types(checker: str) -> None:
    ended = check(checker, *map(str, sorted(STATEMENTS.glob("*.py"))))
    assert ended.returncode == 0, ended.stdout + ended.stderr


@only_full
@pytest.mark.parametrize("checker", ["mypy", "pyright"])
def test_type_checkers_refuse_wrong_types(checker: str, tmp_path: Path) -> None:
    program = tmp_path / "wrong.py"
    program.write_text(WRONG)
    ended = check(checker, str(program))
    assert ended.returncode == 1, ended.stdout + ended.stderr
    lines = {line.partition("- error:")[0].split(":")[1] for line in errors_of(ended.stdout)}
    assert lines == {"6", "7", "8", "9"}, ended.stdout
