"""Check the arguments of conversations."""

from __future__ import annotations

from typing import get_args

from rxagents.agents.conversation_run import OnStop
from rxagents.agents.memory import Memory
from rxagents.core.errors import ConfigurationError
from rxagents.core.protocols import StreamingLLM


def check_agent(agent: object) -> None:
    """Check that an object is an agent.

    Raises:
        ConfigurationError: It has no `run_stream`.
    """
    if not callable(getattr(agent, "run_stream", None)):
        raise ConfigurationError(
            f"agent must have run_stream(messages); {type(agent).__name__} has none."
        )


def checked_memory(memory: Memory | None) -> Memory:
    """Return the memory, or a new one for `None`.

    Raises:
        ConfigurationError: It is something else.
    """
    if memory is not None and not isinstance(memory, Memory):
        raise ConfigurationError(f"memory must be an rxagents.Memory, not {type(memory).__name__}.")
    return Memory() if memory is None else memory


def checked_model(llm: StreamingLLM | None, memory: Memory, agent: object) -> StreamingLLM | None:
    """Return the model that writes summaries.

    Args:
        llm: The model, if it is known.
        memory: The memory, which may need one.
        agent: The conversation's agent, for the error message.

    Raises:
        ConfigurationError: It does not stream, or there is none and the memory needs one.
    """
    if llm is not None and not callable(getattr(llm, "chat_stream", None)):
        raise ConfigurationError(
            f"llm must be a model that streams, with chat_stream; {type(llm).__name__} has none."
        )
    if llm is None and memory.strategy == "summarize":
        raise ConfigurationError(
            'The memory\'s strategy "summarize" needs a model, and which one '
            f"{type(agent).__name__} uses is not known: give Conversation an llm."
        )
    return llm


def checked_on_stop(on_stop: OnStop) -> OnStop:
    """Return `on_stop`.

    Raises:
        ConfigurationError: It is no value of `OnStop`.
    """
    if on_stop not in get_args(OnStop):
        raise ConfigurationError(f'on_stop must be "drop" or "keep", not {on_stop!r}.')
    return on_stop


def checked_id(conversation_id: str) -> str:
    """Return the id of a conversation.

    Raises:
        ConfigurationError: It is no `str`.
    """
    if not isinstance(conversation_id, str):
        raise ConfigurationError(
            f"conversation_id must be a str, not {type(conversation_id).__name__}."
        )
    return conversation_id
