"""Continues the answer of one subscription of `resume_with`.

Theory of operation. `Resumer` stands between the attempts and the subscriber. It passes the first
attempt's chunks on as they are, and remembers what was delivered: the text, and whether there is a
finish reason, a tool call or anything else that cannot be continued. At a failure `next_step` says
what comes next:

    FINISH      the answer was complete, or a tool call was: end the turn there
    CONTINUE    ask the model for the rest of the text
    FAIL        nothing else can be done: the error passes

The fragments of a tool call are held back until the call is complete. A fragment that was delivered
could not be taken back, and no model continues a call: it makes the call anew. A complete call may
have been started by then, so the turn ends with it, and the model sees its result in the next turn.

A reset from the attempt after a seam voids that attempt's text only: the text before the seam is
emitted again behind it.

After the seam, `index`, `content` and `usage` are those of the whole stream.
"""

from __future__ import annotations

import enum
import time

from msgspec.structs import replace
from reactivex import abc

from rxagents.core.chunks import StreamChunk, TextBuffer, ToolCallDelta, set_content
from rxagents.core.events import ErrorInfo
from rxagents.core.messages import Message, TextPart
from rxagents.core.usage import Usage, add_usage
from rxagents.operators._items import not_a_chunk
from rxagents.parsing.overlap import OverlapRemover

_QUOTED_CHARACTERS = 60
"""How much of the text the model is asked to repeat: enough to be unique in nearly every text."""

_INSTRUCTION = (
    "Your last message was cut off. Continue it. Begin with exactly these last characters of it, "
    "between the marks and without the marks, and then write what follows, without any comment:\n"
    "<<<{quoted}>>>"
)


class Step(enum.Enum):
    """A way to go on after a failure: complete, ask the model to continue, or fail."""

    FINISH = enum.auto()
    CONTINUE = enum.auto()
    FAIL = enum.auto()


