"""Subscribe to a stream and show its items."""

from __future__ import annotations

from collections.abc import Callable

from reactivex import Observable

from rxagents.cli.pieces import Item
from rxagents.cli.signals import StopSignals
from rxagents.cli.views import View
from rxagents.operators import Measurement
from rxagents.operators.measure import measure
from rxagents.runtime.to_aiter import to_aiter


async def show(
    stream: Observable[Item],
    view: View,
    stop: StopSignals,
    on_item: Callable[[Item], object] = lambda _: None,
) -> Measurement:
    """Show the items of a stream as they arrive.

    Args:
        stream: The stream.
        view: The view that shows its items.
        stop: The handler of stop signals.
        on_item: Called with each item after it was shown.

    Returns:
        The measurement of the stream.

    Raises:
        RxAgentsError: The stream failed; the items before were shown.
    """
    measured: list[Measurement] = []
    with view as show_item:
        async with to_aiter(stream.pipe(measure(measured.append))) as items:
            async for item in items:
                with stop.at_once():
                    show_item(item)
                on_item(item)
    return measured[0]
