"""Get a value of your own type from an agent, and watch it grow; a wrong field is corrected.

RXAGENTS_MODEL=openai:gpt-5-mini python examples/typed_agent.py
"""

import asyncio
import os
from contextlib import suppress

from msgspec import Struct

import rxagents
from rxagents import Partial, Reset, StreamEvent, ToolCall
from rxagents.testing import Reply, ScriptedLLM

MODEL = os.environ.get("RXAGENTS_MODEL")
SCRIPT = (
    Reply(tool_calls=[ToolCall("call_1", "look_up", '{"city": "Oslo"}')]),
    Reply('{"city": "Oslo", "degrees": "three", "advice": "Take a', interval=0.03),
    Reply('{"city": "Oslo", "degrees": 3, "advice": "Take a coat."}', interval=0.03),
)


class Weather(Struct):
    """The weather in a city, with advice."""

    city: str
    degrees: int
    advice: str


@rxagents.tool
def look_up(city: str) -> str:
    """Look up the weather in a city."""
    return f"{city}: three degrees, windy"


def show(event: StreamEvent) -> None:
    """Print what has come of the answer, and why it starts again."""
    match event:
        case Partial(value):
            print("so far:", value)
        case Reset():
            print("again:", event.content)


async def main() -> None:
    """Run the agent; `result.output` is a `Weather`, for type checkers too."""
    llm = rxagents.get_model(MODEL) if MODEL else ScriptedLLM(*SCRIPT)
    agent = rxagents.FunctionAgent(llm, tools=[look_up], output_type=Weather)
    run = agent.start("What should I wear in Oslo?")
    run.events.subscribe(show, on_error=lambda _: None)  # the result raises it
    result = await run.result
    print(f"{result.output.advice} ({result.output.degrees} degrees)")


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main())
