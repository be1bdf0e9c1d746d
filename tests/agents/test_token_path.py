"""The path of a token from the model's stream to the subscriber of a run."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import pytest
from agent_runs import AgentKind, Calls, each_agent
from faults import LAST, chunk, head
from faulty_server import Act, Cue, FaultyServer
from observing import Seen
from reactivex import Observable, abc
from reactivex.disposable import Disposable
from wires import SpokenWire, any_wire_of

from rxagents import (
    Complete,
    FunctionAgent,
    ReActAgent,
    Reasoning,
    StreamChunk,
    StreamEvent,
    Token,
    ToolCall,
    TurnEnd,
    TurnStart,
    Usage,
)
from rxagents.agents import turn_events
from rxagents.agents.turn_events import _texts_of_bursts
from rxagents.core.chunks import TextBurst
from rxagents.testing import Reply, ScriptedLLM


class Emitting(ScriptedLLM):
    """A model that gives its last observer to a function, in the loop's next iteration."""

    def __init__(
        self, emit: Callable[[abc.ObserverBase[StreamChunk]], None], *before: Reply
    ) -> None:
        super().__init__(*before)
        self._before = len(before)
        self._emit = emit

    def chat_stream(self, *arguments: Any, **settings: Any) -> Observable[StreamChunk]:
        def subscribe(
            observer: abc.ObserverBase[StreamChunk], _: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            asyncio.get_running_loop().call_soon(self._emit, observer)
            return Disposable()

        if self._before:
            self._before -= 1
            return super().chat_stream(*arguments, **settings)
        return Observable(subscribe)


@each_agent
async def test_model_that_goes_on_after_its_end(agent: AgentKind) -> None:
    def emit(observer: abc.ObserverBase[StreamChunk]) -> None:
        observer.on_next(StreamChunk("Answer: yes"))
        observer.on_next(StreamChunk(finish_reason="stop"))
        observer.on_completed()
        observer.on_next(StreamChunk(" late"))
        observer.on_error(KeyError("late"))
        observer.on_completed()

    run = agent.make(Emitting(emit)).start("hi")
    seen = Seen(run.events)
    result = await run.result
    await seen.over.wait()
    assert result.output.removeprefix("Answer: ") == "yes"
    assert "late" not in "".join(event.content for event in seen.items)
    assert len(seen.all(Complete)) == len(seen.all(TurnEnd)) == 1


@each_agent
@pytest.mark.parametrize("kind", [Token, Reasoning], ids=["token", "reasoning"])
@pytest.mark.parametrize("is_last", [False, True], ids=["first turn", "last turn"])
async def test_stop_ends_a_burst_at_once(agent: AgentKind, kind: type, is_last: bool) -> None:
    def emit(observer: abc.ObserverBase[StreamChunk]) -> None:
        observer.on_next(StreamChunk("Answer: one"))
        observer.on_next(StreamChunk(" two", reasoning="Hm", refusal=" no"))
        observer.on_next(StreamChunk(" three", usage=Usage(output_tokens=3)))
        observer.on_completed()

    before = (agent.calls(("weather", {"city": "Oslo"})),) if is_last else ()
    model, calls = Emitting(emit, *before), Calls()
    made = agent.make(model, [calls.weather()], max_iterations=1, at_limit="answer")
    run = made.start("hi")

    def on_next(event: StreamEvent) -> None:
        if len(seen.all(TurnStart)) == 1 + is_last and isinstance(event, kind):
            run.stop()

    seen = Seen(run.events, on_next)
    result = await run.result
    await seen.over.wait()
    last_turn = seen.items[seen.items.index(seen.all(TurnStart)[-1]) :]
    texts = [event.content for event in last_turn if isinstance(event, Token | Reasoning)]
    assert "".join(texts).removeprefix("Answer: ") == ("one" if kind is Token else "oneHm")
    assert result.output.removeprefix("Answer: ") == ("one" if kind is Token else "one two")
    assert (result.usage, result.finish_reason) == (None, "cancelled")


async def test_stop_in_last_turn_ends_partial_objects() -> None:
    def emit(observer: abc.ObserverBase[StreamChunk]) -> None:
        observer.on_next(StreamChunk('{"city": "Oslo"'))
        observer.on_completed()

    call = ToolCall("call_1", "weather", '{"city": "Oslo"}')
    made = FunctionAgent(
        Emitting(emit, Reply(tool_calls=[call])),
        [Calls().weather()],
        output_type=dict[str, str],
        max_iterations=1,
        at_limit="answer",
    )
    run = made.start("hi")

    def on_next(event: StreamEvent) -> None:
        if isinstance(event, Token):
            run.stop()

    seen = Seen(run.events, on_next)
    await seen.over.wait()
    kinds = [type(event) for event in seen.items]
    assert kinds[kinds.index(Token) :] == [Token, TurnEnd, Complete]


@each_agent
@any_wire_of("chat completions", "anthropic", "openai responses", "ollama")
@pytest.mark.parametrize("stops", [False, True], ids=["to the end", "stopped"])
async def test_texts_of_one_read(
    agent: AgentKind, wire: SpokenWire, stops: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = list[list[StreamChunk | str]]()

    def texts(chunks: list[StreamChunk]) -> list[StreamChunk | str]:
        reads.append(_texts_of_bursts(chunks))
        return reads[-1]

    monkeypatch.setattr(turn_events, "_texts_of_bursts", texts)
    words = ["Answer:", " it", *(f" w{number}" for number in range(50))]
    act: Act = [
        head(200, b"content-type: " + wire.content_type, b"transfer-encoding: chunked"),
        chunk(wire.start() + wire.text(words[0])),
        Cue.PAUSE,
        chunk(wire.text(words[1])),
        Cue.PAUSE,
        chunk(b"".join(map(wire.text, words[2:]))),
        Cue.PAUSE,
        chunk(wire.finish() + wire.done()) + LAST,
    ]
    async with FaultyServer(act) as server:
        async with wire.model(server.url) as llm:
            run = agent.make(llm).start("hi")

            def on_next(event: StreamEvent) -> None:
                if stops and event.content == " w20":
                    run.stop()

            seen = Seen(run.events, on_next)
            result = await run.result
            await seen.over.wait()
        await asyncio.wait_for(server.all_left(), 5)
    text = "".join(words[2:23] if stops else words[2:])
    events = seen.all(Token)
    assert "".join(event.content for event in events[-(21 if stops else 50) :]) == text
    assert result.output == f"Answer: it{text}".removeprefix(
        "" if agent.name == "function" else "Answer: "
    )
    assert min(event.timestamp for event in events) > 1e9
    assert any(isinstance(item, str) for read in reads for item in read)


def test_first_chunk_of_a_burst_has_its_fields() -> None:
    usage, metadata = Usage(output_tokens=2), {"model": "m"}

    def first(delta: str, choice: int = 0) -> StreamChunk:
        return StreamChunk(delta, 3, choice, usage=usage, metadata=metadata, timestamp=1.5)

    def burst(choice: int) -> StreamChunk:
        return TextBurst(
            "abc",
            3,
            choice,
            usage=usage,
            metadata=metadata,
            timestamp=1.5,
            deltas=["a", "b", "c"],
        )

    end = StreamChunk(finish_reason="stop")
    items = _texts_of_bursts([burst(0), burst(1), end])
    assert items == [first("a"), "b", "c", first("a", 1), end]


@pytest.mark.parametrize(("make", "most"), [(FunctionAgent, 5), (ReActAgent, 7)])
async def test_few_calls_stand_before_the_subscriber(make: Any, most: int) -> None:
    calls = list[list[str]]()

    def on_next(event: object) -> None:
        if isinstance(event, Token):
            frame, names = sys._getframe(1), list[str]()
            while frame.f_code is not emit.__code__:
                names.append(frame.f_code.co_qualname)
                assert frame.f_back is not None
                frame = frame.f_back
            calls.append(names)

    def emit(observer: abc.ObserverBase[StreamChunk]) -> None:
        metadata: dict[str, Any] = {}
        for text in ("Answer: a", "b", "c"):
            observer.on_next(StreamChunk(text, metadata=metadata))
        observer.on_completed()

    seen = Seen(make(Emitting(emit)).run_stream("hi"), on_next)
    await seen.over.wait()
    assert len(calls) == 3
    assert len(calls[-1]) == most, calls[-1]
