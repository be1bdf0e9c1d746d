"""`rxagents logs`, and conversations that go on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from matrix import only_full

from rxagents.testing import Reply, ScriptedServer, StatusReply
from rxagents.testing.scripted_server import ReceivedRequest

pytestmark = pytest.mark.real_time

ASK = ("ask", "-m")


def told(request: ReceivedRequest) -> Reply:
    """Reply with the number of messages that the model was sent."""
    return Reply(f"{len(request.json()['messages'])} messages")


async def logged(run: Any, *options: str) -> list[dict[str, Any]]:
    done = await run("logs", "--json", *options)
    assert (done.status, done.err) == (0, "")
    return [msgspec.json.decode(line) for line in done.out.splitlines()]


@only_full
async def test_log_is_empty_at_first(run: Any, home: Path) -> None:
    assert await logged(run) == []
    assert not home.exists(), "reading the log creates nothing"


async def test_questions_and_answers_are_kept(run: Any) -> None:
    for text in ("one", "two", "three", "four"):
        await run(*ASK, f"scripted:{text}", "-s", "Be brief.", f"Say {text}.")
    entries = await logged(run)
    assert [entry["response"] for entry in entries] == ["two", "three", "four"]
    last = entries[-1]
    assert (last["model"], last["system"]) == ("scripted:four", "Be brief.")
    assert last["prompt"] == "Say four."
    assert len({entry["conversation"] for entry in entries}) == 3
    assert [entry["response"] for entry in await logged(run, "-n", "1")] == ["four"]
    assert len(await logged(run, "-n", "0")) == 4
    assert [entry["response"] for entry in await logged(run, "-q", "SAY ONE")] == ["one"]
    assert [entry["response"] for entry in await logged(run, "-m", "scripted:two")] == ["two"]


async def test_text_forms_of_log(run: Any) -> None:
    await run(*ASK, "scripted:The sky\x1b[2J.", "-s", "Be brief.", "Why?\nHow?")
    short = (await run("logs", "--short")).out
    assert short.endswith("  Why? How?\n")
    assert "\x1b" not in short
    long = (await run("logs")).out
    assert "system: Be brief.\n\nprompt: Why?\nHow?\n\nanswer:\nThe sky[2J.\n" in long
    assert (await run("logs", "-r")).out == "The sky[2J.\n"


@only_full
async def test_conversation_goes_on(ask: Any, run: Any) -> None:
    first, _ = await ask(told, "-s", "Be brief.", "--usage")
    again, server = await ask(told, "-c", prompt="And?")
    assert (first.out, again.out) == ("2 messages\n", "4 messages\n")
    said = [message["content"] for message in server.requests[0].json()["messages"]]
    assert said == ["Be brief.", "Hi", "2 messages", "And?"]
    assert len(await logged(run, "-c")) == 2
    assert len({entry["conversation"] for entry in await logged(run)}) == 1


@only_full
async def test_conversation_by_part_of_its_id(run: Any) -> None:
    await run(*ASK, "scripted:one", "Hi")
    await run(*ASK, "scripted:two", "Hi")
    first = (await logged(run))[0]["conversation"]
    done = await run("ask", "--cid", first[:-1], "Again")
    assert done.out == "one\n", "the model of the conversation answers"
    assert [entry["prompt"] for entry in await logged(run, "--cid", first)] == ["Hi", "Again"]
    ambiguous = await run("ask", "--cid", "2", "Again")
    assert ambiguous.status == 2
    assert "2 conversations begin with '2'" in ambiguous.err


@only_full
async def test_run_of_agent_is_one_entry(run: Any) -> None:
    react = 'Thought: I add.\nAction: calculator(expression="1 + 1")'

    def script(request: ReceivedRequest) -> Reply:
        seen = request.json()["messages"][-1]["content"].startswith("Observation")
        return Reply("Answer: It is 2." if seen else react)

    async with ScriptedServer(script) as server:
        model = ("-m", "openai:any", "--base-url", server.url, "--agent", "react")
        await run("ask", *model, "-T", "calculator", "Add.")
        assert (await run("ask", *model, "-c", "-T", "calculator", "Again.")).out == "It is 2.\n"
        assert "Add." in str(server.requests[-1].json()["messages"])
    entries = await logged(run)
    assert [entry["prompt"] for entry in entries] == ["Add.", "Again."]


@only_full
@pytest.mark.parametrize("agent", [[], ["--agent", "function"]], ids=["model", "agent"])
async def test_no_log_leaves_a_question_out(ask: Any, run: Any, agent: list[str]) -> None:
    await ask(told, *agent)
    done, _ = await ask(told, "-c", "-n", *agent, prompt="And?")
    assert done.out == "3 messages\n", "the conversation is read, and not written"
    assert len(await logged(run)) == 1


@only_full
async def test_log_is_switched_off_and_on(run: Any, home: Path) -> None:
    await run("logs", "off")
    assert (await run("logs", "status")).out.startswith("The log is off.\n")
    await run(*ASK, "scripted:one", "Hi")
    assert await logged(run) == []
    await run(*ASK, "scripted:two", "--log", "Hi")
    await run("logs", "on")
    await run(*ASK, "scripted:three", "Hi")
    assert [entry["response"] for entry in await logged(run)] == ["two", "three"]
    assert (await run("logs", "path")).out == f"{home / 'conversations.db'}\n"


@only_full
async def test_forget_deletes_a_conversation(run: Any) -> None:
    await run(*ASK, "scripted:one", "Hi")
    key = (await logged(run))[0]["conversation"]
    assert (await run("logs", "forget", key)).status == 0
    assert await logged(run) == []
    assert (await run("logs", "forget", key)).status == 2


@only_full
async def test_failed_question_is_not_kept(ask: Any, run: Any) -> None:
    assert (await ask(StatusReply(400, "no")))[0].status == 1
    assert await logged(run) == []


@only_full
async def test_log_that_cannot_be_written_is_a_warning(run: Any, home: Path) -> None:
    """The answer was paid for: it is no failure."""
    home.mkdir()
    (home / "conversations.db").write_bytes(b"This is no database, but it is long enough.")
    done = await run(*ASK, "scripted:one", "Hi")
    assert (done.status, done.out) == (0, "one\n")
    assert done.err.startswith("Warning: The answer was not logged.")
    assert done.err.count("\n") == 1


@only_full
@pytest.mark.parametrize("broken", ["folder", "file"])
@pytest.mark.parametrize("command", ["ask", "agent", "chat"])
async def test_answer_needs_no_log(run: Any, home: Path, broken: str, command: str) -> None:
    if broken == "folder":
        home.write_text("a file in the place of the folder")
    else:
        home.mkdir()
        (home / "conversations.db").write_bytes(b"This is no database, but it is long enough.")
    options = ["ask", "--agent", "function", "Hi"] if command == "agent" else [command, "Hi"]
    done = await run(*options, "-m", "scripted:Fine.")
    assert (done.status, done.out) == (0, "Fine.\n")
    assert done.err.startswith("Warning: ")


@only_full
async def test_attachments_stay_in_conversation(ask: Any, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\nrest")
    await ask("A cat.", "-a", "a.png", cwd=tmp_path)
    _, server = await ask("Black.", "-c", prompt="Its colour?")
    image, _ = server.requests[0].json()["messages"][0]["content"]
    assert image["image_url"]["url"].startswith("data:image/png;base64,")
