"""Chat in the terminal, with streamed answers and memory; an empty line ends the chat.

RXAGENTS_MODEL=anthropic:claude-sonnet-4-5 python examples/chat_with_memory.py
"""

import asyncio
import os
from contextlib import suppress

import rxagents
from rxagents import Memory, StreamEvent, Token
from rxagents.testing import Reply, ScriptedLLM

MODEL = os.environ.get("RXAGENTS_MODEL")
SCRIPT = (
    Reply("Hello! Tell me something to remember.", interval=0.03),
    Reply("I will remember that.", interval=0.03),
)


def show(event: StreamEvent) -> None:
    """Print the answer as it streams."""
    if isinstance(event, Token):
        print(event.content, end="", flush=True)


def read() -> str:
    """Return the user's next line; empty at the end of the input."""
    try:
        return input("> ").strip()
    except EOFError:
        return ""


if __name__ == "__main__":
    llm = rxagents.get_model(MODEL) if MODEL else ScriptedLLM(*SCRIPT)
    memory = Memory("summarize", max_tokens=2000)
    agent = rxagents.ConversationalAgent(llm, memory=memory, system_prompt="Be friendly and brief.")
    with suppress(KeyboardInterrupt):
        while line := read():
            rxagents.run(agent.run_stream(line), on_next=show)
            print()
        kept = asyncio.run(memory.conversation("default"))
        print(f"({len(kept.exchanges)} exchanges kept)")
