"""`rxagents chat`, over plain lines and at a terminal."""

from __future__ import annotations

import signal
import sys
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

import msgspec
import pytest
from matrix import only_full

from rxagents import Deny, ToolCall
from rxagents.cli.approval import ask_user
from rxagents.testing import Ending, Reply, ScriptedServer, StatusReply
from rxagents.testing.scripted_server import ReceivedRequest

pytestmark = pytest.mark.real_time

needs_terminal = pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")

REFUND = """
import rxagents
from rxagents.cli.approval import ask_user

@rxagents.tool(requires_approval=True)
def refund(order: str) -> str:
    return f"refunded {order}"

agent = rxagents.FunctionAgent(rxagents.get_model("openai:any"), [refund], approve=ask_user)
"""
CALL = ToolCall("call_1", "refund", '{"order": "A1"}')


def said(request: ReceivedRequest) -> list[str]:
    return [message["content"] for message in request.json()["messages"]]


def count(request: ReceivedRequest) -> Reply:
    """Reply with the number of messages; `story` never ends."""
    if said(request)[-1] == "story":
        return Reply("Once upon a time", cut_after=5, ending=Ending.STALL)
    return Reply(f"It is message {len(said(request))}.")


def refunding(request: ReceivedRequest) -> Reply:
    last = request.json()["messages"][-1]
    if last["role"] == "tool":
        return Reply(f"Done: {last['content']}")
    return Reply(tool_calls=[CALL])


def model_of(server: ScriptedServer) -> tuple[str, ...]:
    return ("-m", "openai:any", "--base-url", server.url)


async def lines(run: Any, script: Any, typed: str, *options: str, **more: Any) -> Any:
    async with ScriptedServer(script) as server:
        command = ("chat", *model_of(server), *options)
        return await run(*command, stdin=typed.encode(), **more), server


async def test_each_line_is_a_message(run: Any) -> None:
    done, server = await lines(run, count, "Hi\n\nAnd?\n", "-s", "Be brief.")
    assert done == (0, "It is message 2.\nIt is message 4.\n", "\n\n")
    assert said(server.requests[1]) == ["Be brief.", "Hi", "It is message 2.", "And?"]


async def test_prompt_is_the_first_message(run: Any) -> None:
    done, server = await lines(run, count, "And?\n", "What", "now?")
    assert done.out == "It is message 1.\nIt is message 3.\n"
    assert said(server.requests[0]) == ["What now?"]


@only_full
async def test_chat_continues_a_conversation(run: Any) -> None:
    await lines(run, count, "Hi\n")
    assert (await lines(run, count, "And?\n", "-c"))[0].out == "It is message 3.\n"
    assert (await lines(run, count, "More?\n", "-c", "-n"))[0].out == "It is message 5.\n"
    logged = (await run("logs", "--json", "-n", "0")).out.splitlines()
    assert [msgspec.json.decode(line)["prompt"] for line in logged] == ["Hi", "And?"]


@only_full
async def test_new_and_open_change_the_conversation(run: Any) -> None:
    await lines(run, count, "Hi\n")
    key = msgspec.json.decode((await run("logs", "--json")).out)["conversation"]
    done, _ = await lines(run, count, f"One\n/new\nTwo\n/open {key}\nThree\n/list\n/exit\nFour\n")
    assert done.out == "It is message 1.\nIt is message 1.\nIt is message 3.\n"
    assert f"Conversation {key}: 1 questions so far." in done.err
    assert [line[24:] for line in done.err.splitlines()[-3:]] == ["Hi", "Two", "One"]


async def test_model_and_system_prompt_change(run: Any) -> None:
    done, server = await lines(
        run, count, "/system Be kind.\nHi\n/model scripted:Other.\nAnd?\n/model nobody:x\nStill?\n"
    )
    assert said(server.requests[0]) == ["Be kind.", "Hi"]
    assert done.out == "It is message 2.\nOther.\nOther.\n"
    assert "Error: The model 'nobody:x'" in done.err


