"""Ask a model or an agent, and show its answer."""

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
    """A prompt, with the model, settings and agent to ask.

    Attributes:
        prompt: The prompt; `-` reads it from stdin.
        model: The model string; `None` if there is none.
        base_url: A host instead of the provider's own.
        system: The system prompt.
        max_tokens: The largest number of tokens of the answer.
        temperature: 0 or more.
        agent: The kind of agent to run; `None` asks the model directly.
        tools: The names of the agent's tools.
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
        """Return the stream of the model's response to `messages`, or of the agent's run.

        Raises:
            ConfigurationError: There are tools but no agent, or a setting is invalid.
        """
        if self.tools and self.agent is None:
            raise ConfigurationError(
                "--tool needs an agent: pass --agent function or --agent react."
            )
        settings: SettingsArguments = {
            "max_tokens": self.max_tokens,
            "temperature": self.temperature,
        }
        if self.agent is None:
            return llm.chat_stream(messages, **settings)
        tools = [TOOLS[name] for name in dict.fromkeys(self.tools)]
        return AGENTS[self.agent](llm, tools, **settings).run_stream(messages)

    def messages(self) -> list[Message]:
        """Return the conversation; read stdin if the prompt is `-`.

        Raises:
            ConfigurationError: The prompt is empty.
        """
        prompt = _read_stdin() if self.prompt == "-" else self.prompt
        if not prompt.strip():
            raise ConfigurationError(
                "The prompt is empty: pass PROMPT, or - to read it from stdin."
            )
        system = [] if self.system is None else [Message.system(self.system)]
        return [*system, Message.user(prompt)]


async def show_answer(
    question: Question, messages: list[Message], view: View, stop: StopSignals
) -> Measurement:
    """Ask a question and show the answer as it streams.

    Args:
        question: The model, settings and agent.
        messages: The conversation.
        view: The view that shows the answer.
        stop: The handler of stop signals.

    Returns:
        The measurement of the stream.

    Raises:
        RxAgentsError: The model cannot be created, or its stream failed.
    """
    if not question.model:
        raise ConfigurationError(
            "No model: pass --model, such as --model openai:gpt-5-mini, or set RXAGENTS_MODEL."
        )
    arguments = {} if question.base_url is None else {"base_url": question.base_url}
    async with aclosing(get_model(question.model, **arguments)) as llm:
        return await show(question.stream(llm, messages), view, stop)


def _read_stdin() -> str:
    data = b"" if sys.stdin is None else sys.stdin.buffer.read()
    return data.decode("utf-8", "replace")
