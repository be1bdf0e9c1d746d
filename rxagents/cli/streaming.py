"""From a model or an agent to the screen: where the commands subscribe."""

from __future__ import annotations

from reactivex import Observable

from rxagents.cli.pieces import Item
from rxagents.cli.signals import StopSignals
from rxagents.cli.views import View
from rxagents.operators import Measurement
from rxagents.operators.measure import measure
from rxagents.runtime.to_aiter import to_aiter


async def show(stream: Observable[Item], view: View, stop: StopSignals) -> Measurement:
    """Show a stream as it comes.

    Args:
        stream: What to subscribe to.
        view: What to show it with.
        stop: What signals do.

    Returns:
        What was measured.

    Raises:
        RxAgentsError: The stream failed; what came before was shown.
    """
    measured: list[Measurement] = []
    with view as show_item:
        async with to_aiter(stream.pipe(measure(measured.append))) as items:
            async for item in items:
                with stop.at_once():
                    show_item(item)
    return measured[0]
