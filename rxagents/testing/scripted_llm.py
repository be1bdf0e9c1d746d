"""Provide a model that replies from a script, in process."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar, Unpack

from msgspec import Struct, structs
from reactivex import Observable, abc
from reactivex.disposable import SerialDisposable

from rxagents.core.chunks import StreamChunk
from rxagents.core.errors import ConfigurationError, TruncatedStreamError
from rxagents.core.message_input import to_messages
from rxagents.core.messages import Message
from rxagents.core.output_request import StructuredOutput
from rxagents.core.protocols import Messages
from rxagents.core.settings import Settings, SettingsArguments
from rxagents.core.tools import Tool, ToolLike, to_tools
from rxagents.providers.base_llm import BaseLLM
from rxagents.runtime.bridge import Bridge, LoopScheduler, bridge_of, scheduler_on_loop
from rxagents.runtime.factories import source_factory
from rxagents.runtime.limiting.protocol import RequestLimiter
from rxagents.runtime.listening import ModelCall, listened
from rxagents.runtime.loop import running_loop
from rxagents.runtime.metering.attempt import ModelRequest
from rxagents.runtime.metering.metered_stream import metered_stream
from rxagents.runtime.metering.metering import checked_budget, checked_limiter
from rxagents.runtime.recording import encode_value
from rxagents.runtime.reporting import report_unhandled
from rxagents.runtime.spending.budget import Budget
from rxagents.runtime.stream import Stream
from rxagents.testing.answers.chat_completions import END, events
from rxagents.testing.delivery import Ending
from rxagents.testing.script import Reply, ReplyLike, to_reply
from rxagents.testing.wires import WIRES
from rxagents.wire.chat_completions import ChatCompletionsParser
from rxagents.wire.parser import StreamInfo
from rxagents.wire.think_tags import DEFAULT_TAGS, ThinkTags, checked_think_tags

MODEL = "scripted"

_DEFAULT_REPLY = "Hello! I am a scripted model: I need no key, and I always say this."


class ScriptedRequest(Struct, frozen=True):
    """A request to a scripted model.

    Attributes:
        messages: The conversation.
        tools: The tools, as the caller passed them.
        settings: The settings of the request.
    """

    messages: tuple[Message, ...]
    tools: tuple[Any, ...]
    settings: Settings


class ScriptedLLM(BaseLLM):
    """A `StreamingLLM` that replies from a script, without network.

    Each subscription takes the next reply; the last one repeats. The stream emits on the
    running loop, or in virtual time: a `TestScheduler` of the subscriber drives its delays.

    Args:
        *replies: The replies in order; a `str` is the text of a reply.
        think_tags: The tags around thinking at the beginning of a text; see `ProviderOptions`.
        raw: Whether chunks keep the bytes of their events, as those of a chat-completions host; a
            call may override it.
        limiter: See `ProviderOptions`.
        budget: See `ProviderOptions`.

    Attributes:
        requests: The requests in the order of the subscriptions.

    Raises:
        ConfigurationError: A reply has the wrong type, or an ending that only HTTP has; or
            `think_tags` are no tags.
    """

    is_metered: ClassVar[bool] = True
    structured_output: StructuredOutput = "native"

    def __init__(
        self,
        *replies: ReplyLike,
        think_tags: ThinkTags | None = DEFAULT_TAGS,
        raw: bool = False,
        limiter: RequestLimiter | None = None,
        budget: Budget | None = None,
    ) -> None:
        given = replies or (_DEFAULT_REPLY,)
        self.requests: list[ScriptedRequest] = []
        self._settings = Settings(raw=raw)
        self._limiter = checked_limiter(limiter)
        self._budget = checked_budget(budget)
        self._info = StreamInfo(MODEL, think_tags=checked_think_tags(think_tags))
        self._replies = [_checked(to_reply(reply)) for reply in given]

    @source_factory
    def chat_stream(
        self,
        messages: Messages,
        tools: Sequence[ToolLike] | None = None,
        **settings: Unpack[SettingsArguments],
    ) -> Observable[StreamChunk]:
        """Stream the next reply."""
        checked_tools = to_tools(tools)  # rejects the tools that a provider would reject
        request = ScriptedRequest(
            to_messages(messages), tuple(tools or ()), Settings().override(**settings)
        )
        raw = self._settings.override(raw=settings.get("raw")).raw
        info = structs.replace(self._info, raw=bool(raw))

        def subscribe(
            observer: abc.ObserverBase[StreamChunk], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            bridge = bridge_of(scheduler)
            chosen = scheduler_on_loop(scheduler) or LoopScheduler(running_loop(), bridge)
            reply = self._replies[min(len(self.requests), len(self._replies) - 1)]
            self.requests.append(request)
            parser = ChatCompletionsParser(info)
            return _Playback(reply, parser, observer, chosen, bridge).start()

        metered = ModelRequest(
            MODEL,
            MODEL,
            None,
            request.messages,
            checked_tools,
            request.settings.max_tokens,
            self._limiter,
            self._budget,
        )
        stream = metered_stream(Stream(subscribe), metered)

        def describe() -> ModelCall:
            return ModelCall(MODEL, MODEL, request.messages, checked_tools, request.settings)

        answer = listened(lambda _: stream, describe)
        answer.request_key = partial(_request_key, request, checked_tools)
        return answer

    async def aclose(self) -> None:
        """Do nothing: the model holds no resources."""


def _request_key(request: ScriptedRequest, tools: Sequence[Tool]) -> str:
    """Return a text that only equal requests have."""
    shown = [(tool.name, tool.description, tool.parameters) for tool in tools]
    settings = structs.replace(request.settings, headers=None, timeout=None)
    body = encode_value((request.messages, shown, repr(settings)))
    return hashlib.sha256(body).hexdigest()


class _Playback:
    """Plays one reply to one subscriber; it pauses while the gate of a slow reader is closed."""

    def __init__(
        self,
        reply: Reply,
        parser: ChatCompletionsParser,
        observer: abc.ObserverBase[StreamChunk],
        scheduler: abc.SchedulerBase,
        bridge: Bridge | None,
    ) -> None:
        self._interval = reply.interval
        self._delay = reply.delay
        self._observer = observer
        self._scheduler = scheduler
        self._bridge = bridge
        self._frames = iter([*events(reply, MODEL, "scripted"), *_end(reply)])
        self._parser = parser
        self._timer = SerialDisposable()
        self._chunks: list[StreamChunk] = []

    def start(self) -> abc.DisposableBase:
        """Start the reply; return the disposable that stops it."""
        self._after(self._delay)
        return self._timer

    def _after(self, seconds: float) -> None:
        self._timer.disposable = self._scheduler.schedule_relative(seconds, self._step)

    def _step(self, _: abc.SchedulerBase, __: object = None) -> abc.DisposableBase | None:
        try:
            self._play()
        except BaseException as error:
            self._timer.dispose()
            report_unhandled(error, None, self._bridge)
        return None

    def _play(self) -> None:
        """Emit until the reply ends, the gate closes or an interval starts."""
        while not self._timer.is_disposed:
            if self._bridge is not None and self._bridge.gate.closed:
                self._bridge.gate.when_open(lambda: self._after(0))
                return
            if self._chunks:
                self._observer.on_next(self._chunks.pop(0))
                continue
            frame = next(self._frames, None)
            if frame is None:
                self._finish()
                return
            self._chunks = self._parser.feed(frame, self._now())
            if self._interval and self._chunks:
                self._observer.on_next(self._chunks.pop(0))
                self._after(self._interval)
                return

    def _finish(self) -> None:
        for chunk in self._parser.flush(self._now()):  # less than one tag, or white space
            self._observer.on_next(chunk)
        if self._parser.error is not None:
            self._observer.on_error(self._parser.error)
        elif self._parser.complete:
            self._observer.on_completed()
        else:
            self._observer.on_error(
                TruncatedStreamError(
                    "The scripted reply ends without its end marker.", provider=MODEL
                )
            )

    def _now(self) -> float:
        return self._scheduler.to_seconds(self._scheduler.now)


def _checked(reply: Reply) -> Reply:
    if not reply.ending.ends_body:
        raise ConfigurationError(
            f"A ScriptedLLM has no connection for the ending {reply.ending.value!r}: use a "
            "ScriptedServer."
        )
    WIRES[0].check_error(reply, events(reply, MODEL, "scripted"))
    return reply


def _end(reply: Reply) -> list[bytes]:
    return [END] if reply.ending is Ending.COMPLETE and reply.error is None else []
