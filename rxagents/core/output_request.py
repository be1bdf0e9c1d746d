"""Ask a model for a structured answer, and read the answer from its response."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Generic, Literal, TypeAlias, TypeVar

from rxagents.core.errors import BadRequestError, OutputError
from rxagents.core.json_text import encode_json
from rxagents.core.messages import Message
from rxagents.core.output_type import OutputType, object_in
from rxagents.core.response import Response, ResponseBuilder
from rxagents.core.settings import SettingsArguments
from rxagents.core.tools import Tool, ToolLike
from rxagents.core.usage import Usage

T = TypeVar("T")

StructuredOutput: TypeAlias = Literal["native", "tool", "prompt"]
"""How a model is asked for a structured answer: by the structured output of its API, by a tool
whose arguments are the answer, or by the JSON schema in the system prompt."""

ANSWER_TOOL = "give_answer"
"""The name of the tool whose arguments are the answer."""


_ABOUT_FORMAT = re.compile("format|schema|structured|mime|grammar|guided", re.IGNORECASE)
"""Words of the errors with which hosts refuse a `response_format`, such as "Function calling with a
response mime type: 'application/json' is unsupported"."""

NOT_RUN = "Error: The tool did not run, since the answer came with its call."
"""The result of a call beside the answer: providers refuse a call without a result."""


class ParsedResponse(Response, Generic[T]):
    """A response whose text was converted to a value.

    Attributes:
        usage: Token counts, summed over the first answer and its corrections.
    """

    __slots__ = ("_parsed",)

    def __init__(self, builder: ResponseBuilder, usage: Usage | None, parsed: list[T]) -> None:
        super().__init__(builder)
        self.usage = usage
        self._parsed = parsed

    @property
    def parsed(self) -> T:
        """The value.

        Raises:
            OutputError: The model called tools instead of answering.
        """
        if self._parsed:
            return self._parsed[0]
        names = ", ".join(call.name for call in self.tool_calls)
        raise OutputError(
            f"The response has no parsed answer yet: the model called {names}. Run the tools, and "
            "call chat again with their results."
        )


class OutputRequest(Generic[T]):
    """Makes requests for an answer of one type.

    Args:
        output: The type of the answer.
        llm: The model; its `structured_output`, `takes_format_with_tools` and `takes_tool_choice`
            say how to ask it.
        has_tools: Whether the caller passes tools.

    Attributes:
        output: The type of the answer.
        mode: How the model is asked.
    """

    def __init__(self, output: OutputType[T], llm: Any, *, has_tools: bool) -> None:
        self.output = output
        self._llm = llm
        self._refusal: BadRequestError | None = None
        self.mode: StructuredOutput = getattr(llm, "structured_output", "prompt")
        if (
            self.mode == "native"
            and has_tools
            and not getattr(llm, "takes_format_with_tools", True)
        ):
            self.mode = "tool"
        self._has_tools = has_tools
        self._takes_tool_choice: bool = getattr(llm, "takes_tool_choice", True)

    def after(self, error: Exception) -> OutputRequest[T] | None:
        """Return the request to send after an error; `None` if there is none.

        A host that refuses the native form is asked by a tool. If it refuses that too, it is asked
        by prompt.

        Raises:
            BadRequestError: The host refuses all forms: the first refusal.
        """
        if not isinstance(error, BadRequestError):
            return None
        if self._refusal is None and not (
            self.mode == "native" and _ABOUT_FORMAT.search(str(error))
        ):
            return None
        if self.mode == "prompt":
            raise self._refusal or error
        other = OutputRequest(self.output, self._llm, has_tools=self._has_tools)
        other.mode = "tool" if self.mode == "native" else "prompt"
        other._refusal = self._refusal or error
        return other

    def remember(self) -> None:
        """Let later requests of the model begin with the form that its host has accepted."""
        if self._refusal is not None:
            self._llm.structured_output = self.mode

    def messages(self, messages: Sequence[Message]) -> tuple[Message, ...]:
        """Return the messages to send: with the JSON schema, if the model is asked by prompt."""
        if self.mode != "prompt":
            return tuple(messages)
        text = (
            "Give your final answer as one JSON object, and nothing else, that matches this JSON "
            f"schema:\n{encode_json(self.output.schema)}"
        )
        if messages and messages[0].role == "system":
            first, *others = messages
            return (Message.system(f"{first.text}\n\n{text}"), *others)
        return (Message.system(text), *messages)

    def tools(self, tools: Sequence[ToolLike]) -> tuple[ToolLike, ...]:
        """Return the tools to send: with the tool for the answer, if there is one."""
        if self.mode != "tool":
            return tuple(tools)
        answer = Tool(
            name=ANSWER_TOOL,
            description="Give the final answer. Call it once, when all else is done.",
            parameters=self.output.schema,
        )
        return (*tools, answer)

    def settings(self, settings: SettingsArguments) -> SettingsArguments:
        """Return the settings to send, made of the caller's."""
        if self.mode == "native":
            return {**settings, "response_format": self.output.type}
        sent: SettingsArguments = {**settings, "response_format": "text"}
        if self.mode != "tool":
            return sent
        choice = settings.get("tool_choice")
        if choice == "none" and not self._has_tools:
            choice = sent["tool_choice"] = None  # it forbids the caller's tools, not the answer
        if choice in {None, "auto"} and self._takes_tool_choice:
            sent["tool_choice"] = "required" if self._has_tools else ANSWER_TOOL
        return sent

    def read(self, response: Response) -> list[T]:
        """Return a list with the value of the answer; an empty one if the model called tools.

        Raises:
            OutputError: There is no answer, or it does not match the type.
        """
        text = self.answer_text(response)
        return [] if text is None else [self.output.convert(text)]

    def correction(self, response: Response, error: OutputError) -> list[Message]:
        """Return the messages that ask the model to correct its answer."""
        sent = [response.message] if response.message.parts else []
        if not response.tool_calls:
            return [*sent, Message.user(str(error))]
        results = {ANSWER_TOOL: str(error)}
        return [
            *sent,
            *(
                Message.tool(
                    call.id, results.get(call.name, NOT_RUN), name=call.name, is_error=True
                )
                for call in response.tool_calls
            ),
        ]

    def is_answer(self, call_name: str) -> bool:
        """Return whether a call of this tool is the answer."""
        return self.mode == "tool" and call_name == ANSWER_TOOL

    def answer_text(self, response: Response) -> str | None:
        """Return the JSON text of the answer; `None` if the model called other tools.

        Raises:
            OutputError: There is no answer.
        """
        for call in response.tool_calls:
            if self.is_answer(call.name):
                return answer_text(response, call.arguments)
        return None if response.tool_calls else answer_text(response, response.content)


def may_correct(response: Response) -> bool:
    """Return whether another turn may give a valid answer: it was neither cut nor refused."""
    cut = response.finish_reason in {"length", "content_filter"}
    return not cut and not response.refusal


def answer_text(response: Response, answer: str) -> str:
    """Return the JSON object in the answer of a response.

    Raises:
        OutputError: There is none, the model refused to answer, or the response was cut.
    """
    if response.refusal:
        raise OutputError(f"The model refused to answer: {response.refusal}")
    if not may_correct(response):
        raise OutputError(
            f"The answer is incomplete: the response ended with the finish reason "
            f"{response.finish_reason!r}. Raise max_tokens, or change the prompt."
        )
    return object_in(answer)
