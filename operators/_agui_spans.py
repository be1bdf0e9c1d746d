"""Keep the open spans of one agent in an AG-UI stream; `_agui` explains them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from msgspec import UnsetType

from rxagents.operators import _agui_frames as frames
from rxagents.operators._encoding import Frame


class AgentSpans:
    """The open spans of one agent.

    Attributes:
        id: The id of the sub-agent's run; UNSET for the outer run.
        new_id: Returns an id that the stream has not used.
        message: The id of the turn's message, which has its text and calls; empty before them.
        text: The id of the message if its text is open; empty if not.
        reasoning: The id of the open thinking; empty for none.
        step: The name of the open step; empty for none.
        calls: The ids of the calls whose arguments are open.
        of_turn: The ids of the turn's messages and calls.
        has_answered: Whether the turn's answer was sent as text.
    """

    def __init__(self, agent_id: str | UnsetType, new_id: Callable[[str], str]) -> None:
        self.id = agent_id
        self.new_id = new_id
        self.message = ""
        self.text = ""
        self.reasoning = ""
        self.step = ""
        self.calls: set[str] = set()
        self.of_turn: list[str] = []
        self.has_answered = False
        self._known: set[str] = set()  # the calls that had an answer to their interrupt

    def text_frames(self, delta: str) -> Iterator[Frame]:
        """Return the frames of new text."""
        if not self.text:
            yield from self.close_reasoning()
            self.text = self._message()
            yield frames.TextMessageStart(self.text, "assistant", self.id)
        if delta:
            yield frames.TextMessageContent(self.text, delta, self.id)

    def reasoning_frames(self, delta: str) -> Iterator[Frame]:
        """Return the frames of new thinking text."""
        if not self.reasoning:
            yield from self.close_text()
            self.reasoning = self.new_id("reasoning")
            yield frames.ReasoningStart(self.reasoning, self.id)
            yield frames.ReasoningMessageStart(self.reasoning, "reasoning", self.id)
        if delta:
            yield frames.ReasoningMessageContent(self.reasoning, delta, self.id)

    def open_call(self, call_id: str, name: str) -> Iterator[Frame]:
        """Return the frame that begins a call, unless it was sent."""
        if call_id not in self.calls:
            message = self._message()
            self.calls.add(call_id)
            self.of_turn.append(call_id)
            yield frames.ToolCallStart(call_id, name, message, self.id)

    def know_call(self, call_id: str) -> None:
        """Send no call of this id again."""
        self._known.add(call_id)

    def knows_call(self, call_id: str) -> bool:
        """Return whether the client has this call."""
        return call_id in self._known or call_id in self.of_turn

    def begin_turn(self) -> None:
        """Start another message with the next text or call."""
        self.message, self.of_turn, self.has_answered = "", [], False
        self._known.clear()

    def _message(self) -> str:
        if not self.message:
            self.message = self.new_id("msg")
            self.of_turn.append(self.message)
        return self.message

    def close_call(self, call_id: str) -> Iterator[Frame]:
        """Return the frame that ends a call's arguments, if they are open."""
        if call_id in self.calls:
            self.calls.remove(call_id)
            yield frames.ToolCallEnd(call_id, self.id)

    def close_text(self) -> Iterator[Frame]:
        """Return the frame that ends the open message."""
        if self.text:
            yield frames.TextMessageEnd(self.text, self.id)
            self.text = ""

    def close_reasoning(self) -> Iterator[Frame]:
        """Return the frames that end the open thinking."""
        if self.reasoning:
            yield frames.ReasoningMessageEnd(self.reasoning, self.id)
            yield frames.ReasoningEnd(self.reasoning, self.id)
            self.reasoning = ""

    def close(self) -> Iterator[Frame]:
        """Return the frames that end all open spans, the step last."""
        yield from self.close_text()
        yield from self.close_reasoning()
        for call_id in sorted(self.calls):
            yield frames.ToolCallEnd(call_id, self.id)
        self.calls.clear()
        if self.step:
            yield frames.StepFinished(self.step, self.id)
            self.step = ""
