"""The cost of a turn in a long run, and a thousand runs on one loop."""

from __future__ import annotations

import asyncio
import gc
import sys
import tracemalloc
from collections import Counter
from typing import Any

import pytest
import reactivex as rx
from agent_runs import AgentKind, each_agent
from matrix import size
from reactivex import Observable

import rxagents
from rxagents import StreamChunk, ToolCallDelta, ToolEnd, tool
from rxagents.testing import ScriptedLLM

TURNS = size(5_000, quick=500)
RUNS = size(1_000, quick=100)


class Repeating(ScriptedLLM):
    """A model that calls `step` in every turn but the last, at the same cost."""

    def __init__(self, agent: AgentKind, turns: int) -> None:
        super().__init__()
        self._agent = agent
        self._turns = turns
        self.count = 0

    def chat_stream(self, *_: Any, **__: Any) -> Observable[StreamChunk]:
        self.count += 1
        return rx.of(*self._chunks(last=self.count == self._turns))

    def _chunks(self, *, last: bool) -> list[StreamChunk]:
        if last:
            return [StreamChunk("Answer: done"), StreamChunk(finish_reason="stop")]
        if self._agent.name == "react":
            return [StreamChunk("Action: step()"), StreamChunk(finish_reason="stop")]
        call = ToolCallDelta(0, "call", "step", "{}", sealed=True)
        return [StreamChunk(tool_calls=(call,)), StreamChunk(finish_reason="tool_calls")]


@tool
def step() -> Observable[str]:
    return rx.of("done")


class Counted:
    """Counts the function calls of each turn, from one request to the next."""

    def __init__(self, llm: Repeating) -> None:
        self.per_turn: list[int] = []
        self._llm = llm
        self._calls = 0

    def chat_stream(self, *_: Any, **__: Any) -> Observable[StreamChunk]:
        self.per_turn.append(self._calls)
        self._calls = 0
        return self._llm.chat_stream()

    def profile(self, _: Any, event: str, __: Any) -> None:
        if event in {"call", "c_call"}:
            self._calls += 1


@each_agent
def test_turn_cost_does_not_grow(agent: AgentKind) -> None:
    async def work() -> list[int]:
        llm = Counted(Repeating(agent, TURNS))
        made = agent.make(llm, [step], max_iterations=TURNS)
        gc.disable()  # a callback of the collector, such as hypothesis's, would be counted
        sys.setprofile(llm.profile)
        try:
            result = await made.run("hi")
        finally:
            sys.setprofile(None)
            gc.enable()
        assert result.iterations == TURNS
        return llm.per_turn

    with asyncio.Runner(debug=False) as runner:
        counts = runner.run(work())
    early, late = sorted(counts[5:105]), sorted(counts[-101:-1])
    assert late[50] <= early[50] * 1.02
    assert Counter(counts[5:-1]).most_common(1)[0][1] > TURNS * 0.9


@each_agent
def test_turn_leaves_only_its_messages(agent: AgentKind) -> None:
    """A run keeps the messages of a turn; the memory of its pipe is freed."""

    async def kept(turns: int) -> int:
        made = agent.make(Repeating(agent, turns), [step], max_iterations=turns)
        gc.collect()
        before, _ = tracemalloc.get_traced_memory()
        result = await made.run("hi")
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
        assert result.iterations == turns
        return after - before

    async def work() -> float:
        await kept(50)
        return (await kept(size(1_000, quick=300)) - await kept(100)) / size(900, quick=200)

    tracemalloc.start()
    try:
        with asyncio.Runner(debug=False) as runner:
            assert runner.run(work()) < 4_000
    finally:
        tracemalloc.stop()


@each_agent
@pytest.mark.parametrize("how", ["run", "run_stream"])
def test_many_concurrent_runs_lose_nothing(agent: AgentKind, how: str) -> None:
    number_of: dict[str, int] = {}

    class Echoing(ScriptedLLM):
        """Calls `double` with the number of the task, and answers with the tool's result."""

        def chat_stream(self, messages: Any, *_: Any, **__: Any) -> Observable[StreamChunk]:
            (task,) = [m.text for m in messages if m.role == "user" and m.text.isdigit()]
            last = messages[-1].text if agent.name == "react" else _result_of(messages[-1])
            done = last.removeprefix("Observation: ") if last and last != task else ""
            reply = agent.answers(done) if done else agent.calls(("double", {"number": int(task)}))
            return ScriptedLLM(reply).chat_stream("x")

    @tool
    async def double(number: int) -> int:
        await asyncio.sleep(0.001 * (number % 7))
        number_of[str(number)] = number_of.get(str(number), 0) + 1
        return number * 2 + 1

    async def stream(made: Any, number: int) -> str:
        ends = 0
        async with rxagents.to_aiter(made.run_stream(str(number))) as events:
            async for event in events:
                ends += isinstance(event, ToolEnd)
        assert ends == 1
        return str(event.content)

    async def work() -> None:
        made = agent.make(Echoing(), [double])
        if how == "run":
            results = await asyncio.gather(*(made.run(str(n)) for n in range(RUNS)))
            outputs = [result.output for result in results]
        else:
            outputs = await asyncio.gather(*(stream(made, n) for n in range(RUNS)))
        assert outputs == [str(2 * n + 1) for n in range(RUNS)]
        assert set(number_of.values()) == {1}
        assert len(number_of) == RUNS
        assert asyncio.all_tasks() == {asyncio.current_task()}

    with asyncio.Runner(debug=False) as runner:
        runner.run(work())


def _result_of(message: Any) -> str:
    results = [part.content for part in message.parts if isinstance(part, rxagents.ToolResult)]
    return results[0] if results else ""
