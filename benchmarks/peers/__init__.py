"""The libraries that are measured, each in a process of its own.

A client of a peer is an async context manager: it takes the URL of a server and yields a function
that starts a stream. All scenarios use the peers through this one interface.

A module of this package imports a peer's library inside a function, because no environment has the
libraries of all peers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias

from msgspec import Struct

See: TypeAlias = Callable[[Any], Any]
"""Gets each text or chunk of a stream."""

Ended: TypeAlias = Callable[[BaseException | None], Any]
"""Is called at the end of a stream, with the error if it failed."""

Stop: TypeAlias = Callable[[], Any]
Start: TypeAlias = Callable[[See, Ended], Stop]
"""Starts a stream; returns a function that stops it."""

Client: TypeAlias = Callable[[str], AbstractAsyncContextManager[Start]]


class Peer(Struct, frozen=True):
    """A library and how it reads a stream.

    Attributes:
        client: Where its client is: `module:function`.
        requires: What `pip install` needs, the library itself first; empty for what rxagents needs.
    """

    client: str
    requires: tuple[str, ...] = ()


def in_task(read: Callable[[See], Coroutine[Any, Any, None]]) -> Start:
    """Return a function that starts `read` in a task."""

    def start(see: See, ended: Ended) -> Stop:
        def done(task: asyncio.Task[None]) -> None:
            if not task.cancelled():
                ended(task.exception())

        task = asyncio.create_task(read(see))
        task.add_done_callback(done)
        return task.cancel

    return start


_HERE = "benchmarks.peers"
_LOOPS, _OURS = f"{_HERE}.loops", f"{_HERE}.ours"
_SDKS, _FRAMEWORKS = f"{_HERE}.sdks", f"{_HERE}.frameworks"

PEERS: dict[str, Peer] = {
    "bare aiohttp": Peer(f"{_LOOPS}:bare_aiohttp"),
    "bare aiohttp, finds texts": Peer(f"{_LOOPS}:aiohttp_texts"),
    "hand-written loop": Peer(f"{_LOOPS}:hand_written"),
    "httpx + httpx-sse": Peer(f"{_LOOPS}:httpx_sse", ("httpx-sse", "httpx")),
    "rxagents": Peer(f"{_OURS}:chat"),
    "rxagents, delta": Peer(f"{_OURS}:deltas"),
    "rxagents, text()": Peer(f"{_OURS}:text"),
    "rxagents, 1 operator": Peer(f"{_OURS}:one_operator"),
    "rxagents, 3 operators": Peer(f"{_OURS}:three_operators"),
    "rxagents, ops.fuse": Peer(f"{_OURS}:fused_operators"),
    "rxagents, 8 operators": Peer(f"{_OURS}:eight_operators"),
    "rxagents FunctionAgent": Peer(f"{_OURS}:function_agent"),
    "rxagents ReActAgent": Peer(f"{_OURS}:react_agent"),
    "rxagents, Responses": Peer(f"{_OURS}:responses"),
    "rxagents, Anthropic": Peer(f"{_OURS}:anthropic"),
    "rxagents, Gemini": Peer(f"{_OURS}:gemini"),
    "rxagents, Ollama": Peer(f"{_OURS}:ollama"),
    "openai": Peer(f"{_SDKS}:openai_chat", ("openai",)),
    "openai, Responses": Peer(f"{_SDKS}:openai_responses", ("openai",)),
    "anthropic": Peer(f"{_SDKS}:anthropic_messages", ("anthropic",)),
    "google-genai": Peer(f"{_SDKS}:google_genai", ("google-genai",)),
    "ollama": Peer(f"{_SDKS}:ollama_chat", ("ollama",)),
    "pydantic-ai": Peer(f"{_FRAMEWORKS}:pydantic_ai", ("pydantic-ai-slim[openai]",)),
    "langchain-openai": Peer(f"{_FRAMEWORKS}:langchain", ("langchain-openai",)),
    "litellm": Peer(f"{_FRAMEWORKS}:litellm", ("litellm",)),
    "openai-agents": Peer(f"{_FRAMEWORKS}:openai_agents", ("openai-agents",)),
    "agno": Peer(f"{_FRAMEWORKS}:agno", ("agno", "openai")),
    "strands": Peer(f"{_FRAMEWORKS}:strands", ("strands-agents[openai]",)),
}

FRAMEWORKS = ("pydantic-ai", "openai-agents", "agno", "strands")
"""Peers that run agents."""

CHAT = (
    "bare aiohttp",
    "hand-written loop",
    "httpx + httpx-sse",
    "rxagents",
    "rxagents, text()",
    "openai",
    "langchain-openai",
    "litellm",
    *FRAMEWORKS,
)
"""Peers that read chat completions."""

WIRES = {
    "chat completions": ("rxagents", "openai"),
    "Responses": ("rxagents, Responses", "openai, Responses"),
    "Anthropic": ("rxagents, Anthropic", "anthropic"),
    "Gemini": ("rxagents, Gemini", "google-genai"),
    "Ollama": ("rxagents, Ollama", "ollama"),
}
"""Our provider and the vendor's own library, on each wire."""
