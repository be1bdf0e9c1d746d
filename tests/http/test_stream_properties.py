"""The rules of a stream, for random texts, packets, faults and dispose points."""

from __future__ import annotations

import asyncio
from itertools import pairwise

from faults import LAST, chunk, head
from faulty_server import Cue, FaultyServer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from matrix import size
from observing import Seen
from running import run_async
from wires import SpokenWire, any_wire

from rxagents import Timeouts

SHORT = Timeouts(first=0.15, idle=0.15)
"""For bodies that are not whole: whether a timeout or the fault ends them does not matter."""
PATIENT = Timeouts(first=15, idle=15)
SILENT_AT_THE_END = Timeouts(first=15, idle=0.5)
WORDS = st.lists(st.sampled_from(["one", " two", "é", "😀", "\n", "x" * 300]), max_size=8)
FAULTS = st.sampled_from(
    [
        (),
        (LAST,),
        (Cue.FIN,),
        (Cue.RESET,),
        (Cue.STALL,),
        (b"zzz\r\n", Cue.STALL),
        (b"5\r\nabc", Cue.FIN),
    ]
)


@any_wire
@settings(
    deadline=None,
    max_examples=size(120, quick=30),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    words=WORDS,
    whole=st.booleans(),
    cut=st.floats(0, 1),
    packets=st.lists(st.floats(0, 1), max_size=4),
    fault=FAULTS,
    dispose_after=st.none() | st.integers(0, 6),
)
def test_rules_hold_for_random_streams(
    wire: SpokenWire,
    words: list[str],
    whole: bool,
    cut: float,
    packets: list[float],
    fault: tuple[bytes | Cue, ...],
    dispose_after: int | None,
) -> None:
    body = wire.start() + b"".join(map(wire.text, words)) + wire.finish() + wire.done()
    sent = body if whole else body[: int(cut * len(body))]
    edges = sorted({0, len(sent), *(int(edge * len(sent)) for edge in packets)})
    act: list[bytes | Cue] = [
        head(200, b"content-type: " + wire.content_type, b"transfer-encoding: chunked")
    ]
    for start, end in pairwise(edges):
        act += [chunk(sent[start:end]), Cue.PAUSE]

    timeout = SHORT
    if whole:
        timeout = SILENT_AT_THE_END if fault == (Cue.STALL,) else PATIENT

    async def check() -> Seen:
        def leave(_: object = None) -> None:
            if len(seen.items) == dispose_after:
                seen.subscription.dispose()
                seen.over.set()

        async with FaultyServer([*act, *fault] if fault else [*act, LAST, Cue.FIN]) as server:
            async with wire.model(server.url, max_retries=0, timeout=timeout) as llm:
                seen = Seen(llm.chat_stream("hi"), leave)
                leave()
                await asyncio.wait_for(seen.over.wait(), 20)
            await asyncio.wait_for(server.all_left(), 20)
        return seen

    seen = run_async(check())
    text = "".join(chunk.delta for chunk in seen.items)
    assert "".join(words).startswith(text)
    if len(seen.items) == dispose_after:
        assert len(seen.notes) == dispose_after
    elif whole:
        assert seen.completed
    else:
        assert seen.completed or seen.error is not None
    if seen.completed:
        assert text == "".join(words)