async def test_files_are_attached_to_next_message(run: Any, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\nrest")
    (tmp_path / "b.txt").write_text("text")
    typed = "Look\n/attach a.png\n/attach no.png\nAnd this\nNothing\n"
    done, server = await lines(run, "ok", typed, "-f", "b.txt", cwd=tmp_path)
    first, second, third = (request.json()["messages"][-1] for request in server.requests)
    assert first["content"] == '<file name="b.txt">\ntext\n</file>\n\nLook'
    assert [part["type"] for part in second["content"]] == ["image_url", "text"]
    assert third["content"] == "Nothing"
    assert "Error: --attach no.png: No such file" in done.err


async def test_failure_keeps_the_session(run: Any) -> None:
    async with ScriptedServer(StatusReply(400, "no"), count) as server:
        done = await run("chat", *model_of(server), stdin=b"Hi\n/nonsense\n/open\n/now x\nAgain\n")
    assert (done.status, done.out) == (0, "It is message 1.\n")
    errors = [line for line in done.err.splitlines() if line.startswith("Error: ")]
    assert [line[:40] for line in errors] == [
        "Error: openai answered with status 400: ",
        "Error: There is no command /nonsense: /h",
        "Error: Write /open ID.",
        "Error: No answer runs: type the message ",
    ]


@only_full
@pytest.mark.parametrize(
    ("reply", "result"),
    [("y\n", "refunded A1"), ("too much\n", "not approved (too much)"), ("", "not approved")],
    ids=["yes", "reason", "end"],
)
@pytest.mark.parametrize("own", [False, True], ids=["tool", "agent"])
async def test_tool_is_approved_in_place(
    run: Any, tmp_path: Path, reply: str, result: str, own: bool
) -> None:
    (tmp_path / "mine.py").write_text(REFUND)
    async with ScriptedServer(refunding) as server:
        options = ("--agent", "mine:agent") if own else (*model_of(server), "-T", "mine:refund")
        done = await run(
            "chat",
            *options,
            stdin=f"Refund it\n{reply}".encode(),
            cwd=tmp_path,
            OPENAI_API_KEY="any",
            OPENAI_BASE_URL=server.url,
        )
    assert 'May refund {"order": "A1"} run?' in done.err
    assert done.out.startswith("Done: ")
    assert result in done.out
    assert ("tool: refund" in done.err) == (reply == "y\n")


async def test_nobody_approves_without_a_chat() -> None:
    decision = await ask_user(CALL)
    assert isinstance(decision, Deny)
    assert "nobody is there" in decision.reason


@only_full
@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
async def test_interrupt_stops_answer_and_keeps_session(start: Any) -> None:
    async with ScriptedServer(count) as server:
        process = await start("chat", *model_of(server), stdin=PIPE)
        process.stdin.write(b"story\n")
        await process.stdout.readuntil(b"time")
        process.send_signal(signal.SIGINT)
        await server.disconnected()
        out, _ = await process.communicate(b"Hi\n")
        assert process.returncode == 0
        assert out.endswith(b"It is message 3.\n"), "memory keeps the part that was seen"


@only_full
@needs_terminal
async def test_chat_at_terminal(at_terminal: Any) -> None:
    async with ScriptedServer(count) as server:
        async with at_terminal("chat", *model_of(server)) as terminal:
            await terminal.until("Chat with openai:any.")
            terminal.type("Hi\r")
            await terminal.until("It is message 1.")
            terminal.type("/sys\t very brief\r")
            await terminal.until("System prompt: very brief")
            terminal.type("two\x1b\rlines\r")
            await terminal.until("It is message 4.")
            assert said(server.requests[1])[-1] == "two\nlines"
            terminal.type("\x03")
            await terminal.until("Ctrl-D ends the chat.")
            terminal.type("\x04")
            assert await terminal.process.wait() == 0


@only_full
@needs_terminal
async def test_ctrl_c_stops_answer_at_terminal(at_terminal: Any) -> None:
    async with ScriptedServer(count) as server:
        async with at_terminal("chat", *model_of(server)) as terminal:
            await terminal.until("Ctrl-D ends.")
            terminal.type("story\r")
            await terminal.until("Once upon a time")
            terminal.type("\x03")
            await server.disconnected()
            await terminal.until("Stopped.")
            terminal.type("Hi\r")
            await terminal.until("It is message 3.")
            terminal.type("story\r")
            await terminal.until("Once upon a time")
            terminal.type("\x04")  # ends the chat in the middle of an answer
            assert await terminal.process.wait() == 0
            await server.disconnected(2)


@only_full
@needs_terminal
async def test_message_while_answer_runs_steers(at_terminal: Any) -> None:
    async with ScriptedServer(Reply("word " * 60, interval=0.02), count) as server:
        async with at_terminal("chat", *model_of(server)) as terminal:
            await terminal.until("Ctrl-D ends.")
            terminal.type("Hi\r")
            await terminal.until("word")
            terminal.type("And this?\r")
            await terminal.until("The model sees this in its next turn")
            await terminal.until("It is message 3.")
            assert said(server.requests[1])[-1] == "And this?"
            assert said(server.requests[1])[1].strip() == ("word " * 60).strip()


@needs_terminal
async def test_message_now_interrupts_answer(at_terminal: Any) -> None:
    async with ScriptedServer(count) as server:
        async with at_terminal("chat", *model_of(server)) as terminal:
            await terminal.until("Ctrl-D ends.")
            terminal.type("story\r")
            await terminal.until("Once upon a time")
            terminal.type("/now Stop that.\r")
            await server.disconnected()
            await terminal.until("It is message 3.")
            assert said(server.requests[1])[-1] == "Stop that."


@only_full
@needs_terminal
async def test_approval_at_terminal(at_terminal: Any, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(REFUND)
    async with ScriptedServer(refunding) as server:
        async with at_terminal(
            "chat",
            *model_of(server),
            "-T",
            "mine:refund",
            "Refund it",
            cwd=tmp_path,
            OPENAI_API_KEY="any",
        ) as terminal:
            await terminal.until('May refund {"order": "A1"} run?')
            terminal.type("y\r")
            await terminal.until('tool: refund {"order":"A1"}')
            await terminal.until("Done: refunded A1")


@only_full
@needs_terminal
async def test_sigterm_ends_chat_with_its_status(at_terminal: Any) -> None:
    async with ScriptedServer(count) as server:
        async with at_terminal("chat", *model_of(server), "story") as terminal:
            await terminal.until("Once upon a time")
            terminal.process.send_signal(signal.SIGTERM)
            assert await terminal.process.wait() == 143
            await server.disconnected()


@only_full
@needs_terminal
async def test_typed_lines_are_remembered(at_terminal: Any, home: Path) -> None:
    for options, kept in (((), True), (("-n",), False)):
        (home / "history").unlink(missing_ok=True)
        async with at_terminal("chat", "-m", "scripted:Fine.", *options) as terminal:
            await terminal.until("Ctrl-D ends.")
            terminal.type("Hello you\r")
            await terminal.until("Fine.")
            terminal.type("\x04")
            assert await terminal.process.wait() == 0
            assert (home / "history").exists() == kept
