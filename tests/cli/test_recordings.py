"""`rxagents record`, `replay` and `marbles`."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import draw_runs
import pytest
from click.testing import CliRunner, Result
from matrix import only_full

from rxagents.cli.commands import cli
from rxagents.cli.signals import StopSignals

pytestmark = pytest.mark.real_time

Invoke: TypeAlias = Callable[..., Result]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which commands run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RXAGENTS_MODEL", raising=False)
    return tmp_path


@pytest.fixture
def invoke(folder: Path) -> Invoke:
    """Run a command in this process."""
    del folder

    def invoke(*arguments: str) -> Result:
        result = CliRunner().invoke(
            cli, arguments, obj=StopSignals(), standalone_mode=False, catch_exceptions=False
        )
        result.exit_code = result.return_value
        return result

    return invoke


def test_recording_plays_and_is_drawn(invoke: Invoke, folder: Path) -> None:
    text = "Hello! I am a scripted model: I need no key, and I always say this.\n"
    done = invoke("record", "--to", "run.jsonl", "-n", "-m", "scripted:", "Hi")
    assert (done.exit_code, done.stdout) == (0, text)
    assert json.loads((folder / "run.jsonl").read_text().splitlines()[-1])["completed"]
    assert invoke("replay", "run.jsonl", "--speed", "4").stdout == text
    drawn = invoke("marbles", "run.jsonl")
    assert drawn.exit_code == 0
    assert drawn.stdout.startswith("run.jsonl: 15 tokens in ")
    assert invoke("marbles", "run.jsonl", "--to", "run.svg", "--title", "A run").stdout == ""
    svg = (folder / "run.svg").read_text()
    assert ">A run</text>" in svg
    assert invoke("marbles", "run.jsonl", "--to", "-", "--title", "A run").stdout == svg


def test_agent_is_recorded_as_events(invoke: Invoke, folder: Path) -> None:
    done = invoke("record", "--to", "run.jsonl", "-n", "--agent", "react", "-m", "scripted:", "Hi")
    assert done.exit_code == 1  # the scripted model does not keep to the protocol of the agent
    first, *_, end = map(json.loads, (folder / "run.jsonl").read_text().splitlines())
    assert first["item"]["type"] == "turn_start"
    assert end["error"]["kind"] == "MaxIterationsError"
    played = invoke("replay", "run.jsonl", "--speed", "inf")
    assert (played.exit_code, played.stdout) == (1, done.stdout)
    assert "MaxIterationsError" in invoke("marbles", "run.jsonl").stdout


def test_replay_as_json_has_all_items(invoke: Invoke, folder: Path) -> None:
    draw_runs.picture("tools", folder)
    done = invoke("replay", "tools.jsonl", "--speed", "inf", "--json")
    lines = (folder / "tools.jsonl").read_text().splitlines()[:-1]
    assert list(map(json.loads, done.stdout.splitlines())) == [
        json.loads(line)["item"] for line in lines
    ]


@only_full
def test_replay_keeps_the_pace(invoke: Invoke, folder: Path) -> None:
    draw_runs.picture("short", folder)
    start = time.perf_counter()
    invoke("replay", "short.jsonl", "--speed", "4")
    assert time.perf_counter() - start >= 0.49


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["replay", "missing.jsonl"], r"missing\.jsonl cannot be read"),
        (["replay", "numbers.jsonl"], "has no events or chunks"),
        (["replay", "short.jsonl", "--speed", "0"], "--speed|speed must be a number above 0"),
        (["replay", "short.jsonl", "--speed", "nan"], "speed must be a number above 0"),
        (["marbles", "missing.jsonl"], r"cannot be read: .*missing\.jsonl"),
        (["marbles", "short.jsonl", "--to", "run.png"], r"ends in \.svg"),
        (["marbles", "short.jsonl", "--to", "nowhere/run.svg"], "cannot be written"),
        (["marbles", "short.jsonl", "--width", "9"], "width must be 320"),
        (["record", "--to", "nowhere/run.jsonl", "-n", "-m", "scripted:", "Hi"], "cannot open"),
    ],
)
def test_wrong_use_is_named(
    invoke: Invoke, folder: Path, arguments: list[str], message: str
) -> None:
    draw_runs.picture("short", folder)
    (folder / "numbers.jsonl").write_text('{"at": 1, "item": 7}\n')
    done = invoke(*arguments)
    assert done.exit_code == 2
    assert done.stderr.startswith("Error: ")
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(done.stderr)


def test_empty_recording_plays_nothing(invoke: Invoke, folder: Path) -> None:
    (folder / "run.jsonl").write_text('{"at": 1, "completed": true}\n')
    assert (invoke("replay", "run.jsonl", "--speed", "inf").exit_code) == 0


def test_disposed_recording_ends_with_an_error(invoke: Invoke, folder: Path) -> None:
    draw_runs.picture("long", folder)
    done = invoke("replay", "long.jsonl", "--speed", "inf")
    assert done.exit_code == 1
    assert "the recorded stream was disposed" in done.stderr


def test_names_cannot_control_the_terminal(invoke: Invoke, folder: Path) -> None:
    (folder / "run.jsonl").write_text(
        '{"at": 1, "item": {"type": "tool_start", "call_id": "a", "name": "\\u0007x"}}\n'
    )
    shown = invoke("marbles", "run.jsonl").stdout
    assert "\nx  " in shown
    assert "\x07" not in shown


@only_full
async def test_ctrl_c_is_recorded(start: Any, tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(
        "import rxagents\nfrom rxagents.testing import Reply, ScriptedLLM\n"
        "agent = rxagents.FunctionAgent(ScriptedLLM(Reply('one two', interval=60)))\n"
    )
    process = await start(
        "record", "--to", "run.jsonl", "-n", "--agent", "slow:agent", "Hi", cwd=tmp_path
    )
    assert await process.stdout.readexactly(3) == b"one"
    process.send_signal(signal.SIGINT)
    assert await process.wait() == 130
    await process.communicate()
    last = (tmp_path / "run.jsonl").read_text().splitlines()[-1]
    assert json.loads(last)["stopped"] == "disposed"
