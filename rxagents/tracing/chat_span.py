"""The span of a model call: the request, what came of the answer, and its token counts.

A chunk of text costs one call and two tests more: the span looks into the first chunk, and into
those with a finish reason or token counts. Everything else waits for the end of the stream.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from opentelemetry.context import Context
from opentelemetry.trace import SpanKind
from opentelemetry.util.types import AttributeValue

from rxagents.core.chunks import StreamChunk
from rxagents.core.output_type import is_output_type
from rxagents.core.response import ResponseBuilder
from rxagents.core.usage import Usage
from rxagents.runtime.listening import ModelCall
from rxagents.tracing import content, names
from rxagents.tracing.run_spans import current_run
from rxagents.tracing.spans import OpenSpan, Telemetry, attributes_of

OnChunk = Callable[[StreamChunk], None]


class ChatSpan(OpenSpan):
    """The span of a model call.

    Args:
        telemetry: Makes the span.
        call: The request.
        start: When the call began, in nanoseconds since the epoch; `None` for now.
        parent: The context of its parent; `None` for the current one.
    """

    def __init__(
        self,
        telemetry: Telemetry,
        call: ModelCall,
        *,
        start: int | None = None,
        parent: Context | None = None,
    ) -> None:
        operation = names.TEXT_COMPLETION if call.is_completion else names.CHAT
        target = _target(call)
        super().__init__(
            telemetry,
            f"{operation} {call.model}".rstrip(),
            operation,
            {**target, **_settings(call)},
            kind=SpanKind.CLIENT,
            metric=names.DURATION,
            start=start,
            parent=parent,
        )
        self.metric_attributes |= target
        self._is_first = True
        self._last_chunk = 0.0
        self._finish_reasons: dict[int, str] = {}
        self._usage: Usage | None = None
        self._builder = ResponseBuilder() if telemetry.has_content else None
        call.on_retry = self.on_retry
        run = current_run()
        if run is not None:
            run.model_calls += 1
            self.set({names.CONVERSATION: run.conversation_id})
        if telemetry.has_content:
            self._set_content(call)

    def watching(self, emit: OnChunk) -> OnChunk:
        """Return a function that notes what a chunk says, and emits it."""
        if self._builder is not None or self.telemetry.has_chunk_times:
            return self._watching_closely(emit)
        note, is_first = self.note, True

        def on_next(chunk: StreamChunk) -> None:
            nonlocal is_first
            if is_first or chunk.finish_reason or chunk.usage is not None:
                is_first = False
                note(chunk)
            try:
                emit(chunk)
            except BaseException:  # the consumer's: nobody need dispose the stream after it
                self.end(is_disposed=True)
                raise

        return on_next

    def _watching_closely(self, emit: OnChunk) -> OnChunk:
        emit = self.guarding(emit)
        has_times = self.telemetry.has_chunk_times
        add = None if self._builder is None else self._builder.add

        def on_next(chunk: StreamChunk) -> None:
            if self._is_first or chunk.finish_reason or chunk.usage is not None:
                self.note(chunk)
            if has_times:
                self._time_chunk()
            if add is not None:
                add(chunk)
            emit(chunk)

        return on_next

    def note(self, chunk: StreamChunk) -> None:
        """Note what a chunk says of the answer."""
        if self._is_first:
            self._is_first = False
            seconds = time.perf_counter() - self.began
            self.set({names.FIRST_CHUNK: seconds})
            attributes = {**self.metric_attributes, **self._model_of(chunk)}
            self.telemetry.instruments.record(names.TIME_TO_FIRST_CHUNK, seconds, attributes)
        if chunk.finish_reason:
            self._finish_reasons[chunk.choice] = chunk.finish_reason
        if chunk.usage is not None:
            self._usage = chunk.usage
        known = self._model_of(chunk)
        self.metric_attributes |= known
        identity = chunk.metadata.get("id")
        self.set({**known, names.RESPONSE_ID: identity if isinstance(identity, str) else None})

    def finish(self) -> None:
        """Set what came of the answer, and record its token counts."""
        reasons = [reason for _, reason in sorted(self._finish_reasons.items())]
        self.set({names.FINISH_REASONS: reasons or None})
        if self._usage is not None:
            counts = _counts(self._usage)
            self.set(counts)
            known = {k: v for k, v in self.metric_attributes.items() if k != names.ERROR_TYPE}
            self.telemetry.instruments.record_tokens(counts, known)
        if self._builder is not None:
            response = self._builder.response()
            message = content.messages_json((response.message,), response.finish_reason)
            self.set({names.OUTPUT: message})

    def _model_of(self, chunk: StreamChunk) -> dict[str, AttributeValue]:
        model = chunk.metadata.get("model")
        return {names.RESPONSE_MODEL: model} if isinstance(model, str) and model else {}

    def _time_chunk(self) -> None:
        now, before = time.perf_counter(), self._last_chunk
        self._last_chunk = now
        if before:
            instruments = self.telemetry.instruments
            instruments.record(names.TIME_PER_CHUNK, now - before, self.metric_attributes)

    def _set_content(self, call: ModelCall) -> None:
        system = [message for message in call.messages if message.role == "system"]
        others = [message for message in call.messages if message.role != "system"]
        self.set(
            {
                names.INSTRUCTIONS: content.instructions_json(system) if system else None,
                names.INPUT: content.messages_json(others) if others else None,
                names.DEFINITIONS: content.tools_json(call.tools) if call.tools else None,
            }
        )


def _target(call: ModelCall) -> dict[str, AttributeValue]:
    """Return what was asked: the attributes that metrics have too."""
    provider = names.provider_name(call.provider, call.host)
    return attributes_of(
        {
            names.PROVIDER: provider or None,
            names.REQUEST_MODEL: call.model or None,
            names.ADDRESS: call.host or None,
            names.PORT: call.port if call.host else None,
        }
    )


def _settings(call: ModelCall) -> dict[str, AttributeValue]:
    settings, form = call.settings, call.settings.response_format
    if form is None:
        output = None
    elif isinstance(form, str):
        output = "text" if form == "text" else "json"
    else:
        output = "json" if isinstance(form, dict) or is_output_type(form) else None
    return attributes_of(
        {
            names.REQUEST_STREAM: True,
            names.REQUEST_TEMPERATURE: settings.temperature,
            names.REQUEST_TOP_P: settings.top_p,
            names.REQUEST_MAX_TOKENS: settings.max_tokens,
            names.REQUEST_STOP: settings.stop,
            names.REQUEST_SEED: settings.seed,
            names.OUTPUT_TYPE: output,
        }
    )


def _counts(usage: Usage) -> dict[str, int]:
    written: Any = usage.raw.get("cache_creation_input_tokens")  # Anthropic's; others have none
    counts = {
        names.INPUT_TOKENS: usage.input_tokens,
        names.OUTPUT_TOKENS: usage.output_tokens,
        names.CACHE_READ: usage.cached_tokens,
        names.CACHE_WRITE: written if isinstance(written, int) else None,
        names.REASONING: usage.reasoning_tokens,
    }
    return {name: count for name, count in counts.items() if count is not None}
