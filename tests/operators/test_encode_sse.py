"""`encode_sse`: one server-sent event for each item."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import reactivex as rx
from frames import body_of, frames_of

import rxagents
from rxagents import (
    Complete,
    ConfigurationError,
    ErrorEvent,
    EventLog,
    ServerError,
    StreamEvent,
    Token,
    from_log,
)
from rxagents import operators as ops
from rxagents.runtime.last_value import last_value
from rxagents.testing import Reply, ScriptedLLM


async def test_events_survive_the_way() -> None:
    events = [Token('a "\n\r\u2028 ü'), Complete("a")]
    body = await body_of(rx.from_iterable(events).pipe(ops.encode_sse()))
    read = [
        msgspec.json.decode(data.encode(), type=StreamEvent)
        for data in (frame.split("data: ", 1)[1] for frame in body.decode().split("\n\n")[:2])
    ]
    assert read == events


async def test_body_ends_with_a_named_event() -> None:
    body = await body_of(rx.of(1, 2).pipe(ops.encode_sse()))
    assert body == b"data: 1\n\ndata: 2\n\nevent: end\ndata: {}\n\n"


async def test_end_has_another_name() -> None:
    body = await body_of(rx.of(1).pipe(ops.encode_sse(end="done")))
    assert body.endswith(b"event: done\ndata: {}\n\n")
    for bad in ("", "a\nb"):
        with pytest.raises(ConfigurationError, match="end must be"):
            ops.encode_sse(end=bad)


async def test_failure_is_the_event_before_the_end() -> None:
    broken = rx.concat(rx.of(1), rx.throw(ServerError("no", status=500)))
    *_, error, end = frames_of(await body_of(broken.pipe(ops.encode_sse())))
    assert (error["type"], error["error"]["kind"], end) == ("error", "ServerError", {})


async def test_error_event_is_not_sent_twice() -> None:
    llm = ScriptedLLM(Reply("Half", error=ServerError("no", status=500)))
    run = rxagents.FunctionAgent(llm).run_stream("hi")
    frames = frames_of(await body_of(run.pipe(ops.encode_sse())))
    assert [frame.get("type") for frame in frames].count(str(ErrorEvent.type)) == 1


@pytest.mark.parametrize("kind", [StreamEvent, msgspec.Raw])
async def test_error_of_a_log_is_not_sent_twice(kind: Any) -> None:
    async with EventLog() as log:
        llm = ScriptedLLM(Reply("Half", error=ServerError("no", status=500)))
        await log.start("run", rxagents.FunctionAgent(llm).run_stream("hi")).wait()
        frames = frames_of(await body_of(from_log(log, "run", kind).pipe(ops.encode_sse())))
        assert [frame.get("type") for frame in frames].count("error") == 1


async def test_entries_of_a_log_have_ids() -> None:
    async with EventLog() as log:
        agent = rxagents.FunctionAgent(ScriptedLLM("Hi."))
        await log.start("run", agent.run_stream("hi")).wait()
        body = await body_of(from_log(log, "run").pipe(ops.encode_sse()))
        ids = [line[4:] for line in body.decode().splitlines() if line.startswith("id: ")]
        assert ids == [f"1-{n}" for n in range(1, len(ids) + 1)]
        rest = await body_of(from_log(log, "run", after=ids[1]).pipe(ops.encode_sse()))
        assert body.endswith(rest)
        assert rest.startswith(b"id: 1-3\n")


async def test_decode_sse_reads_it() -> None:
    source = rx.of({"a": "b"}, [1]).pipe(ops.encode_sse(), ops.decode_sse())
    events: list[Any] = []
    await last_value(source, events.append)
    assert [event.data for event in events] == ['{"a":"b"}', "[1]", "{}"]
