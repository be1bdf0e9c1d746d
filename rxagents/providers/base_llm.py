"""Derive `complete_stream`, `chat` and `complete` from `chat_stream`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Self, Unpack

from reactivex import Observable

from rxagents.core.chunks import StreamChunk
from rxagents.core.errors import ConfigurationError
from rxagents.core.protocols import Messages
from rxagents.core.response import Response, ResponseBuilder
from rxagents.core.settings import SettingsArguments
from rxagents.core.tools import ToolLike
from rxagents.runtime.last_value import last_value


class BaseLLM(ABC):
    """A `StreamingLLM` that needs only `chat_stream` and `aclose`.

    Attributes:
        takes_stop: Whether the API has stop sequences.
    """

    takes_stop: ClassVar[bool] = True

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

    def complete_stream(
        self, prompt: str, **settings: Unpack[SettingsArguments]
    ) -> Observable[StreamChunk]:
        """Stream the continuation of a text; as one user message, if the API has no completions."""
        if not isinstance(prompt, str):
            raise ConfigurationError(f"prompt must be a str, not {type(prompt).__name__}.")
        return self.chat_stream(prompt, **settings)

    async def chat(
        self,
        messages: Messages,
        tools: Sequence[ToolLike] | None = None,
        **settings: Unpack[SettingsArguments],
    ) -> Response:
        """Return the whole answer to a conversation, folded from `chat_stream`."""
        return await _fold(self.chat_stream(messages, tools, **settings))

    async def complete(self, prompt: str, **settings: Unpack[SettingsArguments]) -> Response:
        """Return the whole continuation of a text, folded from `complete_stream`."""
        return await _fold(self.complete_stream(prompt, **settings))

    @abstractmethod
    async def aclose(self) -> None:
        """Close the model's connections on the running loop; a later request opens new ones."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


async def _fold(stream: Observable[StreamChunk]) -> Response:
    builder = ResponseBuilder()
    await last_value(stream, builder.add)
    return builder.response()
