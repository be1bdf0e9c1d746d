"""Ask a model for a structured answer, and read the answer from its response."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, Literal, TypeAlias, TypeVar

from rxagents.core.errors import OutputError
from rxagents.core.json_text import encode_json
from rxagents.core.messages import Message
from rxagents.core.output_type import OutputType
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


_NOT_RUN = "Error: The tool did not run, since the answer came with its call."
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
        llm: The model; its `structured_output` and `takes_tool_choice` say how to ask it.
    """

    def __init__(self, output: OutputType[T], llm: object) -> None:
        self.output = output
        self.mode: StructuredOutput = getattr(llm, "structured_output", "prompt")
        self._takes_tool_choice: bool = getattr(llm, "takes_tool_choice", True)

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

    def settings(self, settings: SettingsArguments, *, has_tools: bool) -> SettingsArguments:
        """Return the settings to send.

        Args:
            settings: The caller's settings.
            has_tools: Whether the caller passed tools.
        """
        if self.mode == "native":
            return {**settings, "response_format": self.output.type}
        sent: SettingsArguments = {**settings, "response_format": "text"}
        may_choose = settings.get("tool_choice") in {None, "auto"} and self._takes_tool_choice
        if self.mode == "tool" and may_choose:
            sent["tool_choice"] = "required" if has_tools else ANSWER_TOOL
        return sent

    def read(self, response: Response) -> list[T]:
        """Return a list with the value of the answer; an empty one if the model called tools.

        Raises:
            OutputError: There is no answer, or it does not match the type.
        """
        text = self._answer_text(response)
        return [] if text is None else [self.output.read(text)]

    def may_correct(self, response: Response) -> bool:
        """Return whether another turn may give a valid answer: it was neither cut nor refused."""
        cut = response.finish_reason in {"length", "content_filter"}
        return not cut and not response.refusal

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
                    call.id, results.get(call.name, _NOT_RUN), name=call.name, is_error=True
                )
                for call in response.tool_calls
            ),
        ]

    def _answer_text(self, response: Response) -> str | None:
        if response.refusal:
            raise OutputError(f"The model refused to answer: {response.refusal}")
        for call in response.tool_calls:
            if self.mode == "tool" and call.name == ANSWER_TOOL:
                return call.arguments
        if response.tool_calls:
            return None
        if not self.may_correct(response):
            raise OutputError(
                f"The answer is incomplete: the response ended with the finish reason "
                f"{response.finish_reason!r}. Raise max_tokens, or change the prompt."
            )
        return response.content
