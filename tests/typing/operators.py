"""Types of operators and sources behind their decorators; nothing here runs."""

from __future__ import annotations

from typing import assert_type

import reactivex as rx
from reactivex import Observable
from reactivex import operators as rx_ops

from rxagents import FunctionAgent, StreamChunk, StreamEvent, Token, ToolEnd, first_of
from rxagents import operators as ops
from rxagents.providers.base_llm import BaseLLM
from rxagents.testing import ScriptedLLM


async def shout(text: str) -> bytes:
    return text.encode()


def operators_keep_their_types(llm: BaseLLM, scripted: ScriptedLLM) -> None:
    chunks = llm.chat_stream("?")
    assert_type(chunks, Observable[StreamChunk])
    assert_type(scripted.chat_stream("?"), Observable[StreamChunk])
    assert_type(llm.complete_stream("?"), Observable[StreamChunk])
    assert_type(chunks.pipe(ops.timeout_idle(5)), Observable[StreamChunk])
    assert_type(chunks.pipe(ops.text(), ops.coalesce()), Observable[str])
    assert_type(chunks.pipe(ops.text(), ops.map_async(shout)), Observable[bytes])
    assert_type(chunks.pipe(ops.items("a[]", int)), Observable[int])
    assert_type(chunks.pipe(ops.resume_with(llm, "?")), Observable[StreamChunk])
    assert_type(chunks.pipe(ops.best_of(2, lambda _: 0)), Observable[StreamChunk])
    assert_type(chunks.pipe(ops.hedge(chunks, after="p95")), Observable[StreamChunk])
    assert_type(first_of(chunks, chunks, by="sentence"), Observable[StreamChunk])
    by_text = first_of(chunks, by=lambda chunk: len(chunk.content) > 5)
    assert_type(by_text, Observable[StreamChunk])


def fuse_infers_its_result(chunks: Observable[StreamChunk], texts: Observable[str]) -> None:
    def delta(chunk: StreamChunk) -> str:
        return chunk.delta

    def join(before: str, text: str) -> str:
        return before + text

    def measure(length: int, text: str) -> int:
        return length + len(text)

    assert_type(chunks.pipe(ops.fuse(map=delta)), Observable[str])
    assert_type(chunks.pipe(ops.fuse(map=delta, filter=len, scan=join)), Observable[str])
    assert_type(chunks.pipe(ops.fuse(map=delta, scan=measure, seed=0)), Observable[int])
    assert_type(texts.pipe(ops.fuse(filter=str.isalpha)), Observable[str])
    assert_type(texts.pipe(ops.fuse(filter=len, scan=join)), Observable[str])
    assert_type(texts.pipe(ops.fuse(filter=len, scan=measure, seed=0)), Observable[int])


def sources_keep_their_types(llm: BaseLLM) -> None:
    events = FunctionAgent(llm).run_stream("?")
    assert_type(events, Observable[StreamEvent])
    assert_type(events.pipe(ops.of_type(Token)), Observable[Token])
    assert_type(events.pipe(ops.of_type(Token, ToolEnd)), Observable[Token | ToolEnd])


def checkpoints_keep_types(texts: Observable[str]) -> None:
    assert_type(texts.pipe(ops.checkpoint("here")), Observable[str])
    lengths = rx_ops.map(len)
    assert_type(rx.of("a").pipe(ops.checkpoint("length", lengths)), Observable[int])
