"""Any script, cut anywhere by any fault, and disposed at any moment."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import pytest
from faults import LAST, chunk, head
from faulty_server import Cue, FaultyServer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from running import run_async
from wires import WIRES, SpokenWire

from rxagents import ProviderError, StreamChunk, Timeouts

SHORT = Timeouts(first=0.15, idle=0.15)
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


class Observed:
    """Everything that a subscriber is told, in order."""

    def __init__(self, dispose_after: int | None) -> None:
        self.notes: list[str | ProviderError | None] = []
        self.disposed_at: int | None = None
        self.over = asyncio.Event()
        self._dispose_after = dispose_after

    def subscribe(self, stream: Any) -> None:
        self._subscription = stream.subscribe(self._on_next, self._on_error, self._on_completed)
        if self._dispose_after == 0:
            self._dispose()

    @property
    def text(self) -> str:
        return "".join(note for note in self.notes if isinstance(note, str))

    @property
    def terminals(self) -> list[ProviderError | None]:
        return [note for note in self.notes if not isinstance(note, str)]

    def _on_next(self, chunk: StreamChunk) -> None:
        self.notes.append(chunk.delta)
        if len(self.notes) == self._dispose_after:
            self._dispose()

    def _on_error(self, error: ProviderError) -> None:
        self.notes.append(error)
        self.over.set()

    def _on_completed(self) -> None:
        self.notes.append(None)
        self.over.set()

    def _dispose(self) -> None:
        self._subscription.dispose()
        self.disposed_at = len(self.notes)
        self.over.set()


@pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.name)
@settings(
    deadline=None, max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    words=WORDS,
    whole=st.booleans(),
    cut=st.floats(0, 1),
    packets=st.lists(st.floats(0, 1), max_size=4),
    fault=FAULTS,
    dispose_after=st.none() | st.integers(0, 6),
)
def test_the_rules_hold(
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
    observed = Observed(dispose_after)

    async def check() -> None:
        async with FaultyServer([*act, *fault] if fault else [*act, LAST, Cue.FIN]) as server:
            async with wire.model(server.url, max_retries=0, timeout=SHORT) as llm:
                observed.subscribe(llm.chat_stream("hi"))
                await asyncio.wait_for(observed.over.wait(), 5)
            await asyncio.wait_for(server.all_left(), 5)

    run_async(check())
    assert "".join(words).startswith(observed.text)
    if observed.disposed_at is not None:
        assert observed.terminals == []
        assert len(observed.notes) == observed.disposed_at
    else:
        assert len(observed.terminals) == 1
        assert observed.notes[-1] is observed.terminals[0]
    if observed.terminals == [None]:
        assert observed.text == "".join(words)
    if whole and observed.disposed_at is None:
        assert observed.terminals == [None]
