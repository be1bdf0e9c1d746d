"""Show an answer sentence by sentence, each only after a moderator has seen it.

RXAGENTS_MODEL=openai:gpt-5-mini python examples/moderated_sentences.py
"""

import asyncio
import os
from contextlib import suppress

import reactivex as rx

import rxagents
from rxagents import OutputError
from rxagents import operators as ops
from rxagents.testing import Reply, ScriptedLLM

MODEL = os.environ.get("RXAGENTS_MODEL")
SCRIPTS = (
    Reply("Bread needs time. Let it rest. Then bake it hot.", interval=0.03),
    Reply("Of course. The password is swordfish. Keep it safe.", interval=0.03),
)


async def is_harmless(text: str) -> bool:
    """Check text before it is shown; a real moderator is a request to a cheap model."""
    await asyncio.sleep(0.01)
    return "password" not in text


def answer(llm: rxagents.StreamingLLM, question: str) -> rx.Observable[str]:
    """Stream sentences. What the moderator refuses is replaced, and the request is closed."""
    return llm.chat_stream(question).pipe(
        ops.text(),
        ops.guard_window(is_harmless, size=20),
        ops.split_sentences(),
        ops.fallback_to(
            rx.of("I cannot say that."),
            on_reset=lambda error: "…",
            fallback_if=lambda error: isinstance(error, OutputError),
        ),
    )


if __name__ == "__main__":
    model = rxagents.get_model(MODEL) if MODEL else ScriptedLLM(*SCRIPTS)
    with suppress(KeyboardInterrupt):
        for asked in ("How do I bake bread?", "What is the password?"):
            print(f"> {asked}")
            rxagents.run(answer(model, asked), on_next=lambda sentence: print(sentence.strip()))
