"""Read streams with rxagents."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

from reactivex import Observable
from reactivex import operators as rx_ops

import rxagents
from benchmarks.peers import Client, Ended, See, Start, Stop
from rxagents import StreamChunk, Token
from rxagents import operators as ops

Operators: TypeAlias = Sequence[Callable[[Observable[Any]], Observable[Any]]]


def subscribed(stream: Observable[Any], see: See, ended: Ended) -> Stop:
    """Subscribe; return the function that disposes."""
    return stream.subscribe(see, ended, lambda: ended(None)).dispose


def provider(make: Callable[..., Any], make_operators: Callable[[], Operators] = tuple) -> Client:
    """Return a client that subscribes to a provider's stream through operators."""

    @asynccontextmanager
    async def client(url: str) -> AsyncIterator[Start]:
        async with make("replay", api_key="none", base_url=url) as llm:

            def start(see: See, ended: Ended) -> Stop:
                return subscribed(llm.chat_stream("go").pipe(*make_operators()), see, ended)

            yield start

    return client


@asynccontextmanager
async def deltas(url: str) -> AsyncIterator[Start]:
    """Hand on the text of each chunk, without an operator."""
    async with rxagents.OpenAI("replay", api_key="none", base_url=url) as llm:

        def start(see: See, ended: Ended) -> Stop:
            def on_next(chunk: StreamChunk) -> None:
                see(chunk.delta)

            return subscribed(llm.chat_stream("go"), on_next, ended)

        yield start


def _delta(chunk: StreamChunk) -> str:
    return chunk.delta


def _has_text(text: str) -> bool:
    return text != ""


def _add(length: int, text: str) -> int:
    return length + len(text)


def _same(item: Any) -> Any:
    return item


def _one() -> Operators:
    return [rx_ops.map(_delta)]


def _three() -> Operators:
    return [rx_ops.map(_delta), rx_ops.filter(_has_text), rx_ops.scan(_add, 0)]


def _fused() -> Operators:
    return [ops.fuse(map=_delta, filter=_has_text, scan=_add, seed=0)]


def _eight() -> Operators:
    return [*_three(), *(rx_ops.map(_same) for _ in range(5))]


chat = provider(rxagents.OpenAI)
text = provider(rxagents.OpenAI, lambda: [ops.text()])
one_operator = provider(rxagents.OpenAI, _one)
three_operators = provider(rxagents.OpenAI, _three)
fused_operators = provider(rxagents.OpenAI, _fused)
eight_operators = provider(rxagents.OpenAI, _eight)
responses = provider(rxagents.OpenAIResponses)
anthropic = provider(rxagents.Anthropic)
gemini = provider(rxagents.Gemini)
ollama = provider(rxagents.Ollama)


def agent(make: Callable[..., Any]) -> Client:
    """Return a client that subscribes to the events of an agent; what is seen is a token."""

    @asynccontextmanager
    async def client(url: str) -> AsyncIterator[Start]:
        async with rxagents.OpenAI("replay", api_key="none", base_url=url) as llm:
            made = make(llm)

            def start(see: See, ended: Ended) -> Stop:
                def on_next(event: object) -> None:
                    if isinstance(event, Token):
                        see(event)

                return subscribed(made.run_stream("go"), on_next, ended)

            yield start

    return client


function_agent = agent(rxagents.FunctionAgent)
react_agent = agent(rxagents.ReActAgent)
