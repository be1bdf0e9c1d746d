"""The help, the version and the missing extra."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from child import SECONDS

import rxagents

pytestmark = pytest.mark.real_time

MAIN = "from rxagents.cli import main; sys.exit(main())"


async def test_no_command_shows_help(run: Any) -> None:
    done = await run()
    assert done == await run("--help")
    assert "demo" in done.out
    assert (done.status, done.err) == (0, "")


async def test_version_is_shown(run: Any) -> None:
    assert rxagents.__version__ in (await run("--version")).out


@pytest.mark.parametrize("command", [[], ["ask"], ["batch"], ["logs"], ["marbles"], ["serve"]])
async def test_help_has_examples(run: Any, command: list[str]) -> None:
    text = (await run(*command, "--help")).out
    assert "\n    rxagents " in text[text.index("  Examples:\n") :]


@pytest.mark.parametrize("missing", ["click", "rich", "rich.live", "platformdirs"])
def test_missing_extra_is_named(missing: str) -> None:
    done = run_without(missing)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "The command line needs the extra 'cli': pip install 'rxagents[cli]'\n"


def test_missing_prompt_is_named() -> None:
    """The library for the prompt is imported only when a chat begins at a terminal."""
    code = f"""
import io, sys
import rxagents.cli.chat_command as chat
class Keyboard(io.StringIO):
    def isatty(self):
        return True
sys.stdin, chat.at_terminal = Keyboard(), lambda: True
sys.modules["prompt_toolkit"] = None
sys.argv = ["rxagents", "chat", "-n", "-m", "scripted:"]
{MAIN}
"""
    command = [sys.executable, "-c", code.replace("; sys.exit", "\nsys.exit")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "The command line needs the extra 'cli': pip install 'rxagents[cli]'\n"


def test_other_missing_module_is_raised() -> None:
    assert "ModuleNotFoundError" in run_without("rxagents.cli.commands").stderr


def test_early_ctrl_c_is_silent() -> None:
    """Ctrl-C while the program is still being imported."""
    code = f"""
import sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "click":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Finder())
{MAIN.replace("; sys", chr(10) + "sys")}
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def run_without(module: str) -> subprocess.CompletedProcess[str]:
    code = f"import sys; sys.modules[{module!r}] = None; {MAIN}"
    command = [sys.executable, "-c", code, "demo"]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)
