"""Encode a run for an endpoint of OpenAI's."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any, Protocol

import msgspec
from reactivex import Observable, abc

from rxagents.core.events import StreamEvent
from rxagents.serve.failures import RequestError


class RunEncoder(Protocol):
    """Encodes the events of one run."""

    def begin(self) -> bytes:
        """Encode the beginning, before the run's first event."""

    def event(self, event: StreamEvent) -> bytes:
        """Encode an event; empty for those that the protocol does not have.

        Raises:
            RequestError: The stream cannot go on; `fail` encodes its end.
        """

    def fail(self, error: Exception) -> bytes:
        """Encode the failure of the run, and the end of the stream."""

    def end(self) -> bytes:
        """Encode the end of the stream."""


def encoded(
    make_encoder: Callable[[], RunEncoder],
) -> Callable[[Observable[StreamEvent]], Observable[bytes]]:
    """Return an operator from a run's events to the bytes of a response; it does not fail.

    Args:
        make_encoder: Makes the encoder of a subscription.
    """

    def encode(source: Observable[StreamEvent]) -> Observable[bytes]:
        def subscribe(
            observer: abc.ObserverBase[bytes], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            encoder = make_encoder()

            def send(frames: bytes) -> None:
                if frames:
                    observer.on_next(frames)

            def on_next(event: StreamEvent) -> None:
                try:
                    frames = encoder.event(event)
                except RequestError as error:
                    on_error(error)
                else:
                    send(frames)

            def on_error(error: Exception) -> None:
                send(encoder.fail(error))
                observer.on_completed()

            def on_completed() -> None:
                send(encoder.end())
                observer.on_completed()

            send(encoder.begin())
            return source.subscribe(on_next, on_error, on_completed, scheduler=scheduler)

        return Observable(subscribe)

    return encode


def json_frame(body: dict[str, Any], event: str = "") -> bytes:
    """Return a server-sent event with JSON data."""
    name = f"event: {event}\n".encode() if event else b""
    return name + b"data: " + msgspec.json.encode(body) + b"\n\n"


def around_text(make_frame: Callable[[str], bytes]) -> tuple[bytes, bytes]:
    """Return the bytes before and after the JSON of a text, in frames that differ in it alone.

    Args:
        make_frame: Returns the frame of a text.
    """
    mark = uuid.uuid4().hex
    before, after = make_frame(mark).split(b'"%b"' % mark.encode())
    return before, after
