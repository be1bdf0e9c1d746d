"""Compose a chain of operators, and measure its cost.

python examples/custom_chain.py
python -m benchmarks --chain examples.custom_chain:chain
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from reactivex import Observable
from reactivex import operators as rx_ops

import rxagents
from rxagents import operators as ops


def chain() -> list[Callable[[Observable[Any]], Observable[Any]]]:
    """Return operators from chunks to the average length of the text pieces so far."""

    def add(sums: tuple[int, int], text: str) -> tuple[int, int]:
        return sums[0] + len(text), sums[1] + 1

    def average(sums: tuple[int, int]) -> float:
        return sums[0] / sums[1]

    return [ops.text(), rx_ops.scan(add, (0, 0)), rx_ops.map(average)]


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        llm = rxagents.get_model("scripted:")
        length = rxagents.run(llm.chat_stream("Hello!").pipe(*chain()))
        print(f"{length:.1f} characters a piece")
