"""An agent for models that cannot call tools: thoughts, actions and observations as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Unpack

import msgspec
from msgspec import Struct
from reactivex import operators as rx_ops

from rxagents.agents.agent import AgentOptions, BaseAgent
from rxagents.agents.run import Run, Turn
from rxagents.agents.turns import Events, to_events
from rxagents.core.events import Answer, Thought, ToolStart
from rxagents.core.messages import Message
from rxagents.core.protocols import StreamingLLM
from rxagents.core.response import Response
from rxagents.core.tools import Tool, ToolLike
from rxagents.operators.scan_steps import scan_steps
from rxagents.parsing.react.labels import Label, LabelKind, LabelScanner

STOP = "\nObservation:"
"""Where the model has to wait for the tool."""


class ReActStep(Struct, frozen=True):
    """One step of a run.

    Attributes:
        thought: What the model thought; may be empty.
        action: The name of the tool that it called; empty for none.
        arguments: What it called the tool with.
        observation: What it was told then: the tool's result, or what to mend.
    """

    thought: str = ""
    action: str = ""
    arguments: dict[str, object] = {}
    observation: str = ""


class ReActAgent(BaseAgent):
    """Lets the model think, act and observe, in plain text, until it answers.

    The text is parsed as it comes: a tool starts when the last bracket of its action has, and
    `Token` events say whether they belong to a thought, an action or the answer. An observation
    that the model makes up is not read. A turn with neither action nor answer is told so.

    `AgentResult.trace` holds a `ReActStep` for each thought or action. What tools return is text
    that others may have written: a model may follow instructions in it.

    Args:
        llm: The model.
        tools: `rxagents.tool`s, or functions.
        system_prompt: What the model is told before the protocol.
        send_stop: Ask the provider to stop before an observation; `None` for models whose
            `takes_stop` is true. The agent stops there in any case.
        **options: `max_iterations`, `max_tool_calls`, `max_total_tokens`, `max_seconds`,
            `tool_concurrency`, `start_tools`, `approve`, as `AgentOptions` has them, and
            generation settings such as `temperature`.

    Raises:
        ConfigurationError: The model does not stream, or an argument is not usable.
    """

    def __init__(
        self,
        llm: StreamingLLM,
        tools: Sequence[ToolLike] = (),
        *,
        system_prompt: str | None = None,
        send_stop: bool | None = None,
        **options: Unpack[AgentOptions],
    ) -> None:
        super().__init__(llm, tools, system_prompt=system_prompt, **options)
        takes_stop = getattr(llm, "takes_stop", False) if send_stop is None else send_stop
        if takes_stop:
            given = self._settings.get("stop") or ()
            stops = [given] if isinstance(given, str) else list(given)
            self._settings["stop"] = [*stops, STOP]

    def _begin(self, messages: tuple[Message, ...]) -> Run:
        told = "".join(message.text + "\n\n" for message in self._system)
        system = Message.system(told + protocol(self._tools))
        return Run((system, *messages), self._tools, self._limits)

    def _turn(self, turn: Turn) -> Events:
        run = turn.run
        chunks = self._llm.chat_stream(run.messages, **self._settings)
        return chunks.pipe(
            rx_ops.do_action(turn.accumulate),
            scan_steps(run.tools),
            self._run_tools(run.tools),
            to_events(turn, conclude),
        )


def conclude(turn: Turn) -> Iterator[Answer]:
    """Take over what the model wrote, and tell it what it observes, unless it has answered.

    A refusal is an answer, and so is what the provider's filter leaves: asking again would
    bring the same.
    """
    run, response = turn.run, turn.end()
    is_refused = bool(response.refusal) or response.finish_reason == "content_filter"
    if is_refused and turn.answer is None and not turn.calls:
        turn.answer = response.refusal
        yield Answer(turn.answer)
    run.messages.append(Message.assistant(_written(turn, response)))
    run.trace += _steps(turn)
    run.output = turn.answer
    if turn.answer is None:
        run.messages.append(Message.user(_observed(turn)))


def protocol(tools: tuple[Tool, ...]) -> str:
    """Return what the model is told of the protocol; the same text for the same tools."""
    return _PROTOCOL.format(tools="\n".join(map(_described, tools)) or "(none)")


_PROTOCOL = """\
Work on the task step by step. Each step has this form, with the labels at the start of a line:

Thought: what you know, and what to do next
Action: tool_name({{"parameter": value}})

The action's arguments are one JSON object. Stop after an action: its result comes as a line that \
begins with "Observation:", which you never write yourself. Then go on with the next step. When \
you know the answer, write:

Thought: why you know it
Answer: the whole answer to the task

These are the tools, each with the JSON schema of its parameters:

{tools}"""

_CORRECTION = (
    "There was neither an Action nor an Answer in the form that was asked for, so nothing was "
    'done. Go on with a line that begins with "Action:" or with "Answer:".'
)


def _described(tool: Tool) -> str:
    schema = msgspec.json.encode(tool.parameters, order="deterministic").decode()
    return f"{tool.name}: {tool.description}\n  {schema}"


def _written(turn: Turn, response: Response) -> str:
    """Return the turn in the protocol's own form, and nothing that was made up after it."""
    if turn.answer is None and not turn.calls:
        return _up_to_observation(response.content) or "(nothing)"
    lines = [
        f"Thought: {step.content}"
        if isinstance(step, Thought)
        else f"Action: {step.name}({msgspec.json.encode(step.arguments).decode()})"
        for step in turn.steps
    ]
    return "\n".join(lines if turn.answer is None else [*lines, f"Answer: {turn.answer}"])


def _up_to_observation(text: str) -> str:
    """Return what the model may write of `text`, as it stands there."""
    scanner = LabelScanner()
    read: list[str] = []
    for piece in (*scanner.feed(text), *scanner.flush()):
        if isinstance(piece, Label) and piece.kind is LabelKind.OBSERVATION:
            break
        read.append(piece.text if isinstance(piece, Label) else piece)
    return "".join(read).strip()


def _observed(turn: Turn) -> str:
    results = [turn.results[call.call_id] for call in turn.calls]
    if len(results) > 1:
        return "\n".join(f"Observation: {end.name}: {end.result}" for end in results)
    return f"Observation: {results[0].result if results else _CORRECTION}"


def _steps(turn: Turn) -> Iterator[ReActStep]:
    thought = ""
    for step in turn.steps:
        if isinstance(step, ToolStart):
            observation = turn.results[step.call_id].result
            yield ReActStep(thought, step.name, step.arguments, observation)
            thought = ""
        else:
            thought = f"{thought}\n{step.content}" if thought else step.content
    is_corrected = turn.answer is None and not turn.calls
    if thought or is_corrected:
        yield ReActStep(thought, observation=_CORRECTION if is_corrected else "")
