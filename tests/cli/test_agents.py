"""`rxagents ask --agent`, with its output in a pipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from matrix import only_full

from rxagents import StreamEvent, ToolCall
from rxagents.testing import Reply
from rxagents.testing.scripted_server import ReceivedRequest

pytestmark = pytest.mark.real_time

CALL = ToolCall("call_1", "calculator", '{"expression": "123 * 456"}')


MINE = """
import rxagents
from rxagents.testing import ScriptedLLM

@rxagents.tool
def shout(text: str) -> str:
    return text.upper()

agent = rxagents.FunctionAgent(ScriptedLLM("I am yours."))
"""


def reply_of_react(request: ReceivedRequest) -> Reply:
    """Reply with an action first, then with the observation as answer."""
    observed = request.json()["messages"][-1]["content"]
    if not observed.startswith("Observation: "):
        return Reply('Thought: I calculate.\nAction: calculator(expression="123 * 456")')
    return Reply(f"Answer: It is {observed.removeprefix('Observation: ')}.")


def reply_of_function(request: ReceivedRequest) -> Reply:
    """Reply with a tool call first, then with its result as answer."""
    last = request.json()["messages"][-1]
    if last["role"] == "user":
        return Reply(tool_calls=[CALL])
    return Reply(f"It is {last['content']}.")


@only_full
@pytest.mark.parametrize(
    ("agent", "script"), [("react", reply_of_react), ("function", reply_of_function)]
)
async def test_only_answer_goes_to_stdout(agent: str, script: Any, ask: Any) -> None:
    done, server = await ask(script, "--agent", agent, "--tool", "calculator")
    assert (done.status, done.out) == (0, "It is 56088.\n")
    assert 'tool: calculator {"expression":"123 * 456"}\nresult: 56088\n' in done.err
    assert len(server.requests) == 2


async def test_each_json_line_is_an_event(ask: Any) -> None:
    done, _ = await ask(reply_of_react, "--agent", "react", "--tool", "calculator", "--json")
    events = [msgspec.json.decode(line, type=StreamEvent) for line in done.out.splitlines()]
    assert [event.type for event in events[-3:]] == ["answer", "turn_end", "complete"]
    assert events[-1].content == "It is 56088."


async def test_options_reach_agent_requests(ask: Any) -> None:
    _, server = await ask(
        "Answer: ok", "--agent", "react", "--system", "Be brief.", "--max-tokens", "7"
    )
    body = server.requests[0].json()
    assert body["max_tokens"] == 7
    assert "Be brief." in body["messages"][0]["content"]


@only_full
async def test_failed_run_is_one_line(ask: Any) -> None:
    done, server = await ask("I do not know the form.", "--agent", "react")
    assert done.status == 1
    assert done.err.splitlines()[-1].startswith("Error: The run has no answer after its 10 turns:")
    assert len(server.requests) == 10


@only_full
async def test_agent_and_tool_of_a_module(ask: Any, run: Any, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    # The installed program has no folder of its own on the path, unlike python -m.
    done = await run("ask", "Hi", "--agent", "mine:agent", cwd=tmp_path, PYTHONSAFEPATH="1")
    assert (done.status, done.out) == (0, "I am yours.\n")
    done, server = await ask(
        reply_of_function,
        "--agent",
        "function",
        "-T",
        "calculator",
        "-T",
        "mine:shout",
        cwd=tmp_path,
    )
    assert done.out == "It is 56088.\n"
    names = [tool["function"]["name"] for tool in server.requests[0].json()["tools"]]
    assert names == ["calculator", "shout"]


@only_full
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--agent", "mine"], "--agent mine is unknown: use function, react, or MODULE:NAME"),
        (["--agent", "mine:nobody"], "AttributeError"),
        (["--agent", "nowhere:agent"], "ModuleNotFoundError"),
        (["--agent", "mine:shout"], "it is no agent but Tool"),
        (["--agent", "function", "-T", "mine:agent"], "it is no tool but FunctionAgent"),
        (
            ["--agent", "mine:agent", "-m", "scripted:"],
            "--model has no use with --agent mine:agent",
        ),
        (["--agent", "function", "--schema", "name"], "--schema works without --agent"),
    ],
)
async def test_wrong_agent_is_named(
    run: Any, tmp_path: Path, options: list[str], words: str
) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    done = await run("ask", "Hi", *options, cwd=tmp_path)
    assert (done.status, done.out) == (2, "")
    assert words in done.err


async def test_tools_need_an_agent(run: Any) -> None:
    done = await run("ask", "Hi", "--model", "scripted:", "--tool", "calculator")
    assert done.status == 2
    assert done.err == "Error: --tool needs an agent: pass --agent function or --agent react.\n"
