"""Random streams of a run's events, for encoders."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from rxagents import (
    Answer,
    ApprovalAnswer,
    ApprovalRequest,
    Complete,
    ErrorEvent,
    ErrorInfo,
    MessageOutcome,
    Partial,
    Reasoning,
    Reset,
    Thought,
    Token,
    ToolArguments,
    ToolEnd,
    ToolProgress,
    ToolStart,
    TurnEnd,
    TurnStart,
    Usage,
)

_BROKEN = ErrorInfo("ServerError", "broken")
_PATHS = st.sampled_from([(), (), (), ("expert",), ("expert", "inner"), ("other",)])
_CALLS = st.sampled_from([("c1", "add"), ("c2", "expert"), ("c3", "add")])


@st.composite
def run_events(draw: st.DrawFn) -> Any:
    """Draw an event of any kind; texts and calls may come in any order."""
    path = draw(_PATHS)
    call_id, name = draw(_CALLS)
    text = draw(st.sampled_from(["", "a", 'b "\n', "ü"]))
    return draw(
        st.sampled_from(
            [
                TurnStart(draw(st.integers(1, 3)), path=path),
                TurnEnd(1, "stop", path=path),
                Token(text, draw(st.sampled_from(["", "thought", "action", "answer"])), path=path),
                Reasoning(text, path=path),
                Thought(text, path=path),
                ToolArguments(call_id, name, text, path=path),
                ApprovalRequest(call_id, name, {"a": 1}, path=path),
                ApprovalAnswer(call_id, name, draw(st.booleans()), path=path),
                ToolStart(call_id, name, {"a": 1}, path=path),
                ToolProgress(call_id, name, text, path=path),
                ToolEnd(call_id, name, text, draw(st.sampled_from([None, _BROKEN])), path=path),
                Partial({"a": text}, path=path),
                Answer(text, path=path),
                Reset(_BROKEN, path=path),
                MessageOutcome(text, "delivered", 0, path=path),
                Complete(text, Usage(1, 2, 3), 1, "stop", path=path),
                ErrorEvent(_BROKEN, path=path),
            ]
        )
    )
