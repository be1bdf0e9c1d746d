"""`Gate.after_burst`: call back when a source has emitted what it has read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from reactivex.observer import Observer

from rxagents.runtime.bridge import Gate
from rxagents.runtime.source import Emitter


def pushed(on_item: Callable[[Gate, int], None], *items: int) -> Gate:
    """Emit items in one burst; `on_item` gets each of them."""
    gate = Gate()
    emitter = Emitter[int](Observer(lambda item: on_item(gate, item)), gate)
    assert emitter.push(iter(items))
    return gate


def _fail(item: int) -> None:
    raise ZeroDivisionError(item)


async def test_callback_comes_once_after_the_last_item() -> None:
    seen: list[Any] = []
    loop = asyncio.get_running_loop()

    def on_item(gate: Gate, item: int) -> None:
        if not seen:
            gate.after_burst(loop, lambda: seen.append("end"))
        seen.append(item)

    gate = pushed(on_item, 1, 2, 3)
    assert seen == [1, 2, 3, "end"]
    assert not gate.is_emitting
    await asyncio.sleep(0)
    assert seen[3:] == ["end"]


async def test_callback_outside_a_burst_comes_next_turn() -> None:
    seen: list[str] = []
    Gate().after_burst(asyncio.get_running_loop(), lambda: seen.append("turn"))
    assert not seen
    await asyncio.sleep(0)
    assert seen == ["turn"]


async def test_raising_callback_does_not_fail_the_source() -> None:
    loop, reported = asyncio.get_running_loop(), []
    loop.set_exception_handler(lambda _, context: reported.append(context["exception"]))
    seen: list[str] = []

    def on_item(gate: Gate, item: int) -> None:
        gate.after_burst(loop, partial(_fail, item))
        gate.after_burst(loop, lambda: seen.append("next"))

    pushed(on_item, 1)
    assert [type(error) for error in reported] == [ZeroDivisionError]
    assert seen == ["next"]
