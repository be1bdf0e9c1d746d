"""From a model to the screen: where the commands subscribe."""

from __future__ import annotations

from reactivex import Observable
from reactivex import operators as ops

from rxagents.cli.meter import Meter
from rxagents.cli.signals import StopSignals
from rxagents.cli.views import View
from rxagents.core.chunks import StreamChunk
from rxagents.runtime.to_aiter import to_aiter


async def show(stream: Observable[StreamChunk], view: View, stop: StopSignals) -> Meter:
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
    meter = Meter()
    with view as show_chunk:
        async with to_aiter(stream.pipe(ops.do_action(meter.add))) as chunks:
            async for chunk in chunks:
                with stop.at_once():
                    show_chunk(chunk)
    return meter
