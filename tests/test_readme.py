"""Run the examples, unchanged and offline, and check what the README promises first."""

from __future__ import annotations

from pathlib import Path

import pytest
from offline import run_offline
from pages import README, ROOT

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


@pytest.mark.real_time
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
async def test_example_runs(example: Path) -> None:
    assert (await run_offline(str(example), typed="Hi\nMy name is Ada.\n")).strip()


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_example_is_short(example: Path) -> None:
    assert len(example.read_text().splitlines()) < 60


def test_first_screen_holds_both_commands() -> None:
    first_screen = README.read_text().splitlines()[:22]
    assert "pip install -e '.[cli]' && rxagents demo" in first_screen
    assert "pip install -e '.[dev]' && pytest" in first_screen


def test_makefile_runs_the_test_command() -> None:
    assert "\tpip install -e '.[dev]' && pytest\n" in (ROOT / "Makefile").read_text()
