"""The arguments of both agents, and the runs of one agent, on every wire."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import reactivex as rx
from agent_runs import (
    AgentKind,
    Calls,
    HeldTool,
    RunSeen,
    each_agent,
    seen_to_end,
    served,
)
from wires import SpokenWire, any_wire, any_wire_of

import rxagents
from rxagents import (
    ConfigurationError,
    FunctionAgent,
    Message,
    ToolCall,
    ToolEnd,
)
from rxagents.core.settings import SettingsArguments
from rxagents.testing import Reply, ScriptedLLM

OSLO = ("weather", {"city": "Oslo"})


# Arguments.


@each_agent
@any_wire
async def test_empty_tools_are_legal(agent: AgentKind, wire: SpokenWire) -> None:
    async with served(wire, agent.answers("Hello.")) as (server, llm):
        assert (await agent.make(llm, tools=[]).run("hi")).output == "Hello."
        assert "tools" not in server.requests[0].json()


@each_agent
@any_wire
async def test_system_prompt_and_conversation_reach_model(
    agent: AgentKind, wire: SpokenWire
) -> None:
    async with served(wire, agent.answers("Ada.")) as (server, llm):
        made = agent.make(llm, system_prompt="Be {brief}.")
        task = [
            {"role": "user", "content": "I am Ada."},
            Message.assistant("Hello Ada."),
            "Who am I?",
        ]
        result = await made.run(task)
        body = server.requests[0].body.decode()
        for text in ("Be {brief}.", "I am Ada.", "Hello Ada.", "Who am I?"):
            assert body.count(text) == 1
        assert body.index("I am Ada.") < body.index("Hello Ada.") < body.index("Who am I?")
        assert [message.role for message in result.messages] == [
            "system",
            "user",
            "assistant",
            "user",
            "assistant",
        ]


@each_agent
@any_wire
async def test_generation_settings_reach_every_request(agent: AgentKind, wire: SpokenWire) -> None:
    calls = Calls()
    turns = agent.calls(OSLO), agent.answers("Cold.")
    async with served(wire, *turns) as (server, llm):
        settings: SettingsArguments = {"max_tokens": 77, "top_p": 0.25}
        if wire.name == "anthropic":  # its present version refuses top_p
            del settings["top_p"]
        await agent.make(llm, [calls.weather()], **settings).run("hi")
        assert len(server.requests) == 2
        for request in server.requests:
            assert b":77" in request.body
            assert (b":0.25" in request.body) is ("top_p" in settings)


@each_agent
async def test_added_tool_serves_later_runs_only(agent: AgentKind) -> None:
    held, calls = HeldTool(), Calls()
    llm = ScriptedLLM(agent.calls(("held", {})), agent.calls(OSLO), agent.answers("Done."))
    made = agent.make(llm, [held.tool])
    seen = RunSeen(made.run_stream("hi"))
    await held.running.wait()
    made.add_tool(calls.weather())
    assert [each.name for each in made.tools] == ["held", "weather"]
    held.release.set()
    await seen.over.wait()
    assert [end.error and end.error.kind for end in seen.all(ToolEnd)] == [
        None,
        "ToolNotFoundError",
    ]
    llm = ScriptedLLM(agent.calls(OSLO), agent.answers("Done."))
    later = agent.make(llm)
    stream = later.run_stream("hi")
    later.add_tool(calls.weather())
    assert (await seen_to_end(stream)).all(ToolEnd)[0].error is None
    with pytest.raises(ConfigurationError, match="weather"):
        later.add_tool(calls.weather())


@each_agent
@any_wire
async def test_concurrent_runs_share_nothing(agent: AgentKind, wire: SpokenWire) -> None:
    def reply(request: Any) -> Reply:
        body = request.body.decode()
        number = next(n for n in range(20) if f"task-{n}-" in body)
        if f"city-{number}- is cold" in body:
            return agent.answers(f"answer-{number}-")
        return agent.calls(("weather", {"city": f"city-{number}-"}))

    async with served(wire, reply) as (server, llm):
        made = agent.make(llm, [Calls().weather()])
        runs = await asyncio.gather(*(made.run(f"task-{n}-") for n in range(20)))
        assert [result.output for result in runs] == [f"answer-{n}-" for n in range(20)]
        assert {result.iterations for result in runs} == {2}
        assert len(server.requests) == 40


@each_agent
async def test_each_subscription_is_a_run(agent: AgentKind) -> None:
    calls = Calls()
    turns = [agent.calls(OSLO), agent.answers("Cold.")]
    llm = ScriptedLLM(*turns, *turns)
    stream = agent.make(llm, [calls.weather()]).run_stream("hi")
    await asyncio.sleep(0)
    assert llm.requests == []
    first = await seen_to_end(stream)
    second = await seen_to_end(stream)
    assert first.kinds == second.kinds
    assert len(calls.made) == 2
    assert llm.requests[0].messages == llm.requests[2].messages


class NotStreaming:
    async def chat(self, *_: Any) -> Any: ...
    async def complete(self, *_: Any) -> Any: ...
    async def aclose(self) -> None: ...


@each_agent
@pytest.mark.parametrize("llm", [NotStreaming(), None, object()])
def test_model_without_stream_is_refused(agent: AgentKind, llm: Any) -> None:
    with pytest.raises(ConfigurationError, match="chat_stream"):
        agent.make(llm)


@each_agent
@pytest.mark.parametrize(
    "options",
    [
        {"tools": "weather"},
        {"tools": [1]},
        {"max_iterations": 0},
        {"max_iterations": None},
        {"max_tool_calls": 0},
        {"max_total_tokens": -1},
        {"max_seconds": 0},
        {"max_seconds": float("nan")},
        {"tool_concurrency": 0},
        {"max_result_length": 0},
        {"start_tools": "soon"},
        {"approve": True},
        {"approve_timeout": 0},
        {"temperature": -1},
        {"max_iteration": 3},
    ],
    ids=str,
)
def test_bad_arguments_are_refused(agent: AgentKind, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        agent.make(ScriptedLLM("x"), **options)


@each_agent
def test_unknown_option_error_lists_options(agent: AgentKind) -> None:
    with pytest.raises(ConfigurationError, match=r"max_iteration'.*max_iterations.*temperature"):
        agent.make(ScriptedLLM("x"), max_iteration=3)


@each_agent
@pytest.mark.parametrize("task", [[], None, 3, {"role": "user"}])
async def test_unreadable_task_is_refused(agent: AgentKind, task: Any) -> None:
    made = agent.make(ScriptedLLM("x"))
    with pytest.raises(ConfigurationError):
        made.run_stream(task)
    with pytest.raises(ConfigurationError):
        await made.run(task)


@each_agent
def test_agent_is_a_streaming_agent(agent: AgentKind) -> None:
    assert isinstance(agent.make(ScriptedLLM("x")), rxagents.StreamingAgent)


@each_agent
async def test_model_without_chunks_fails_the_run(
    agent: AgentKind,
) -> None:
    class Strange(ScriptedLLM):
        def chat_stream(self, *_: Any, **__: Any) -> Any:
            return rx.of("text")

    seen = await seen_to_end(agent.make(Strange()).run_stream("hi"))
    assert isinstance(seen.error, ConfigurationError)
    assert "StreamChunk" in str(seen.error)


CALL = ToolCall("call_1", "weather", '{"city":"Oslo"}')


@pytest.mark.parametrize("choice", ["required", "weather", "auto", "none", None])
async def test_call_is_required_in_first_turn(choice: str | None) -> None:
    llm = ScriptedLLM(Reply(tool_calls=[CALL]), "Cold.", Reply(tool_calls=[CALL]), "Cold.")
    agent = FunctionAgent(llm, [Calls().weather()], tool_choice=choice)
    later = "auto" if choice in {"required", "weather"} else choice
    for _ in range(2):  # the first turn of each run
        await agent.run("hi")
    choices = [request.settings.tool_choice for request in llm.requests]
    assert choices == [choice, later] * 2


@any_wire_of("chat completions", "anthropic", "gemini", "openai responses")
async def test_tool_choice_reaches_the_provider(wire: SpokenWire) -> None:
    async with served(wire, "Hello.") as (server, llm):
        made = FunctionAgent(llm, [Calls().weather()], tool_choice="none")
        assert (await made.run("hi")).output == "Hello."
        assert "none" in server.requests[0].body.decode().lower()
