"""Check what the README promises first."""

from __future__ import annotations

from pages import README, ROOT


def test_first_screen_holds_both_commands() -> None:
    first_screen = README.read_text().splitlines()[:22]
    assert "pip install -e '.[cli]' && rxagents demo" in first_screen
    assert "pip install -e '.[dev]' && pytest" in first_screen


def test_makefile_runs_the_test_command() -> None:
    assert "\tpip install -e '.[dev]' && pytest\n" in (ROOT / "Makefile").read_text()
