"""Stream an answer in two ways: with a callback, and with `async for`.

RXAGENTS_MODEL=openai:gpt-5-mini python examples/basic_streaming.py
"""

import asyncio
import os
from contextlib import suppress

import rxagents
from rxagents import operators as ops
from rxagents.testing import Reply, ScriptedLLM

MODEL = os.environ.get("RXAGENTS_MODEL")
SCRIPT = Reply("The sky scatters blue light more than red light.", interval=0.03)


def model() -> rxagents.StreamingLLM:
    """Return the model that RXAGENTS_MODEL names, or one that needs no key."""
    return rxagents.get_model(MODEL) if MODEL else ScriptedLLM(SCRIPT)


def with_a_callback() -> None:
    """Print each piece of text; `run` runs the event loop until the stream ends."""
    stream = model().chat_stream("Why is the sky blue? One sentence.")
    rxagents.run(stream.pipe(ops.text()), on_next=lambda text: print(text, end="", flush=True))
    print()


async def with_async_for() -> None:
    """Read at your own pace; leaving the block early closes the connection."""
    stream = model().chat_stream("Why is the sky blue? One sentence.")
    async with rxagents.to_aiter(stream) as chunks:
        async for chunk in chunks:
            print(chunk.delta, end="", flush=True)
            if len(chunk.content) > 20:
                break
    print(" …")


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        with_a_callback()
        asyncio.run(with_async_for())
