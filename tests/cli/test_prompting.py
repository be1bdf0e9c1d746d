"""A program that reads stdin says so, when nobody closes it."""

from __future__ import annotations

import io
import sys
import threading
from types import SimpleNamespace

import pytest
from child import SECONDS

from rxagents.cli import prompting

pytestmark = pytest.mark.real_time


class _Screen(io.StringIO):
    """A terminal that announces what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.written = threading.Event()

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        count = super().write(text)
        if text:  # click writes nothing first, to see whether it may
            self.written.set()
        return count


def test_silent_pipe_gets_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = _Screen()

    def read() -> bytes:
        assert screen.written.wait(SECONDS)
        return b"late"

    stdin = SimpleNamespace(isatty=lambda: False, buffer=SimpleNamespace(read=read))
    monkeypatch.setattr(prompting, "_SILENCE", 0)
    monkeypatch.setattr(sys, "stdin", stdin)
    monkeypatch.setattr(sys, "stderr", screen)
    assert prompting.read_prompt(["Hi"]) == "late\n\nHi"
    assert screen.getvalue().startswith("Reading stdin. End it with ")


def test_pipe_that_ends_gets_no_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = _Screen()
    stdin = SimpleNamespace(isatty=lambda: False, buffer=io.BytesIO(b"soon"))
    monkeypatch.setattr(sys, "stdin", stdin)
    monkeypatch.setattr(sys, "stderr", screen)
    assert prompting.read_prompt([]) == "soon"
    assert screen.getvalue() == ""
