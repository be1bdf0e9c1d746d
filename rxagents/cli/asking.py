"""A question to a model."""

from __future__ import annotations

import sys
from contextlib import aclosing

from msgspec import Struct

from rxagents.cli.meter import Meter
from rxagents.cli.signals import StopSignals
from rxagents.cli.streaming import show
from rxagents.cli.views import View
from rxagents.core.errors import ConfigurationError
from rxagents.core.messages import Message
from rxagents.providers.registry import get_model


class Question(Struct, frozen=True, kw_only=True):
    """What to ask, and whom.

    Attributes:
        prompt: The prompt; `-` stands for what stdin holds.
        model: The model string; `None` if there is none.
        base_url: Another host than the provider's own.
        system: The system prompt.
        max_tokens: At most so many tokens of answer.
        temperature: 0 or more.
    """

    prompt: str
    model: str | None
    base_url: str | None
    system: str | None
    max_tokens: int | None
    temperature: float | None

    def messages(self) -> list[Message]:
        """Return the conversation; reads stdin if need be.

        Raises:
            ConfigurationError: The prompt is empty.
        """
        prompt = _read_stdin() if self.prompt == "-" else self.prompt
        if not prompt.strip():
            raise ConfigurationError("The prompt is empty.")
        system = [] if self.system is None else [Message.system(self.system)]
        return [*system, Message.user(prompt)]


async def show_answer(
    question: Question, messages: list[Message], view: View, stop: StopSignals
) -> Meter:
    """Ask, and show the answer.

    Args:
        question: Whom to ask, and how.
        messages: What to ask.
        view: What to show the answer with.
        stop: What signals do.

    Returns:
        What was measured.

    Raises:
        RxAgentsError: The model cannot be asked, or its answer failed.
    """
    if not question.model:
        raise ConfigurationError("No model: pass --model openai:gpt-5-mini, or set RXAGENTS_MODEL.")
    arguments = {} if question.base_url is None else {"base_url": question.base_url}
    async with aclosing(get_model(question.model, **arguments)) as llm:
        stream = llm.chat_stream(
            messages, max_tokens=question.max_tokens, temperature=question.temperature
        )
        return await show(stream, view, stop)


def _read_stdin() -> str:
    data = b"" if sys.stdin is None else sys.stdin.buffer.read()
    return data.decode("utf-8", "replace")
