"""Read a structured answer while it comes: each element when it closes, or the growing whole.

RXAGENTS_MODEL=openai:gpt-5-mini python examples/structured_output.py
"""

import os
from contextlib import suppress

from msgspec import Struct

import rxagents
from rxagents import operators as ops
from rxagents.testing import Reply, ScriptedLLM

MODEL = os.environ.get("RXAGENTS_MODEL")


class City(Struct):
    """A city, as the model is to describe it."""

    name: str
    country: str
    inhabitants: int


class Trip(Struct):
    """A trip through several cities."""

    title: str
    cities: list[City]


SCRIPT = Reply(
    '{"title": "South", "cities": [{"name": "Lima", "country": "Peru", "inhabitants": 10000000}, '
    '{"name": "Suva", "country": "Fiji", "inhabitants": 93000}]}',
    interval=0.03,
)


if __name__ == "__main__":
    llm = rxagents.get_model(MODEL) if MODEL else ScriptedLLM(SCRIPT)
    answer = llm.chat_stream("Plan a trip to two cities.", response_format=Trip)
    with suppress(KeyboardInterrupt):
        print("Each city when it is complete:")
        rxagents.run(answer.pipe(ops.items("cities[]", City)), on_next=print)
        print("All that is there so far:")
        texts = answer.pipe(ops.text(), ops.partial_object(Trip))
        rxagents.run(texts, on_next=lambda partial: print(partial.value))
