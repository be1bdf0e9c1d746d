"""Run programs in processes of their own, none of which can make the tests hang."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

SECONDS = 240
"""How long a child may take: only a safety net against a child that hangs."""


def run_program(program: str, *options: str, arguments: Sequence[str] = ()) -> str:
    """Run Python code to its end, and return what it prints.

    Args:
        program: The code; it may be indented.
        *options: Options of the interpreter.
        arguments: The program's `sys.argv[1:]`.
    """
    command = [sys.executable, *options, "-c", textwrap.dedent(program), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def started(command: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Start a program; kill it after `SECONDS`, or when the test fails, so that no read hangs."""
    with subprocess.Popen(command, **options) as process:
        watchdog = threading.Timer(SECONDS, process.kill)
        watchdog.start()
        try:
            yield process
            process.wait()
        finally:
            watchdog.cancel()
            process.kill()
