"""JavaScript clients: AG-UI's and Vercel's, which check the order of events, and EventSource."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from random import Random
from typing import Any

import pytest
from agent_runs import Calls, HeldTool, served
from cutting_proxy import cutting_proxy
from js_client import FOLDER, client, needs_js_clients, read, result_of, started
from matrix import only_full, size
from msgspec.structs import replace
from serving import Served, serving
from wires import WIRES

from rxagents import FunctionAgent, ServerError, ToolCall, Usage, tool
from rxagents.serve import ServeLimits
from rxagents.testing import Ending, Reply, ScriptedLLM

pytestmark = [pytest.mark.real_time, needs_js_clients]

CUTS = size(whole=40, quick=8)
WEATHER = ToolCall("c1", "weather", '{"city": "Oslo"}')
COLD = Reply("It is cold.", reasoning="hm", usage=Usage(3, 2, 5))


def agent_with_all() -> FunctionAgent:
    """Return an agent with a tool, a tool that fails and reports, and a sub-agent with a tool."""

    @tool
    async def broken() -> AsyncIterator[str]:
        """Report, and fail."""
        yield "half way"
        raise ValueError("no such place")

    child = FunctionAgent(
        ScriptedLLM(Reply("I ask. ", tool_calls=[WEATHER]), "Cold there."), [Calls().weather()]
    )
    calls = [
        ToolCall("c2", "weather", '{"city": "Rome"}'),
        ToolCall("c3", "broken", "{}"),
        ToolCall("c4", "expert", '{"task": "Oslo?"}'),
    ]
    llm = ScriptedLLM(Reply("I look. ", reasoning="well", tool_calls=calls), COLD)
    return FunctionAgent(llm, [Calls().weather(), broken, child.as_tool("expert", "Knows it.")])


def asking_agent(calls: Calls | None = None) -> FunctionAgent:
    weather = replace((calls or Calls()).weather(), requires_approval=True)
    return FunctionAgent(ScriptedLLM(Reply(tool_calls=[WEATHER]), COLD), [weather], approve="defer")


async def entries_of(server: Served, path: str) -> AsyncIterator[list[Any]]:
    """Yield the id and the event of each entry of a run."""
    _, text = await server.get(path)
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line)
        if "id" in fields:
            yield [fields["id"], json.loads(fields["data"])]


async def test_agui_reads_tools_and_sub_agents() -> None:
    made = await read("agui.mjs", agent_with_all())
    assert made["error"] is None
    assert made["kinds"][-1] == "RUN_FINISHED"
    assert {"SUBAGENT_STARTED", "SUBAGENT_FINISHED"} < set(made["kinds"])
    messages = made["messages"]
    results = {each["toolCallId"]: each["content"] for each in messages if each["role"] == "tool"}
    assert results["c2"] == "Rome is cold"
    assert "no such place" in results["c3"]
    assert results["c4"] == "Cold there."
    calls = [call for each in messages for call in each.get("toolCalls", ())]
    arguments = {call["id"]: json.loads(call["function"]["arguments"]) for call in calls}
    assert arguments["c2"] == {"city": "Rome"}
    assert messages[-1]["content"] == "It is cold."


async def test_agui_sends_the_conversation_again() -> None:
    llm = ScriptedLLM(Reply("I look. ", reasoning="well", tool_calls=[WEATHER]), COLD, "Warm.")
    made = await read("agui.mjs", FunctionAgent(llm, [Calls().weather()]), "twice")
    assert made["error"] is None
    assert made["messages"][-1]["content"] == "Warm."
    sent = llm.requests[2].messages
    assert [each.role for each in sent] == ["user", "assistant", "tool", "assistant", "user"]
    assert sent[-1].text == "And Rome?"


async def test_agui_reads_a_failure() -> None:
    llm = ScriptedLLM(Reply("Half", error=ServerError("no such luck", status=500)))
    made = await read("agui.mjs", FunctionAgent(llm))
    assert made["kinds"][-1] == "RUN_ERROR"
    assert "no such luck" in made["error"]


async def test_agui_reads_calls_that_wait() -> None:
    made = await read("agui.mjs", asking_agent())
    assert made["error"] is None
    [interrupt] = made["interrupts"]
    assert interrupt["toolCallId"] == "c1"


@only_full
@pytest.mark.parametrize(
    ("answer", "calls", "said"),
    [
        ('{"approved": true}', [{"city": "Oslo", "days": 1}], "Oslo is cold"),
        (
            '{"approved": true, "editedArgs": {"city": "Bergen", "days": 2}}',
            [{"city": "Bergen", "days": 2}],
            "Bergen is cold",
        ),
        ('{"approved": false, "reason": "too far"}', [], "too far"),
        ("cancelled", [], "cancelled"),
    ],
    ids=["approved", "edited", "denied", "cancelled"],
)
async def test_agui_goes_on_after_an_interrupt(answer: str, calls: list[Any], said: str) -> None:
    asked = Calls()
    made = await read("agui.mjs", asking_agent(asked), answer)
    assert (made["error"], made["pending"]) == (None, [])
    assert made["interrupts"][0]["responseSchema"]["properties"]["editedArgs"]
    assert [arguments for _, arguments in asked.made] == calls
    asks, result, _, last = made["messages"][1:]
    [call] = asks["toolCalls"]
    assert json.loads(call["function"]["arguments"]) == {"city": "Oslo"}  # sent once
    assert (result["toolCallId"], last["content"]) == ("c1", "It is cold.")
    assert said in result["content"]


@only_full
@pytest.mark.parametrize("answer", ['{"approved": "yes"}', "7"], ids=["no boolean", "no object"])
async def test_agui_answer_of_another_form_is_refused(answer: str) -> None:
    made = await read("agui.mjs", asking_agent(), answer)
    assert "HTTP 400" in made["error"]
    assert "must be" in made["error"]


def test_agent_that_reconnects_is_in_the_docs() -> None:
    page = (FOLDER.parents[2] / "docs" / "serve.md").read_text()
    assert f"```js\n{(FOLDER / 'reconnecting_agent.mjs').read_text()}```" in page


async def test_agui_reconnects_and_reads_on() -> None:
    words = [f"w{number} " for number in range(60)]
    llm = ScriptedLLM(Reply(words, interval=0.002))
    async with serving(FunctionAgent(llm)) as server:
        cuts = [1000, 150, 2000]
        async with cutting_proxy(server.url, of=b" /agui", after=cuts) as proxy:
            async with started("agui_reconnect.mjs", proxy.url, "run") as process:
                made = await result_of(process)
    assert made["error"] is None
    assert (proxy.cuts, len(llm.requests)) == (len(cuts), 1)
    assert made["messages"][-1]["content"] == "".join(words)
    assert made["kinds"].count("RUN_STARTED") == made["kinds"].count("RUN_FINISHED") == 1
    assert made["kinds"].count("TEXT_MESSAGE_CONTENT") == len(words)


@only_full
async def test_agui_connects_after_a_reload() -> None:
    held = HeldTool()
    asks = Reply("I look. ", tool_calls=[ToolCall("c", "held", "{}")])
    async with serving(FunctionAgent(ScriptedLLM(asks, COLD), [held.tool])) as server:
        async with client("agui_reconnect.mjs", server, "reload") as process:
            assert await process.stdout.readline() == b"left\n"
            assert not held.cancelled.is_set()
            held.release.set()
            made = await result_of(process)
    assert made["error"] is None
    contents = [each.get("content") for each in made["messages"]]
    assert contents == ["Oslo?", "I look. ", "done", "hm", "It is cold."]


@only_full
async def test_agui_stops_a_run_that_is_kept() -> None:
    held = HeldTool()
    asks = Reply("I look. ", tool_calls=[ToolCall("c", "held", "{}")])
    async with serving(FunctionAgent(ScriptedLLM(asks, COLD), [held.tool])) as server:
        async with client("agui_reconnect.mjs", server, "stop") as process:
            await held.cancelled.wait()
            await result_of(process)


async def test_event_source_reads_each_event_once() -> None:
    words = [f"w{number} " for number in range(CUTS * 50)]
    llm = ScriptedLLM(Reply(words, interval=0.0005))
    limits = ServeLimits(retry_seconds=0.01)
    async with serving(FunctionAgent(llm), limits=limits) as server:
        _, started_run = await server.post("/runs", {"task": "Count."})
        path = f"/runs/{started_run['id']}/events"
        draw = Random(7)
        cuts = [draw.randrange(1, 4000) for _ in range(CUTS)]
        async with cutting_proxy(server.url, of=b"GET " + path.encode(), after=cuts) as proxy:
            async with started("event_source.mjs", proxy.url, started_run["id"]) as process:
                made = await result_of(process)
        entries = [entry async for entry in entries_of(server, path)]
    assert made["events"] == entries
    assert made["last"] in {"end", 204}
    assert proxy.cuts == CUTS


async def test_agui_abort_closes_the_request() -> None:
    stalled = Reply("one two three", ending=Ending.STALL, cut_after=5)
    async with served(WIRES[0], stalled) as (provider, llm):
        async with serving(FunctionAgent(llm)) as server:
            async with client("agui.mjs", server, "abort") as process:
                await provider.disconnected()
                made = await result_of(process)
    assert "one" in made["messages"][-1]["content"]


async def test_vercel_reads_tools_and_sub_agents() -> None:
    made = await read("vercel.mjs", agent_with_all(), "send")
    assert made["errors"] == []
    assert not made["goesOn"]
    parts = made["message"]["parts"]
    tools = {part["toolCallId"]: part for part in parts if part["type"] == "dynamic-tool"}
    assert tools["c2"]["output"] == "Rome is cold"
    assert tools["c2"]["input"] == {"city": "Rome"}
    assert tools["c3"]["state"] == "output-error"
    assert "no such place" in tools["c3"]["errorText"]
    assert tools["c4"]["output"] == "Cold there."
    texts = [(part["text"], part["state"]) for part in parts if part["type"] == "text"]
    assert texts == [("I look. ", "done"), ("It is cold.", "done")]
    assert [part["text"] for part in parts if part["type"] == "reasoning"] == ["well", "hm"]
    assert made["message"]["metadata"]["usage"]["total_tokens"] == 5


async def test_vercel_sends_the_conversation_again() -> None:
    llm = ScriptedLLM(Reply("I look. ", reasoning="well", tool_calls=[WEATHER]), COLD, "Warm.")
    made = await read("vercel.mjs", FunctionAgent(llm, [Calls().weather()]), "send-twice")
    assert made["errors"] == []
    sent = llm.requests[2].messages
    assert [each.role for each in sent] == ["user", "assistant", "tool", "assistant", "user"]
    assert [call.arguments for call in sent[1].tool_calls] == ['{"city":"Oslo"}']
    assert "Oslo is cold" in str(sent[2])
    assert sent[-1].text == "And Rome?"


async def test_vercel_reads_a_failure() -> None:
    llm = ScriptedLLM(Reply("Half", error=ServerError("no such luck", status=500)))
    made = await read("vercel.mjs", FunctionAgent(llm), "send")
    [error] = made["errors"]
    assert "no such luck" in error


async def test_vercel_reads_calls_that_wait() -> None:
    made = await read("vercel.mjs", asking_agent(), "send")
    assert made["errors"] == []
    [call] = [each for each in made["message"]["parts"] if each["type"] == "dynamic-tool"]
    assert (call["state"], call["input"]) == ("approval-requested", {"city": "Oslo"})


@pytest.mark.parametrize(
    ("action", "state"), [("approve", "output-available"), ("deny", "output-denied")]
)
async def test_vercel_decides_about_a_call(action: str, state: str) -> None:
    made = await read("vercel.mjs", asking_agent(), action)
    assert made["errors"] == []
    parts = made["message"]["parts"]
    [call] = [each for each in parts if each["type"] == "dynamic-tool"]
    assert (call["state"], call["approval"]["approved"]) == (state, action == "approve")
    assert [each["text"] for each in parts if each["type"] == "text"] == ["It is cold."]


async def test_vercel_resumes_after_it_has_left() -> None:
    held = HeldTool()
    asks = Reply("I look. ", tool_calls=[ToolCall("c", "held", "{}")])
    async with serving(FunctionAgent(ScriptedLLM(asks, COLD), [held.tool])) as server:
        async with client("vercel.mjs", server, "send-and-resume") as process:
            assert await process.stdout.readline() == b"back\n"
            assert not held.cancelled.is_set()
            held.release.set()
            made = await result_of(process)
    assert made["errors"] == []
    texts = [part["text"] for part in made["message"]["parts"] if part["type"] == "text"]
    assert texts == ["I look. ", "It is cold."]


async def test_vercel_stops_the_run() -> None:
    held = HeldTool()
    asks = Reply("I look. ", tool_calls=[ToolCall("c", "held", "{}")])
    async with serving(FunctionAgent(ScriptedLLM(asks, COLD), [held.tool])) as server:
        async with client("vercel.mjs", server, "send-and-stop") as process:
            made = await result_of(process)
    assert made["errors"] == []
    assert not made["goesOn"]
    texts = [part["text"] for part in made["message"]["parts"] if part["type"] == "text"]
    assert texts == ["I look. "]


@only_full
async def test_use_chat_reads_tools() -> None:
    made = await read("use_chat.mjs", agent_with_all(), "send")
    assert (made["error"], made["status"]) == (None, "ready")
    _, answer = made["messages"]
    tools = {part["toolCallId"]: part for part in answer["parts"] if "toolCallId" in part}
    assert tools["c2"]["output"] == "Rome is cold"
    assert tools["c3"]["state"] == "output-error"
    assert made["statuses"][:2] == ["ready", "submitted"]


@only_full
@pytest.mark.parametrize(
    ("action", "state", "calls"), [("approve", "output-available", 1), ("deny", "output-denied", 0)]
)
async def test_use_chat_decides_about_a_call(action: str, state: str, calls: int) -> None:
    asked = Calls()
    made = await read("use_chat.mjs", asking_agent(asked), action)
    assert (made["error"], len(asked.made)) == (None, calls)
    _, answer = made["messages"]  # the same message goes on
    [call] = [part for part in answer["parts"] if part["type"] == "dynamic-tool"]
    assert call["state"] == state
    assert "so I say" in call["approval"]["reason"]
    assert answer["parts"][-1]["text"] == "It is cold."


@only_full
async def test_use_chat_resumes_after_a_reload() -> None:
    held = HeldTool()
    asks = Reply("I look. ", tool_calls=[ToolCall("c", "held", "{}")])
    async with serving(FunctionAgent(ScriptedLLM(asks, COLD), [held.tool])) as server:
        async with client("use_chat.mjs", server, "resume") as process:
            assert await process.stdout.readline() == b"back\n"
            assert not held.cancelled.is_set()
            held.release.set()
            made = await result_of(process)
    assert (made["error"], made["status"]) == (None, "ready")
    _, answer = made["messages"]
    texts = [part["text"] for part in answer["parts"] if part["type"] == "text"]
    assert texts == ["I look. ", "It is cold."]


@only_full
async def test_use_chat_stops_the_run() -> None:
    held = HeldTool()
    asks = Reply("I look. ", tool_calls=[ToolCall("c", "held", "{}")])
    async with serving(FunctionAgent(ScriptedLLM(asks, COLD), [held.tool])) as server:
        async with client("use_chat.mjs", server, "stop") as process:
            await held.cancelled.wait()
            made = await result_of(process)
    assert (made["error"], made["status"]) == (None, "ready")
    texts = [part["text"] for part in made["messages"][1]["parts"] if part["type"] == "text"]
    assert texts == ["I look. "]
