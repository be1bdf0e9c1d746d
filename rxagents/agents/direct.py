"""End a run with the results of tools that return directly."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from rxagents.core.errors import OutputError
from rxagents.core.events import Answer, StreamEvent, Token
from rxagents.core.messages import Message, ToolCall, ToolResult
from rxagents.core.output_type import WRAPPED_FIELD, OutputType
from rxagents.core.tool_names import with_tool_name
from rxagents.core.tools import Tool

if TYPE_CHECKING:
    from rxagents.agents.run import Run


def answer_directly(
    run: Run, results: Iterable[ToolResult], label: str = ""
) -> Sequence[StreamEvent]:
    """End a run if tools that return directly have its answer.

    The answer becomes a message of the assistant after the results, although it repeats one of
    them: else the model would not know in a later run that the user has seen it, and some APIs
    accept no user's message right after results.

    Args:
        run: The run.
        results: The results of all calls of a turn, in the order of the calls.
        label: What a text protocol writes before an answer.

    Returns:
        The events of the answer; none if the run goes on.
    """
    answer = _direct_answer(run.tools, results)
    if answer is None:
        return ()
    if run.parts is not None:
        try:
            run.value = _value_of(answer, run.parts.output)
        except OutputError:
            return ()  # the model makes an answer of the type from the results
    run.messages.append(Message.assistant(label + answer))
    run.output = answer
    run.finish_reason = run.finish_reason or "tool_calls"
    return Token(answer, "answer" if label else ""), Answer(answer)


def _value_of(answer: str, output: OutputType[Any]) -> Any:
    """Return a result as a value of the run's type; only an answer of a model is wrapped."""
    return output.convert(f'{{"{WRAPPED_FIELD}":{answer}}}' if output.wrapped else answer)


def value_of_output(text: str, output: OutputType[Any]) -> Any:
    """Return the value of a run's output text; `None` for text that was ended early."""
    for convert in (output.convert, lambda given: _value_of(given, output)):
        try:
            return convert(text)
        except OutputError:
            continue
    return None


def results_in(messages: Iterable[Message]) -> Iterator[ToolResult]:
    """Yield the results in messages."""
    for message in messages:
        yield from (part for part in message.parts if isinstance(part, ToolResult))


def _direct_answer(tools: Sequence[Tool], results: Iterable[ToolResult]) -> str | None:
    """Return the results that are the answer; `None` if there is none, or if one of them failed.

    Several are joined: each was meant for the user, and nobody else would write them together.
    """
    known = {tool.name: tool for tool in tools}
    direct: list[str] = []
    for result in results:
        tool = known.get(with_tool_name(ToolCall(result.call_id, result.name), known).name)
        if tool is not None and tool.returns_directly:
            if result.is_error:
                return None
            direct.append(result.content)
    return "\n\n".join(direct) if direct else None
