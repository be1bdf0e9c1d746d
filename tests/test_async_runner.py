"""The runner of `async def` tests fails each that leaks, and never skips one."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from child import SECONDS
from matrix import only_full

from rxagents.testing.virtual_time import VirtualLoop

TESTS = Path(__file__).parent

PASSING = """
import asyncio, pytest

async def test_virtual_time_does_not_wait():
    await asyncio.sleep(1_000_000)

async def test_thread_is_waited_for():
    await asyncio.gather(asyncio.to_thread(lambda: 1), asyncio.sleep(1000))

@pytest.mark.real_time
async def test_real_time():
    assert type(asyncio.get_running_loop()).__name__ != "VirtualLoop"

@pytest.mark.parametrize("number", [1, 2])
class TestInClass:
    async def test_method(self, number, tmp_path):
        assert self and number and tmp_path

async def test_expected_error(loop_errors):
    asyncio.get_running_loop().call_soon(int, "x")
    await asyncio.sleep(0)
    assert [type(error) for error in loop_errors] == [ValueError]
    loop_errors.clear()
"""

FAILING = """
import asyncio

async def test_assertion():
    assert False

async def test_task_left():
    test_task_left.task = asyncio.create_task(asyncio.sleep(5))

async def test_timer_left():
    asyncio.get_running_loop().call_later(5, print)

async def test_socket_left():
    await asyncio.start_server(print, "127.0.0.1", 0)

async def test_error_nobody_saw():
    asyncio.get_running_loop().call_soon(int, "x")
    await asyncio.sleep(0)

async def test_error_not_taken(loop_errors):
    asyncio.get_running_loop().call_soon(int, "x")
    await asyncio.sleep(0)

async def test_failed_task_nobody_saw():
    asyncio.create_task(asyncio.wait_for(asyncio.Event().wait(), -1))
    await asyncio.sleep(1)

async def test_waits_for_ever():
    await asyncio.Event().wait()

def test_coroutine_nobody_awaits():
    return asyncio.sleep(0)

async def test_generator():
    yield
"""


def outcomes(folder: Path, tests: str) -> dict[str, set[str]]:
    """Run tests under this suite's `conftest.py`; return their names by outcome."""
    (folder / "conftest.py").write_text((TESTS / "conftest.py").read_text())
    (folder / "test_them.py").write_text(tests)
    (folder / "pytest.ini").write_text(
        f"[pytest]\npythonpath = {TESTS / 'support'}\nfilterwarnings = error\n"
    )
    command = [sys.executable, "-m", "pytest", "-rA", "-p", "no:cacheprovider", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)
    names: dict[str, set[str]] = {}
    for outcome, name in re.findall(r"^([A-Z]+) .*::(\w+)", done.stdout, re.MULTILINE):
        names.setdefault(outcome, set()).add(name)
    return names


@pytest.mark.parametrize(
    ("tests", "outcome"), [(PASSING, "PASSED"), pytest.param(FAILING, "FAILED", marks=only_full)]
)
def test_async_tests_have_their_outcome(tests: str, outcome: str, tmp_path: Path) -> None:
    assert outcomes(tmp_path, tests) == {outcome: set(re.findall(r"def (test_\w+)", tests))}


def test_one_value_is_chosen_unless_full(tmp_path: Path) -> None:
    """The choice is the same in every run, and `--full` runs all values."""
    tests = "from wires import any_wire\n\n@any_wire\ndef test_it(wire): pass\n"
    (tmp_path / "conftest.py").write_text((TESTS / "conftest.py").read_text())
    (tmp_path / "test_it.py").write_text(tests)
    (tmp_path / "pytest.ini").write_text(f"[pytest]\npythonpath = {TESTS / 'support'}\n")

    def listed(*options: str) -> list[str]:
        command = [sys.executable, "-m", "pytest", "--collect-only", "-q", *options, str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=True)
        return re.findall(r"::test_it\[(.*)\]", done.stdout)

    (one,) = listed()
    assert listed() == [one]
    assert one in listed("--full")
    assert len(listed("--full")) == 5


def test_time_stands_still_while_threads_are_joined() -> None:
    """From Python 3.13 on the loop joins them with a timeout, which may not come at once."""
    loop = VirtualLoop()
    jumps: list[float] = []
    try:
        loop.run_in_executor(None, time.sleep, 0.05).cancel()  # the thread goes on
        loop.call_later(300, jumps.append, 300)
        loop.run_until_complete(loop.shutdown_default_executor())
    finally:
        loop.close()
    assert jumps == []
