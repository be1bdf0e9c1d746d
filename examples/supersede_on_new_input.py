"""Answer a user who changes the question while the answer streams: the newest question counts.

RXAGENTS_MODEL=openai:gpt-5-mini python examples/supersede_on_new_input.py
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import suppress

import rxagents
from rxagents import Complete, MessageOutcome, StreamEvent, Token
from rxagents import operators as ops
from rxagents.testing import Reply, ScriptedLLM

MODEL = os.environ.get("RXAGENTS_MODEL")
SCRIPTS = (
    Reply("Rome is the capital of Italy, and was founded, so they say, in 753.", interval=0.05),
    Reply("Lima is the capital of Peru.", interval=0.05),
)


async def questions() -> AsyncIterator[str]:
    """Yield what a user types: the second question comes in the middle of the first answer."""
    yield "Tell me about Rome."
    await asyncio.sleep(0.25 if MODEL is None else 2.5)
    yield "No, about Lima!"


def show(event: StreamEvent) -> None:
    """Print the answers, and what becomes of each question."""
    match event:
        case MessageOutcome(outcome="superseded"):
            print(" … (its request is closed)")
        case MessageOutcome(outcome="delivered", content=question):
            print(f"> {question}")
        case Token(content=text):
            print(text, end="", flush=True)
        case Complete():
            print()


if __name__ == "__main__":
    llm = rxagents.get_model(MODEL) if MODEL else ScriptedLLM(*SCRIPTS)
    agent = rxagents.FunctionAgent(llm)
    answers = rxagents.from_aiter(questions).pipe(ops.converse(agent, policy="supersede"))
    with suppress(KeyboardInterrupt):
        rxagents.run(answers, show)