class Resumer:
    """Passes chunks on, and knows how to continue their text."""

    __slots__ = (
        "_at_seam",
        "_buffer",
        "_calls",
        "_has_call",
        "_has_content",
        "_index",
        "_is_finished",
        "_is_resumed",
        "_is_single",
        "_last_usage",
        "_observer",
        "_observer_raised",
        "_on_next",
        "_overlap",
        "_repeated",
        "_seam",
        "_usage",
    )

    def __init__(self, observer: abc.ObserverBase[StreamChunk]) -> None:
        self._observer = observer
        self._on_next = observer.on_next
        self._observer_raised = False
        self._is_resumed = False
        self._at_seam = False
        self._index = 0
        self._usage: Usage | None = None
        self._last_usage: Usage | None = None
        self._overlap = OverlapRemover((), "")
        self._repeated: tuple[str, ...] = ()
        self._seam = ""
        self._clear()

    def _clear(self) -> None:
        self._buffer = TextBuffer()
        self._calls: dict[int, list[ToolCallDelta]] = {}
        self._has_call = False
        self._has_content = False
        self._is_finished = False
        self._is_single = True

    def on_next(self, chunk: StreamChunk) -> None:
        """Pass a chunk on."""
        try:
            delta = chunk.delta
            is_plain = not (
                chunk.tool_calls
                or chunk.finish_reason
                or chunk.refusal
                or chunk.usage
                or chunk.choice
                or self._is_resumed
            )
        except AttributeError:
            self._observer.on_error(not_a_chunk("resume_with", chunk))
            return
        if is_plain and delta:  # nearly every chunk
            self._buffer.append(delta)
            self._index = chunk.index + 1
        else:
            chunk = self._noted(chunk)
        try:
            self._on_next(chunk)
        except BaseException:
            self._observer_raised = True
            raise

    def on_completed(self) -> None:
        """Complete, after the rest of the text and of the calls."""
        self._release()
        self._observer.on_completed()

    def fail(self, error: Exception) -> None:
        """Fail, after the rest of the text and of the calls."""
        self._release()
        self._observer.on_error(error)

    def finish(self, error: Exception) -> None:
        """Complete an answer that was cut after its end, or after a tool call."""
        self._calls.clear()
        if not self._is_finished:
            self._emit(finish_reason="tool_calls", error=error)
        self._observer.on_completed()

    @property
    def has_content(self) -> bool:
        """Whether content was delivered."""
        return self._has_content or self._buffer.end > 0

    def next_step(self) -> Step:
        """Return what to do after a failure of the running attempt."""
        if self._observer_raised or not self._is_single:
            return Step.FAIL
        return Step.FINISH if self._is_finished or self._has_call else Step.CONTINUE

    def resume(
        self, messages: tuple[Message, ...], error: Exception, *, prefill: bool
    ) -> tuple[Message, ...]:
        """Mark the seam, if text has come since the last; return the conversation for the rest.

        Args:
            messages: The conversation whose answer was cut.
            error: How it was cut.
            prefill: Whether the model continues an assistant's message at the end.
        """
        self._calls.clear()  # what `_overlap` holds back is dropped too: it was delivered before
        self._usage, self._last_usage = add_usage(self._usage, self._last_usage), None
        if self.has_content and not self._at_seam:
            self._emit(error=error)
            self._at_seam = True
        self._is_resumed = True
        self._seam = self._buffer.upto(self._buffer.end)
        sent = self._seam.rstrip()  # Anthropic refuses white space at the end of the last message
        quoted = _end_of(sent)
        self._repeated = () if prefill else (quoted, sent)
        self._begin_rest()
        if not sent:
            return messages
        if prefill:
            return _with_beginning(messages, sent)
        instruction = Message.user(_INSTRUCTION.format(quoted=quoted))
        return (*_with_beginning(messages, sent), instruction)

    def _begin_rest(self) -> None:
        space = self._seam[len(self._seam.rstrip()) :]
        self._overlap = OverlapRemover(self._repeated, space)

    def _noted(self, chunk: StreamChunk) -> StreamChunk:
        """Remember what the chunk delivers; return it as part of the whole stream."""
        if not chunk.delta and "reset" in chunk.metadata:
            return self._reset(chunk)
        if chunk.choice or chunk.refusal:
            self._is_single = False
        self._has_content = self._has_content or chunk.has_content
        self._is_finished = self._is_finished or bool(chunk.finish_reason)
        if chunk.usage is not None:
            self._last_usage = chunk.usage
        calls = self._completed_calls(chunk) if chunk.tool_calls or chunk.finish_reason else ()
        if not self._is_resumed:
            self._index = chunk.index + 1
            if not chunk.choice:
                self._buffer.append(chunk.delta)
            if calls == chunk.tool_calls:
                return chunk
            copy = replace(chunk, tool_calls=calls)
            text = getattr(chunk, "_text", None)
            if text is not None:
                set_content(copy, text)
            return copy
        delta = self._overlap.feed(chunk.delta) if chunk.delta else ""
        if calls or chunk.finish_reason:
            delta += self._overlap.flush()
        if delta or chunk.reasoning:
            self._at_seam = False
        usage = chunk.usage and add_usage(self._usage, chunk.usage)
        copy = replace(chunk, index=self._index, delta=delta, tool_calls=calls, usage=usage)
        self._index += 1
        set_content(copy, (self._buffer, self._buffer.append(delta)))
        return copy

    def _reset(self, chunk: StreamChunk) -> StreamChunk:
        """Start the attempt again; return what the reset leaves, or the reset itself."""
        self._clear()
        if not self._is_resumed:
            self._index = chunk.index + 1
            return chunk
        # The attempt's own text is void, and the text before the seam is not: it comes again.
        self._on_next(replace(chunk, index=self._index))
        self._begin_rest()
        text = StreamChunk(self._seam, self._index + 1, timestamp=chunk.timestamp)
        self._index += 2
        set_content(text, (self._buffer, self._buffer.append(self._seam)))
        return text

    def _completed_calls(self, chunk: StreamChunk) -> tuple[ToolCallDelta, ...]:
        """Return the fragments to deliver with the chunk: of calls that are complete."""
        complete: list[ToolCallDelta] = []
        for fragment in chunk.tool_calls:
            held = self._calls.setdefault(fragment.index, [])
            held.append(fragment)
            if fragment.sealed:
                complete += self._calls.pop(fragment.index)
        self._has_call = self._has_call or bool(complete)
        if chunk.finish_reason:
            for held in self._calls.values():
                complete += held
            self._calls.clear()
        return tuple(complete)

    def _release(self) -> None:
        rest = self._overlap.flush()
        calls = tuple(fragment for held in self._calls.values() for fragment in held)
        self._calls.clear()
        if rest or calls:
            self._emit(rest, calls)

    def _emit(
        self,
        delta: str = "",
        calls: tuple[ToolCallDelta, ...] = (),
        finish_reason: str = "",
        error: Exception | None = None,
    ) -> None:
        """Emit a chunk of our own; with `error` it marks the seam."""
        metadata = {} if error is None else {"resumed": ErrorInfo.of(error)}
        chunk = StreamChunk(
            delta,
            self._index,
            finish_reason=finish_reason,
            tool_calls=calls,
            metadata=metadata,
            timestamp=time.time(),
        )
        self._index += 1
        set_content(chunk, (self._buffer, self._buffer.append(delta)))
        self._on_next(chunk)


def _with_beginning(messages: tuple[Message, ...], text: str) -> tuple[Message, ...]:
    """Return the conversation with the beginning of the answer at its end."""
    *before, last = messages
    if last.role == "assistant" and all(isinstance(part, TextPart) for part in last.parts):
        return (*before, Message.assistant(last.text + text))
    return (*messages, Message.assistant(text))


def _end_of(text: str) -> str:
    """Return the last characters of a text, from the beginning of a word if there is one."""
    if len(text) <= _QUOTED_CHARACTERS:
        return text
    end = text[-_QUOTED_CHARACTERS:]
    _, space, words = end.partition(" ")
    return (
        words.lstrip() if space and len(words.strip()) > _QUOTED_CHARACTERS // 2 else end.lstrip()
    )
