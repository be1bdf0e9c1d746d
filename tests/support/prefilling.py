"""A model that continues an answer which it knows, for the tests of `resume_with`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Unpack

import reactivex as rx
from reactivex import Observable

from rxagents import BadRequestError, BaseLLM, Message, StreamChunk, Usage
from rxagents.core.message_input import to_messages
from rxagents.core.protocols import Messages
from rxagents.core.settings import SettingsArguments
from rxagents.core.tools import ToolLike


class ContinuingLLM(BaseLLM):
    """Knows the whole text, and sends what follows the beginning in the conversation.

    Args:
        text: The whole text.
        size: How many characters a chunk has.
        answer: Makes the answer to an instruction, of the beginning, the end that the instruction
            quotes, and the rest; by default the end and the rest, as the instruction asks.
        refuses: Whether it refuses a beginning at the end of the conversation.
        end: The last chunk.

    Attributes:
        requests: The conversations.
    """

    takes_prefill: ClassVar[bool] = True

    def __init__(
        self,
        text: str,
        *,
        size: int = 3,
        answer: Callable[[str, str, str], str] = lambda _, quoted, rest: quoted + rest,
        refuses: bool = False,
        end: StreamChunk | None = None,
    ) -> None:
        self.text = text
        self.requests: list[tuple[Message, ...]] = []
        self._size = size
        self._answer = answer
        self._refuses = refuses
        self._end = end or StreamChunk(finish_reason="stop", usage=Usage(7, 5, 12))

    def chat_stream(
        self,
        messages: Messages,
        tools: Sequence[ToolLike] | None = None,
        **settings: Unpack[SettingsArguments],
    ) -> Observable[StreamChunk]:
        return rx.defer(lambda _: self._chunks(to_messages(messages)))

    def _chunks(self, messages: tuple[Message, ...]) -> Observable[StreamChunk]:
        self.requests.append(messages)
        *before, last = messages
        if last.role == "assistant":
            if self._refuses:
                return rx.throw(BadRequestError("prefill is not supported", status=400))
            assert last.text == last.text.rstrip()
            text = self._after(last.text)
        elif before and before[-1].role == "assistant":
            quoted = last.text.partition("<<<")[2].rpartition(">>>")[0]
            assert quoted
            assert before[-1].text.endswith(quoted)
            text = self._answer(before[-1].text, quoted, self._after(before[-1].text))
        else:
            text = self.text
        pieces: list[Any] = [
            StreamChunk(text[start : start + self._size], index)
            for index, start in enumerate(range(0, len(text), self._size))
        ]
        return rx.from_iterable([*pieces, self._end])

    def _after(self, beginning: str) -> str:
        assert self.text.startswith(beginning)
        return self.text[len(beginning) :]

    async def aclose(self) -> None: ...
