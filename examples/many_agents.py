"""Run one agent on many tasks, at most three at a time, and print each answer when it is there.

RXAGENTS_MODEL=openai:gpt-5-mini python examples/many_agents.py
"""

import os
from contextlib import suppress

import reactivex as rx
from reactivex import Observable
from reactivex import operators as rx_ops

import rxagents
from rxagents import Answer, StreamEvent
from rxagents import operators as ops
from rxagents.testing import Reply, ScriptedLLM

MODEL = os.environ.get("RXAGENTS_MODEL")
CAPITALS = {"Italy": "Rome", "Norway": "Oslo", "Peru": "Lima", "Kenya": "Nairobi", "Fiji": "Suva"}
SCRIPTS = [Reply(f"{city}.", delay=0.06 * len(city)) for city in CAPITALS.values()]
running: set[str] = set()


def answer(agent: rxagents.FunctionAgent, country: str) -> Observable[str]:
    """Stream one line: the answer, or why there is none. One failure ends no other run."""

    def line(event: StreamEvent) -> str:
        return f"{country}: {event.content}"

    def start(_: object) -> Observable[str]:
        running.add(country)
        print(f"(running: {', '.join(sorted(running))})")
        return agent.run_stream(f"What is the capital of {country}? One word.").pipe(
            ops.of_type(Answer),
            rx_ops.map(line),
            rx_ops.catch(lambda error, _: rx.of(f"{country}: {type(error).__name__}")),
            rx_ops.finally_action(lambda: running.discard(country)),
        )

    return rx.defer(start)


if __name__ == "__main__":
    llm = rxagents.get_model(MODEL) if MODEL else ScriptedLLM(*SCRIPTS)
    capitals = rxagents.FunctionAgent(llm)
    tasks = [answer(capitals, country) for country in CAPITALS]
    with suppress(KeyboardInterrupt):
        rxagents.run(rx.from_iterable(tasks).pipe(rx_ops.merge(max_concurrent=3)), print)
