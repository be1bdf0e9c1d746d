"""Ask several models the same: show the first answer, then all answers as they come.

export RXAGENTS_MODELS="openai:gpt-5-mini anthropic:claude-haiku-4-5 gemini:gemini-2.5-flash"
python examples/race_providers.py
"""

import os
from contextlib import suppress

import reactivex as rx
from reactivex import Observable
from reactivex import operators as rx_ops

import rxagents
from rxagents import operators as ops
from rxagents.testing import Reply, ScriptedLLM

QUESTION = "Why is the sky blue? Two sentences."
NAMES = os.environ.get("RXAGENTS_MODELS", "").split()
SCRIPTS = {
    "quick": Reply("Air scatters blue. The rest passes.", interval=0.02),
    "late": Reply("It is scattered light. Blue is scattered most.", delay=0.1, interval=0.02),
    "slow": Reply("Small molecules scatter. Short waves most.", interval=0.07),
}


def models() -> dict[str, rxagents.StreamingLLM]:
    """Return the models that RXAGENTS_MODELS names, or three that need no key."""
    if NAMES:
        return {name: rxagents.get_model(name) for name in NAMES}
    return {name: ScriptedLLM(reply) for name, reply in SCRIPTS.items()}


def sentences(name: str, llm: rxagents.StreamingLLM) -> Observable[str]:
    """Stream a model's answer, sentence by sentence; a model that fails says so."""

    def line(sentence: str) -> str:
        return f"{name}: {sentence.strip()}"

    return llm.chat_stream(QUESTION).pipe(
        ops.text(),
        ops.split_sentences(),
        rx_ops.map(line),
        rx_ops.catch(lambda error, _: rx.of(line(f"({type(error).__name__})"))),
    )


if __name__ == "__main__":
    answers = [sentences(name, llm) for name, llm in models().items()]
    with suppress(KeyboardInterrupt):
        print("The first to answer; the requests of the others are closed:")
        rxagents.run(rxagents.first_of(*answers), print)
        print("All at once:")
        rxagents.run(rx.merge(*answers), print)
