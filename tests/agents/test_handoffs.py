"""Runs that are handed over to another agent, with their conversation."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from agent_runs import AgentKind, Calls, Function, HeldTool, ReAct, RunSeen, each_agent, seen_to_end
from observing import pending
from reactivex.testing import TestScheduler
from timed_tools import TimedTools
from wires import SpokenWire, any_wire

from rxagents import (
    Answer,
    Complete,
    ConfigurationError,
    Conversation,
    FunctionAgent,
    Handoff,
    MaxIterationsError,
    Message,
    OutputError,
    RunLimitError,
    Token,
    ToolCall,
    ToolContext,
    ToolEnd,
    ToolStart,
    TurnEnd,
    TurnStart,
    Usage,
    tool,
)
from rxagents.testing import Reply, ScriptedLLM, ScriptedServer

FIVE = Usage(input_tokens=3, output_tokens=2, total_tokens=5)
BILLING: tuple[str, dict[str, Any]] = ("billing", {})
OSLO = ("weather", {"city": "Oslo"})
each_target = pytest.mark.parametrize(
    "target", [Function(), ReAct()], ids=["to function", "to react"]
)


@each_agent
@each_target
@any_wire
async def test_other_agent_goes_on(agent: AgentKind, target: AgentKind, wire: SpokenWire) -> None:
    first_turn = agent.calls(OSLO, BILLING, usage=FIVE)
    async with (
        ScriptedServer(first_turn, strict=True) as server,
        ScriptedServer(
            target.calls(("pay", {"amount": 7}), usage=FIVE),
            target.answers("Paid.", usage=FIVE),
            strict=True,
        ) as other_server,
        wire.model(wire.url_of(server), max_retries=0) as llm,
        wire.model(wire.url_of(other_server), max_retries=0) as other_llm,
    ):

        @tool
        async def pay(amount: int) -> str:
            """Pay the bill."""
            return f"paid {amount}"

        other = target.make(other_llm, [pay], system_prompt="You do the billing.")
        handoff = other.as_handoff("billing", "Knows about bills.")
        made = agent.make(llm, [Calls().weather(), handoff], system_prompt="You are first.")
        seen = await seen_to_end(made.run_stream("Pay my bill"))
        assert (seen.error, seen.completed) == (None, True)
        kinds = (TurnStart, TurnEnd, ToolStart, Handoff, Answer, Complete)
        shown = [(e.type, e.content) for e in seen.items if isinstance(e, kinds)]
        assert shown == [
            ("turn_start", ""),
            ("tool_start", "weather"),
            ("tool_start", "billing"),
            ("turn_end", ""),
            ("handoff", "billing"),
            ("turn_start", ""),
            ("tool_start", "pay"),
            ("turn_end", ""),
            ("turn_start", ""),
            ("answer", "Paid."),
            ("turn_end", ""),
            ("complete", "Paid."),
        ]
        assert {event.path for event in seen.items} == {()}
        complete = seen.items[-1]
        assert (complete.iterations, complete.usage.input_tokens) == (3, 9)
        assert "You are first." in server.requests[0].body.decode()
        body = other_server.requests[0].body.decode()
        assert "You are first." not in body
        assert body.count("You do the billing.") == 1
        assert 0 < body.index("Pay my bill") < body.index("Oslo is cold")
        assert "Pay the bill." in body  # its tools
        assert "Knows about bills." not in body  # not those of the first
        assert len(server.requests) == 1


@any_wire
async def test_other_agent_needs_no_tools(wire: SpokenWire) -> None:
    first = Function()
    async with (
        ScriptedServer(first.calls(BILLING), "It is paid.", strict=True) as server,
        wire.model(wire.url_of(server), max_retries=0) as llm,
    ):
        other = FunctionAgent(llm, system_prompt="You do the billing.")
        made = FunctionAgent(llm, [other.as_handoff("billing", "Bills.")])
        result = await made.run("Pay")
        assert (result.output, result.finish_reason) == ("It is paid.", "stop")
        request = server.requests[1].json()
        if wire.name in {"chat completions", "anthropic"}:  # they show which tools must not run
            assert len(request["tools"]) == 1
            assert request["tool_choice"] in ("none", {"type": "none"})
        assert [message.role for message in result.messages] == [
            "system",
            "user",
            "assistant",
            "tool",
            "assistant",
        ]


@each_agent
@each_target
@any_wire
async def test_dispose_closes_the_request_of_the_other(
    agent: AgentKind, target: AgentKind, wire: SpokenWire
) -> None:
    async with (
        ScriptedServer(target.answers("a b c", interval=60)) as server,
        wire.model(wire.url_of(server), max_retries=0) as llm,
    ):
        handoff = target.make(llm).as_handoff("billing", "Bills.")
        made = agent.make(ScriptedLLM(agent.calls(BILLING)), [handoff])
        seen = RunSeen(made.run_stream("go"))
        await seen.saw(Handoff)
        await server.received(1)
        await seen.assert_silent()
        await server.disconnected()


async def test_dispose_cancels_a_tool_of_the_other() -> None:
    held = HeldTool()
    first = Function()
    other = FunctionAgent(ScriptedLLM(first.calls(("held", {}))), [held.tool])
    made = FunctionAgent(ScriptedLLM(first.calls(BILLING)), [other.as_handoff("billing", "Bills.")])
    seen = RunSeen(made.run_stream("go"))
    await held.running.wait()
    await seen.assert_silent()
    await held.cancelled.wait()


@each_agent
@each_target
@any_wire
async def test_memory_keeps_one_exchange(
    agent: AgentKind, target: AgentKind, wire: SpokenWire
) -> None:
    replies = agent.answers("Hello."), agent.calls(OSLO, BILLING), agent.answers("Yes.")
    async with (
        ScriptedServer(*replies, strict=True) as server,
        ScriptedServer(target.answers("Paid."), strict=True) as other_server,
        wire.model(wire.url_of(server), max_retries=0) as llm,
        wire.model(wire.url_of(other_server), max_retries=0) as other_llm,
    ):
        other = target.make(other_llm, [Calls().weather()], system_prompt="You do the billing.")
        tools = [Calls().weather(), other.as_handoff("billing", "Bills.")]
        conversation = Conversation(agent.make(llm, tools))
        await conversation.run("Hi")
        await conversation.run("Pay")
        body = other_server.requests[0].body.decode()
        assert 0 < body.index("Hello.") < body.index("Pay") < body.index("Oslo is cold")
        stored = await conversation.memory.conversation("default")
        assert [exchange[0].text for exchange in stored.exchanges] == ["Hi", "Pay"]
        assert "You do the billing." not in str(stored)
        assert "Paid." in str(stored.exchanges[1])
        assert (await conversation.run("Really?")).output == "Yes."  # the first agent again
        body = server.requests[2].body.decode()
        assert body.count("Oslo is cold") == 1
        assert body.count("Paid.") == 1


def calls_billing(**fields: Any) -> Reply:
    return Reply(tool_calls=[ToolCall("call_b", "billing", "{}")], **fields)


def calls_weather(**fields: Any) -> Reply:
    return Reply(tool_calls=[ToolCall("call_w", "weather", '{"city": "Oslo"}')], **fields)


@pytest.mark.parametrize(
    ("limits", "replies"),
    [
        ({"max_iterations": 2}, [calls_weather(), "Done."]),
        ({"max_tool_calls": 1}, [calls_weather(), "Done."]),
        ({"max_total_tokens": 6}, [calls_weather(usage=FIVE), Reply("Done.", usage=FIVE)]),
    ],
    ids=["turns", "tool calls", "tokens"],
)
async def test_limits_of_the_other_are_its_own(limits: dict[str, Any], replies: list[Any]) -> None:
    def handed_over(*replies: Any) -> FunctionAgent:
        other = FunctionAgent(ScriptedLLM(*replies), [Calls().weather()], **limits)
        first = [calls_weather(usage=FIVE)] * 3 + [calls_billing(usage=FIVE)]
        tools = [Calls().weather(), other.as_handoff("billing", "Bills.")]
        return FunctionAgent(ScriptedLLM(*first), tools)

    result = await handed_over(*replies).run("go")
    assert (result.output, result.iterations) == ("Done.", 6)
    more = [calls_weather(usage=FIVE)] * 3
    with pytest.raises((MaxIterationsError, RunLimitError)) as raised:
        await handed_over(*more).run("go")
    assert raised.value.iterations in {5, 6}


async def test_two_agents_that_hand_over_come_to_an_end() -> None:
    to_b, to_a = (Reply(tool_calls=[ToolCall("1", name, "{}")]) for name in ("b", "a"))
    a = FunctionAgent(ScriptedLLM(*[to_b] * 20), max_iterations=4)
    b = FunctionAgent(ScriptedLLM(*[to_a] * 20), max_iterations=3)
    a.add_tool(b.as_handoff("b", "B."))
    b.add_tool(a.as_handoff("a", "A."))
    seen = await seen_to_end(a.run_stream("go"))
    seen.assert_failed(MaxIterationsError)
    assert len(a.llm.requests) == 4  # type: ignore[attr-defined]  # a ScriptedLLM's
    assert len(b.llm.requests) == 3  # type: ignore[attr-defined]  # a ScriptedLLM's
    assert [event.name for event in seen.all(Handoff)] == ["b", "a"] * 3 + ["b"]


async def test_limits_count_anew_after_a_pause() -> None:
    payments = Payments()
    pays = Reply(tool_calls=[ToolCall("call_p", "pay", '{"amount": 7}')])
    back = Reply(tool_calls=[ToolCall("call_a", "first", "{}")])
    first = FunctionAgent(ScriptedLLM(*[calls_weather()] * 3, calls_billing()), [Calls().weather()])
    other_llm = ScriptedLLM(pays, back, "Done.")
    other = FunctionAgent(other_llm, [payments.tool], approve="defer", max_iterations=2)
    first.add_tool(other.as_handoff("billing", "Bills."))
    other.add_tool(first.as_handoff("first", "The rest."))
    result = await first.run("go")
    assert (result.finish_reason, result.iterations) == ("approval", 5)
    result = await first.resume(result.messages, {"call_p": True})
    assert (result.output, result.iterations, payments.paid) == ("Done.", 8, [7])


@each_target
async def test_prompt_of_the_first_is_removed(target: AgentKind) -> None:
    other_llm = ScriptedLLM(target.answers("Done."))
    handoff = target.make(other_llm).as_handoff("billing", "Bills.")
    llm = ScriptedLLM("Hello.", calls_billing())
    conversation = Conversation(FunctionAgent(llm, [handoff], system_prompt="You are first."))
    await conversation.run("Hi")
    await conversation.run("go")
    said = str(other_llm.requests[0].messages)
    assert "Hello." in said
    assert "You are first." not in said


async def test_required_call_is_sent_in_the_first_turn_of_each() -> None:
    other_llm = ScriptedLLM(calls_weather(), "Done.")
    other = FunctionAgent(other_llm, [Calls().weather()], tool_choice="required")
    made = FunctionAgent(ScriptedLLM(calls_billing()), [other.as_handoff("billing", "Bills.")])
    await made.run("go")
    choices = [request.settings.tool_choice for request in other_llm.requests]
    assert choices == ["required", "auto"]


async def test_other_is_asked_for_its_answer_too() -> None:
    first_llm = ScriptedLLM(calls_weather(), "", calls_billing())
    other_llm = ScriptedLLM(calls_weather(), "", "Done.")
    other = FunctionAgent(other_llm, [Calls().weather()])
    tools = [Calls().weather(), other.as_handoff("billing", "Bills.")]
    assert (await FunctionAgent(first_llm, tools).run("go")).output == "Done."


@tool(returns_directly=True)
async def balance() -> str:
    return "You owe 7."


@pytest.mark.parametrize("requires_approval", [False, True], ids=["at once", "resumed"])
async def test_result_that_is_the_answer_ends_the_run(requires_approval: bool) -> None:
    other_llm = ScriptedLLM("Done.")
    calls = [ToolCall("1", "billing", "{}"), ToolCall("2", "balance", "{}")]
    needs = msgspec.structs.replace(balance, requires_approval=requires_approval)
    tools = [FunctionAgent(other_llm).as_handoff("billing", "Bills."), needs]
    made = FunctionAgent(ScriptedLLM(Reply(tool_calls=calls)), tools, approve="defer")
    stream = made.run_stream("go")
    if requires_approval:
        result = await made.run("go")
        stream = made.resume_stream(result.messages, {"2": True})
    seen = await seen_to_end(stream)
    assert seen.items[-1].content == "You owe 7."
    assert (seen.all(Handoff), other_llm.requests) == ([], [])


async def test_stopped_run_is_not_handed_over() -> None:
    held = HeldTool()
    calls = [ToolCall("1", "billing", "{}"), ToolCall("2", "held", "{}")]
    tools = [FunctionAgent(ScriptedLLM("Done.")).as_handoff("billing", "Bills."), held.tool]
    run = FunctionAgent(ScriptedLLM(Reply(tool_calls=calls)), tools).start("go")
    seen = RunSeen(run.events)
    await seen.saw(ToolEnd)
    run.stop()
    assert (await run.result).finish_reason == "cancelled"
    await seen.over.wait()
    assert seen.all(Handoff) == []


async def test_steered_other_denies_its_waiting_calls() -> None:
    target = ReAct()
    payments = Payments()
    other_llm = ScriptedLLM(target.calls(("pay", {"amount": 7}), interval=1), target.answers("Ok."))
    other = target.make(other_llm, [payments.tool], approve="defer")
    run = FunctionAgent(ScriptedLLM(calls_billing()), [other.as_handoff("billing", "x")]).start(
        "go"
    )
    seen = RunSeen(run.events)
    await seen.saw(Token)
    run.steer("No!")
    assert (await run.result).output == "Ok."
    assert {message.role for message in other_llm.requests[1].messages} == {
        "system",
        "user",
        "assistant",
    }


async def test_context_reaches_the_other_agent() -> None:
    @tool
    async def whose(context: ToolContext[str]) -> str:
        return f"the shop of {context.context}"

    other_llm = ScriptedLLM(Reply(tool_calls=[ToolCall("1", "whose", "{}")]), "Done.")
    other = FunctionAgent(other_llm, [whose], system_prompt=lambda who: f"You work for {who}.")
    made = FunctionAgent(ScriptedLLM(calls_billing()), [other.as_handoff("billing", "Bills.")])
    await made.run("go", context="Ada")
    assert "You work for Ada." in str(other_llm.requests[0].messages)
    assert "the shop of Ada" in str(other_llm.requests[1].messages)


async def test_first_of_two_handoffs_counts() -> None:
    agents = [FunctionAgent(ScriptedLLM(name)) for name in ("one", "two")]
    calls = [ToolCall("1", "second", "{}"), ToolCall("2", "first", "{}")]
    tools = [each.as_handoff(n, "x") for each, n in zip(agents, ("first", "second"), strict=True)]
    result = await FunctionAgent(ScriptedLLM(Reply(tool_calls=calls)), tools).run("go")
    assert result.output == "two"


async def test_denied_handoff_stays_with_the_agent() -> None:
    other = FunctionAgent(ScriptedLLM("other"))
    handoff = msgspec.structs.replace(other.as_handoff("billing", "x"), requires_approval=True)
    made = FunctionAgent(ScriptedLLM(calls_billing(), "mine"), [handoff])
    seen = await seen_to_end(made.run_stream("go"))
    assert seen.all(Handoff) == []
    assert seen.items[-1].content == "mine"


async def test_steered_message_reaches_the_other() -> None:
    other_llm = ScriptedLLM("Done.")
    tools = [FunctionAgent(other_llm).as_handoff("billing", "x")]
    run = FunctionAgent(ScriptedLLM(calls_billing(interval=1)), tools).start("go")
    seen = RunSeen(run.events)
    await seen.saw(ToolEnd)
    run.steer("Quickly!")
    assert (await run.result).output == "Done."
    assert "Quickly!" in str(other_llm.requests[0].messages)


class Payments:
    def __init__(self) -> None:
        self.paid: list[int] = []
        self.tool = tool(requires_approval=True, name="pay")(self._pay)

    async def _pay(self, amount: int) -> str:
        self.paid.append(amount)
        return f"paid {amount}"


@each_agent
@each_target
async def test_deferred_run_goes_on_with_the_other(agent: AgentKind, target: AgentKind) -> None:
    other_llm = ScriptedLLM(target.calls(("pay", {"amount": 7})), target.answers("Paid."))

    def made() -> tuple[Any, Payments]:
        payments = Payments()
        options: dict[str, Any] = {"approve": "defer", "system_prompt": "You do the billing."}
        other = target.make(other_llm, [payments.tool], **options)
        llm = ScriptedLLM(agent.calls(BILLING))
        return agent.make(llm, [other.as_handoff("billing", "Bills.")]), payments

    result = await made()[0].run("Pay")
    assert result.finish_reason == "approval"
    [call] = result.pending
    text = msgspec.json.encode(result.messages)
    messages = msgspec.json.decode(text, type=tuple[Message, ...])
    first, payments = made()
    result = await first.resume(messages, {call.id: True})
    assert (result.output, result.iterations, payments.paid) == ("Paid.", 3, [7])
    request = str(other_llm.requests[1].messages)
    assert request.count("You do the billing.") == 1
    assert request.count("paid 7") == 1
    without = agent.make(ScriptedLLM("x"), [payments.tool])
    with pytest.raises(ConfigurationError, match="'billing', which is no handoff"):
        await without.resume(messages, {call.id: True})


@each_agent
async def test_handoff_beside_a_waiting_call_follows_the_resume(agent: AgentKind) -> None:
    payments = Payments()
    other = FunctionAgent(ScriptedLLM("Done."), [payments.tool])
    llm = ScriptedLLM(agent.calls(BILLING, ("pay", {"amount": 7})))
    made = agent.make(llm, [payments.tool, other.as_handoff("billing", "B.")], approve="defer")
    result = await made.run("go")
    assert result.finish_reason == "approval"
    [call] = result.pending
    seen = await seen_to_end(made.resume_stream(result.messages, {call.id: True}))
    assert [event.name for event in seen.all(Handoff)] == ["billing"]
    assert (seen.items[-1].content, payments.paid) == ("Done.", [7])


class City(msgspec.Struct):
    name: str


@each_agent
@each_target
async def test_type_of_the_answer_stays(agent: AgentKind, target: AgentKind) -> None:
    other = target.make(ScriptedLLM(target.answers('{"name": "Oslo"}')))
    llm = ScriptedLLM(agent.calls(BILLING))
    made = agent.make(llm, [other.as_handoff("billing", "Bills.")], output_type=City)
    assert (await made.run("go")).output == City("Oslo")
    prompt = str(other.llm.requests[0].messages)
    assert ('"name"' in prompt) is (target.name == "react")  # its prompt has the schema


async def test_corrections_are_those_of_the_other() -> None:
    other_llm = ScriptedLLM('{"name": 7}', '{"name": "Oslo"}')
    other = FunctionAgent(other_llm, corrections=0)
    llm = ScriptedLLM(calls_billing())
    made = FunctionAgent(llm, [other.as_handoff("billing", "Bills.")], output_type=City)
    with pytest.raises(OutputError):
        await made.run("go")
    assert len(other_llm.requests) == 1


# In virtual time.


@each_agent
@each_target
def test_handed_over_run_takes_its_time(agent: AgentKind, target: AgentKind) -> None:
    tools = TimedTools()
    other_llm = ScriptedLLM(target.answers("done", delay=20))
    other = target.make(other_llm, max_seconds=25)
    llm = ScriptedLLM(agent.calls(("slow", {}), BILLING, delay=10))
    handoff = other.as_handoff("billing", "Bills.")
    made = agent.make(llm, [tools.taking("slow", 30), handoff], max_seconds=50)
    assert timed(made) == [(240, "handoff"), (260, "complete")]
    for moment in (205, 225, 245):
        timed(made, disposed=moment)
    other.limits = msgspec.structs.replace(other.limits, seconds=15)
    assert timed(made) == [(240, "handoff"), (255, "error")]
    other.limits = msgspec.structs.replace(other.limits, seconds=None)
    assert timed(made) == [(240, "handoff"), (260, "complete")]


def timed(agent: Any, disposed: float = 1000) -> list[tuple[float, str]]:
    scheduler = TestScheduler()
    observer: Any = scheduler.start(lambda: agent.run_stream("hi"), disposed=disposed)
    assert not pending(scheduler)
    shown = (Handoff, Complete)
    return [
        (message.time, str(message.value.value.type))
        for message in observer.messages
        if message.value.kind == "N"
        and (isinstance(message.value.value, shown) or message.value.value.type == "error")
    ]
