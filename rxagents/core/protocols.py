"""Define the interfaces of models and agents, for users who write their own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeAlias, Unpack, runtime_checkable

from msgspec import Struct
from reactivex import Observable

from rxagents.core.chunks import StreamChunk
from rxagents.core.events import StreamEvent
from rxagents.core.message_input import MessageLike
from rxagents.core.messages import Message, ToolCall
from rxagents.core.response import Response
from rxagents.core.settings import SettingsArguments
from rxagents.core.tools import ToolLike
from rxagents.core.usage import Usage

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    OutputT = TypeVar("OutputT", default=str)
else:  # `default` needs Python 3.13
    from typing import TypeVar

    OutputT = TypeVar("OutputT")

T = TypeVar("T")

Messages: TypeAlias = MessageLike | Sequence[MessageLike]


class AgentResult(Struct, Generic[OutputT], frozen=True):
    """The result of an agent's run, folded from its events.

    Attributes:
        output: The final answer: a text, or a value of the agent's `output_type`. A run that ended
            before its answer (the finish reason is `"cancelled"` or `"approval"`) has the text so
            far, or `None` with an `output_type`.
        messages: The conversation, including the messages that this run added.
        usage: Token counts, summed over all turns; `None` if no turn reported them.
        iterations: The number of turns.
        finish_reason: The finish reason of the last turn; `"cancelled"` if the run was stopped,
            `"limit"` if its answer is from a last turn at a limit (`at_limit="answer"`),
            `"approval"` if calls wait for decisions.
        trace: The steps of the run, if the agent records them.
        estimated_usage: Estimated counts of turns that were ended before the provider sent theirs;
            `usage` does not contain them.
        pending: The calls that wait for decisions; see `approve="defer"`.
    """

    output: OutputT
    messages: tuple[Message, ...] = ()
    usage: Usage | None = None
    iterations: int = 0
    finish_reason: str = ""
    trace: tuple[Any, ...] = ()
    estimated_usage: Usage | None = None
    pending: tuple[ToolCall, ...] = ()


@runtime_checkable
class LLM(Protocol):
    """A language model that returns whole responses."""

    async def chat(
        self,
        messages: Messages,
        tools: Sequence[ToolLike] | None = None,
        **settings: Unpack[SettingsArguments],
    ) -> Response:
        """Return the response to a conversation."""
        ...

    async def complete(self, prompt: str, **settings: Unpack[SettingsArguments]) -> Response:
        """Return the completion of a prompt."""
        ...

    async def aclose(self) -> None:
        """Release the resources that the model holds on this loop."""
        ...


@runtime_checkable
class StreamingLLM(LLM, Protocol):
    """A model that streams its responses; streams are cold, each subscription is one request."""

    def chat_stream(
        self,
        messages: Messages,
        tools: Sequence[ToolLike] | None = None,
        **settings: Unpack[SettingsArguments],
    ) -> Observable[StreamChunk]:
        """Stream the response to a conversation."""
        ...

    def complete_stream(
        self, prompt: str, **settings: Unpack[SettingsArguments]
    ) -> Observable[StreamChunk]:
        """Stream the completion of a prompt."""
        ...


@runtime_checkable
class Agent(Protocol):
    """Works on a task until it has an answer."""

    async def run(self, task: str, /) -> AgentResult[Any]:
        """Work on a task and return the result."""
        ...


@runtime_checkable
class StreamingAgent(Agent, Protocol):
    """An agent that streams the events of its run."""

    def run_stream(self, task: str, /) -> Observable[StreamEvent]:
        """Work on a task and stream the events; the stream is cold."""
        ...


class ByRead(Protocol):
    """Makes a stream of what each read of the network brings, for operators that need no chunks.

    To make a chunk of each text costs more than to decode it. `text`, `collect` and agents ask for
    this where they stand directly behind the stream of a model.
    """

    def __call__(
        self, items_of: Callable[[list[StreamChunk]], Iterable[T]]
    ) -> Observable[T] | None:
        """Return a cold stream that emits `items_of(chunks)` for the chunks of each read.

        These chunks are those of the stream of chunks, but a `TextBurst` may stand for several of
        them. Requests, errors and the end are the same, and so is the demand: the stream waits
        between two items while the consumer wants none.

        Args:
            items_of: Called in the stream, in order, with the chunks of a read. It must not raise.

        Returns:
            `None` if something else must see each chunk, such as a tracer. Ask for it at each
            subscription.
        """
        ...
