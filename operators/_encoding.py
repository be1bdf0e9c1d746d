"""Drive an encoder of a protocol with the items of one stream.

The source may be a stream of events, of a model's chunks, or of an event log's entries. A failure
of the source is encoded too, and then the encoded stream completes: the body of an HTTP response
has no other way to carry it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeGuard, TypeVar, cast

from msgspec import Struct
from reactivex import Observable, abc

from rxagents.core.chunk_events import events_of
from rxagents.core.chunks import StreamChunk
from rxagents.core.errors import ConfigurationError
from rxagents.core.event_base import Event
from rxagents.core.events import (
    Complete,
    ErrorEvent,
    ErrorInfo,
    StreamEvent,
    Token,
    ToolStart,
)
from rxagents.core.response import ResponseBuilder
from rxagents.core.tool_calls import ToolCallAssembler
from rxagents.runtime.event_log.log_entries import LogEntry
from rxagents.runtime.tool_execution.approval import arguments_of

Encodable = TypeVar("Encodable", bound="Event | StreamChunk | LogEntry[Any]")


class EventEncoder(Protocol):
    """Encodes the events of one stream; empty bytes are not sent."""

    def event(self, event: StreamEvent) -> bytes:
        """Encode an event."""
        ...

    def end(self) -> bytes:
        """Encode the end of the stream."""
        ...


def encoded(
    name: str, make_encoder: Callable[[], EventEncoder]
) -> Callable[[Observable[Encodable]], Observable[bytes]]:
    """Return the operator `name`, which encodes events with an encoder for each subscription."""

    def encode_(source: Observable[Encodable]) -> Observable[bytes]:
        def subscribe(
            observer: abc.ObserverBase[bytes], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            encoder, chunks = make_encoder(), ChunkEvents()
            has_failed = False

            def emit(encoded_event: bytes) -> None:
                if encoded_event:
                    observer.on_next(encoded_event)

            def on_next(item: object) -> None:
                nonlocal has_failed
                if isinstance(item, LogEntry):
                    item = item.item
                if isinstance(item, Event):
                    has_failed = has_failed or (isinstance(item, ErrorEvent) and not item.path)
                    emit(encoder.event(cast("StreamEvent", item)))
                elif isinstance(item, StreamChunk):
                    emit(b"".join(map(encoder.event, chunks.events(item))))
                else:
                    observer.on_error(
                        ConfigurationError(
                            f"{name} takes StreamEvents and StreamChunks, not "
                            f"{type(item).__name__}."
                        )
                    )

            def on_error(error: Exception) -> None:
                last = b"" if has_failed else encoder.event(ErrorEvent(ErrorInfo.of(error)))
                emit(last + encoder.end())
                observer.on_completed()

            def on_completed() -> None:
                emit(b"".join(map(encoder.event, chunks.end())) + encoder.end())
                observer.on_completed()

            return source.subscribe(on_next, on_error, on_completed, scheduler=scheduler)

        return Observable(subscribe)

    return encode_


class ChunkEvents:
    """Converts the chunks of one response to the events of a run without tools."""

    def __init__(self) -> None:
        self._response = ResponseBuilder()
        self._calls = ToolCallAssembler()
        self._has_chunks = False

    def events(self, chunk: StreamChunk) -> Iterator[StreamEvent]:
        """Return the events of a chunk: thinking, text, arguments, and sealed calls."""
        self._has_chunks = True
        self._response.add(chunk)
        yield from events_of(chunk)
        if "reset" in chunk.metadata:
            self._calls = ToolCallAssembler()
        if chunk.choice != 0:
            return
        for delta in chunk.tool_calls:
            call = self._calls.add(delta)
            arguments = self._calls.arguments_event(delta.index, chunk.timestamp)
            if arguments is not None:
                yield arguments
            if call is not None:
                yield ToolStart(call.id, call.name, arguments_of(call), chunk.timestamp)

    def end(self) -> Iterator[StreamEvent]:
        """Return the last event; none if there were no chunks."""
        if self._has_chunks:
            response = self._response.response()
            yield Complete(response.content, response.usage, 1, response.finish_reason)


def is_plain_text(event: StreamEvent) -> TypeGuard[Token]:
    """Return whether an event is text of the run's own answer, and not of a sub-agent or a call."""
    return (
        event.__class__ is Token
        and event.content != ""
        and not event.path
        and event.section not in {"thought", "action"}
    )


def data_frame(encoded_json: bytes) -> bytes:
    """Return one server-sent event with JSON data."""
    return b"data: " + encoded_json + b"\n\n"


class Frame(Struct, frozen=True, rename="camel", tag_field="type"):
    """The base of the frames of a protocol: camelCase on the wire; what is UNSET is left out."""
