"""Ask a model or an agent, show its answer, and log both."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import Any, TypeAlias, cast

from msgspec import Struct
from reactivex import Observable

from rxagents.agents.conversation import Conversation
from rxagents.agents.memory import Memory
from rxagents.cli.config import Config
from rxagents.cli.failures import report_message
from rxagents.cli.log import Info, Log, find, info_of, new_id, user_message
from rxagents.cli.pieces import Item
from rxagents.cli.question import Options, Question, make_question, prompt_of
from rxagents.cli.signals import StopSignals
from rxagents.cli.streaming import show
from rxagents.cli.views import View
from rxagents.core.chunks import StreamChunk
from rxagents.core.errors import ConfigurationError, StorageError
from rxagents.core.messages import Message
from rxagents.core.output_type import OutputType
from rxagents.core.response import ResponseBuilder
from rxagents.operators import Measurement
from rxagents.providers.base_llm import BaseLLM
from rxagents.storage.conversation_store import Snapshot
from rxagents.storage.sqlite_store import SQLiteStore

Operator: TypeAlias = Callable[[Observable[Item]], Observable[Item]]


class Place(Struct, frozen=True):
    """Where an exchange belongs.

    Attributes:
        conversation_id: The id of its conversation.
        start: The conversation before it.
        store: Where it is stored; `None` for nowhere.
    """

    conversation_id: str
    start: Snapshot
    store: SQLiteStore | None

    @property
    def history(self) -> list[Message]:
        """The messages before the question."""
        return [message for exchange in self.start.exchanges for message in exchange]

    @property
    def last(self) -> Info | None:
        """Model, system prompt and time of the last exchange; `None` if there is none."""
        return info_of(self.start.exchanges) if self.start.exchanges else None


@asynccontextmanager
async def place_of(
    *, goes_on: bool, conversation: str | None, logs: bool, probes: bool = False
) -> AsyncIterator[Place]:
    """Find the conversation of a question, and keep its store open in the block.

    A log that cannot be opened is a warning, unless a conversation of it is continued.

    Args:
        goes_on: Whether the last conversation is continued.
        conversation: The id of the conversation to continue.
        logs: Whether the exchange is stored.
        probes: Whether to read the log first: the run of an agent would fail without it.

    Raises:
        ConfigurationError: There is no such conversation.
        StorageError: The log cannot be read.
    """
    continues = goes_on or bool(conversation)
    async with AsyncExitStack() as stack:
        key, start, store = new_id(), Snapshot(), None
        try:
            if continues or logs:
                store = await stack.enter_async_context(Log().store())
            if store is not None and continues:
                key, start = await find(store, conversation)
            elif store is not None and probes:
                await store.read(key)
        except StorageError as error:
            if continues:
                raise
            report_message(f"Nothing is logged. {error}", "Warning")
            store = None
        yield Place(key, start, store if logs else None)


async def answer(
    options: Options,
    words: Sequence[str],
    config: Config,
    place: Place,
    view: View,
    stop: StopSignals,
    operator: Operator | None = None,
) -> Measurement:
    """Ask a question, show the answer as it streams, and store both.

    Args:
        options: The options of the question.
        words: The words of the prompt.
        config: The configuration.
        place: The conversation that the exchange belongs to.
        view: The view that shows the answer.
        stop: The handler of stop signals.
        operator: Applied to the stream before it is shown; `None` for none.

    Returns:
        The measurement of the stream.

    Raises:
        RxAgentsError: The question cannot be asked, or its stream failed.
    """
    with stop.at_once():  # reading stdin cannot be cancelled
        question = make_question(options, prompt_of(options, words), config, place.last)
    if not question.parts:
        raise ConfigurationError(
            "The prompt is empty: pass PROMPT, pipe a text into the command, or pass - to type it."
        )
    message = user_message(question.parts, question.info)
    pipe = operator or _unchanged
    if question.has_own_agent:
        agent = question.own_agent()
        async with AsyncExitStack() as stack:
            if callable(aclose := getattr(getattr(agent, "llm", None), "aclose", None)):
                stack.push_async_callback(aclose)
            return await show(pipe(_run(question, agent, message, place)), view, stop)
    async with aclosing(question.make_model(config)) as model:
        if question.agent is None:
            return await _ask(question, model, message, place, view, stop, pipe)
        stream = _run(question, question.make_agent(model), message, place)
        return await show(pipe(stream), view, stop)


async def _ask(
    question: Question,
    model: BaseLLM,
    message: Message,
    place: Place,
    view: View,
    stop: StopSignals,
    pipe: Operator,
) -> Measurement:
    """Ask the model alone."""
    system = [Message.system(question.info.system)] if question.info.system else []
    output = None if question.answer is None else OutputType[object](question.answer)
    stream = model.chat_stream(
        [*system, *place.history, message],
        response_format=question.answer,
        **question.settings,
    )
    builder = ResponseBuilder()

    def add(item: Item) -> None:
        if isinstance(item, StreamChunk):
            builder.add(item)

    measured = await show(pipe(stream), view, stop, add)
    response = builder.response()
    if place.store is not None and response.message.parts:
        try:
            exchange = (message, response.message)
            await place.store.append(place.conversation_id, exchange, place.start)
        except StorageError as error:
            report_message(f"The answer was not logged. {error}", "Warning")
    if output is not None:
        output.read(response.content)
    return measured


def _run(question: Question, agent: Any, message: Message, place: Place) -> Observable[Item]:
    """Return the events of an agent's run in its conversation."""
    own = question.has_own_agent and question.info.system
    options: dict[str, Any] = {"system_prompt": question.info.system} if own else {}
    if place.store is None:
        return cast("Observable[Item]", agent.run_stream([*place.history, message], **options))
    conversation = Conversation(agent, memory=Memory(store=place.store))
    return conversation.run_stream(message, place.conversation_id, **options)


def _unchanged(stream: Observable[Item]) -> Observable[Item]:
    return stream
