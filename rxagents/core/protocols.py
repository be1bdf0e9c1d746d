"""What a model and an agent must be able to do, for users who write their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias, Unpack, runtime_checkable

from msgspec import Struct
from reactivex import Observable

from rxagents.core.chunks import StreamChunk
from rxagents.core.conversation import MessageLike
from rxagents.core.events import StreamEvent
from rxagents.core.messages import Message
from rxagents.core.response import Response
from rxagents.core.settings import SettingsArguments
from rxagents.core.tools import ToolLike
from rxagents.core.usage import Usage

Messages: TypeAlias = MessageLike | Sequence[MessageLike]


class AgentResult(Struct, frozen=True):
    """A run folded into one value.

    Attributes:
        output: The answer.
        messages: The conversation, with what this run added.
        usage: Token counts over all turns; `None` where no turn told them.
        iterations: How many turns it took.
        finish_reason: Why the last turn ended.
        trace: The steps of the run, where the agent keeps them.
    """

    output: str
    messages: tuple[Message, ...] = ()
    usage: Usage | None = None
    iterations: int = 0
    finish_reason: str = ""
    trace: tuple[Any, ...] = ()


@runtime_checkable
class LLM(Protocol):
    """A model that answers."""

    async def chat(
        self,
        messages: Messages,
        tools: Sequence[ToolLike] | None = None,
        **settings: Unpack[SettingsArguments],
    ) -> Response:
        """Answer a conversation."""
        ...

    async def complete(self, prompt: str, **settings: Unpack[SettingsArguments]) -> Response:
        """Continue a text."""
        ...

    async def aclose(self) -> None:
        """Release what the model holds on this loop."""
        ...


@runtime_checkable
class StreamingLLM(LLM, Protocol):
    """A model whose answers are streams; each stream is cold, each subscription one request."""

    def chat_stream(
        self,
        messages: Messages,
        tools: Sequence[ToolLike] | None = None,
        **settings: Unpack[SettingsArguments],
    ) -> Observable[StreamChunk]:
        """Answer a conversation, chunk by chunk."""
        ...

    def complete_stream(
        self, prompt: str, **settings: Unpack[SettingsArguments]
    ) -> Observable[StreamChunk]:
        """Continue a text, chunk by chunk."""
        ...


@runtime_checkable
class Agent(Protocol):
    """Something that works on a task until it has an answer."""

    async def run(self, task: str, /) -> AgentResult:
        """Run to the end."""
        ...


@runtime_checkable
class StreamingAgent(Agent, Protocol):
    """An agent whose run is a stream of events."""

    def run_stream(self, task: str, /) -> Observable[StreamEvent]:
        """Run, event by event; cold."""
        ...
