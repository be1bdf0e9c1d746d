"""Derive `complete_stream`, `chat` and `complete` from `chat_stream`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from types import UnionType
from typing import Any, ClassVar, Self, TypeVar, Unpack, overload

from reactivex import Observable

from rxagents.core.chunks import StreamChunk
from rxagents.core.errors import ConfigurationError
from rxagents.core.output_request import ParsedResponse, StructuredOutput
from rxagents.core.output_type import OutputType, is_output_type
from rxagents.core.protocols import Messages
from rxagents.core.response import Response, ResponseBuilder
from rxagents.core.settings import GenerationArguments, SettingsArguments
from rxagents.core.tools import ToolLike
from rxagents.providers.structured_chat import structured_chat
from rxagents.runtime.factories import source_factory
from rxagents.runtime.last_value import last_value
from rxagents.runtime.stream import in_bursts

T = TypeVar("T")


class BaseLLM(ABC):
    """A `StreamingLLM` that needs only `chat_stream` and `aclose`.

    Attributes:
        takes_stop: Whether the API has stop sequences.
        takes_tool_choice: Whether the API can require a tool call.
        takes_format_with_tools: Whether the API takes a `response_format` beside tools. If not, an
            answer of a type is asked for by a tool call where there are tools.
        takes_prefill: Whether the API continues an assistant's message at the end of the
            conversation. Hosts may still refuse it, as Anthropic does for newer models.
        is_metered: Whether it applies limiters and budgets to each attempt itself. If not, an agent
            does so for each request.
        structured_output: How the model is asked for an answer of a type: `"native"` by a type as
            `response_format`, `"tool"` by a tool call, or `"prompt"` by the system prompt.
    """

    takes_stop: ClassVar[bool] = True
    takes_tool_choice: ClassVar[bool] = True
    takes_format_with_tools: ClassVar[bool] = True
    takes_prefill: ClassVar[bool] = False
    is_metered: ClassVar[bool] = False
    structured_output: StructuredOutput = "prompt"

    @abstractmethod
    def chat_stream(
        self,
        messages: Messages,
        tools: Sequence[ToolLike] | None = None,
        **settings: Unpack[SettingsArguments],
    ) -> Observable[StreamChunk]:
        """Stream the answer to a conversation.

        Args:
            messages: A `str`, a `Message`, a role/content dict, or a sequence of these.
            tools: The tools that the model may call.
            **settings: Override the model's own settings.

        Returns:
            A cold stream; each subscription sends its own request. It fails with a
            `ProviderError`, and completes only if the answer is complete.

        Raises:
            ConfigurationError: An argument is not usable; nothing was sent.
        """

    @source_factory
    def complete_stream(
        self, prompt: str, **settings: Unpack[SettingsArguments]
    ) -> Observable[StreamChunk]:
        """Stream the continuation of a text; as one user message, if the API has no completions."""
        if not isinstance(prompt, str):
            raise ConfigurationError(f"prompt must be a str, not {type(prompt).__name__}.")
        return self.chat_stream(prompt, **settings)

    @overload
    async def chat(
        self,
        messages: Messages,
        tools: Sequence[ToolLike] | None = None,
        *,
        response_format: type[T],
        corrections: int = 2,
        **settings: Unpack[GenerationArguments],
    ) -> ParsedResponse[T]: ...
    @overload
    async def chat(
        self,
        messages: Messages,
        tools: Sequence[ToolLike] | None = None,
        *,
        response_format: UnionType,
        corrections: int = 2,
        **settings: Unpack[GenerationArguments],
    ) -> ParsedResponse[Any]: ...
    @overload
    async def chat(
        self,
        messages: Messages,
        tools: Sequence[ToolLike] | None = None,
        **settings: Unpack[SettingsArguments],
    ) -> Response: ...
    async def chat(
        self,
        messages: Messages,
        tools: Sequence[ToolLike] | None = None,
        *,
        corrections: int = 2,
        **settings: Unpack[SettingsArguments],
    ) -> Response:
        """Return the whole answer to a conversation, folded from `chat_stream`.

        With a type as `response_format`, the answer is read as that type: `response.parsed`.

        Args:
            messages: See `chat_stream`.
            tools: The tools that the model may call.
            corrections: How many times an answer that does not match the type goes back to the
                model, with the reason.
            **settings: Override the model's own settings.

        Raises:
            ProviderError: A request failed.
            OutputError: The last answer does not match the type, is incomplete, or is a refusal.
            ConfigurationError: An argument is not usable; nothing was sent.
        """
        kind = settings.get("response_format") or self._response_format
        if not is_output_type(kind):
            return await _fold(self.chat_stream(messages, tools, **settings))
        output = OutputType[Any](kind)
        return await structured_chat(self, messages, tools or (), settings, output, corrections)

    async def complete(self, prompt: str, **settings: Unpack[SettingsArguments]) -> Response:
        """Return the whole continuation of a text, folded from `complete_stream`."""
        return await _fold(self.complete_stream(prompt, **settings))

    @property
    def _response_format(self) -> object:
        """The `response_format` of requests that set none."""
        return None

    @abstractmethod
    async def aclose(self) -> None:
        """Close the model's connections on the running loop; a later request opens new ones."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


async def _fold(stream: Observable[StreamChunk]) -> Response:
    builder = ResponseBuilder()
    await last_value(in_bursts(stream), builder.add)
    return builder.response()
