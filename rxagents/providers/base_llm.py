"""What every streaming model does with its `chat_stream`."""

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
    """A `StreamingLLM` made of one method, `chat_stream`.

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
        """Answer a conversation, chunk by chunk.

        Args:
            messages: A `str`, a `Message`, a role/content dict, or a sequence of these.
            tools: What the model may call.
            **settings: Override the model's own settings.

        Returns:
            A cold stream; each subscription is a request of its own. It fails with a
            `ProviderError`, and completes only if the answer is whole.

        Raises:
            ConfigurationError: An argument is not usable; nothing was sent.
        """

    def complete_stream(
        self, prompt: str, **settings: Unpack[SettingsArguments]
    ) -> Observable[StreamChunk]:
        """Continue a text, chunk by chunk: one user message, where the wire has no such call."""
        if not isinstance(prompt, str):
            raise ConfigurationError(f"A prompt must be text, not {type(prompt).__name__}.")
        return self.chat_stream(prompt, **settings)

    async def chat(
        self,
        messages: Messages,
        tools: Sequence[ToolLike] | None = None,
        **settings: Unpack[SettingsArguments],
    ) -> Response:
        """Answer a conversation: `chat_stream`, folded."""
        return await _fold(self.chat_stream(messages, tools, **settings))

    async def complete(self, prompt: str, **settings: Unpack[SettingsArguments]) -> Response:
        """Continue a text: `complete_stream`, folded."""
        return await _fold(self.complete_stream(prompt, **settings))

    @abstractmethod
    async def aclose(self) -> None:
        """Release what the model holds on the running loop; a later request starts anew."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


async def _fold(stream: Observable[StreamChunk]) -> Response:
    builder = ResponseBuilder()
    await last_value(stream, builder.add)
    return builder.response()
