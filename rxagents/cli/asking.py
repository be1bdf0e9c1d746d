"""A question to a model."""

from __future__ import annotations

import sys
from contextlib import aclosing

from msgspec import Struct
from reactivex import Observable

from rxagents.agents.function import FunctionAgent
from rxagents.agents.react import ReActAgent
from rxagents.cli.pieces import Item
from rxagents.cli.signals import StopSignals
from rxagents.cli.streaming import show
from rxagents.cli.views import View
from rxagents.core.errors import ConfigurationError
from rxagents.core.messages import Message
from rxagents.core.protocols import StreamingLLM
from rxagents.core.settings import SettingsArguments
from rxagents.core.tools import Tool
from rxagents.operators import Measurement
from rxagents.providers.registry import get_model
from rxagents.tools import calculator, current_time, http_request

AGENTS: dict[str, type[FunctionAgent] | type[ReActAgent]] = {
    "function": FunctionAgent,
    "react": ReActAgent,
}
TOOLS: dict[str, Tool] = {tool.name: tool for tool in (calculator, current_time, http_request)}


class Question(Struct, frozen=True, kw_only=True):
    """What to ask, and whom.

    Attributes:
        prompt: The prompt; `-` stands for what stdin holds.
        model: The model string; `None` if there is none.
        base_url: Another host than the provider's own.
        system: The system prompt.
        max_tokens: At most so many tokens of answer.
        temperature: 0 or more.
        agent: The kind of agent that works on it; `None` for the model alone.
        tools: The names of its tools.
    """

    prompt: str
    model: str | None
    base_url: str | None
    system: str | None
    max_tokens: int | None
    temperature: float | None
    agent: str | None
    tools: tuple[str, ...]

    def stream(self, llm: StreamingLLM, messages: list[Message]) -> Observable[Item]:
        """Return the model's answer to `messages`, or the agent's run.

        Raises:
            ConfigurationError: There are tools and no agent to use them, or a setting is refused.
        """
        if self.tools and self.agent is None:
            raise ConfigurationError("Tools need an agent: pass --agent function or react.")
        settings: SettingsArguments = {
            "max_tokens": self.max_tokens,
            "temperature": self.temperature,
        }
        if self.agent is None:
            return llm.chat_stream(messages, **settings)
        tools = [TOOLS[name] for name in dict.fromkeys(self.tools)]
        return AGENTS[self.agent](llm, tools, **settings).run_stream(messages)

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
) -> Measurement:
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
        return await show(question.stream(llm, messages), view, stop)


def _read_stdin() -> str:
    data = b"" if sys.stdin is None else sys.stdin.buffer.read()
    return data.decode("utf-8", "replace")
