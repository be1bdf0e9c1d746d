"""Link one run to the bridge of all runs."""

from __future__ import annotations

from collections.abc import Callable

from rxagents.runtime.bridge import Bridge


class RunBridge(Bridge):
    """The bridge of one run: its gate follows that of all runs, and its failures are its own.

    Args:
        outer: The bridge of all runs. It waits for the tasks of the run, also after `end`.
        fail: Called with what an operator of the run raised.
    """

    def __init__(self, outer: Bridge, fail: Callable[[Exception], None]) -> None:
        super().__init__(outer.loop, fail)
        self._outer = outer
        outer.gate.watch(self)
        if outer.gate.closed:
            self.gate.close()

    def gate_changed(self, *, closed: bool) -> None:
        """Follow the gate of all runs."""
        if self.closed:
            return
        if closed:
            self.gate.close()
        else:
            self.gate.open()

    def end(self) -> None:
        """Open the gate, and leave what still runs to the bridge of all runs."""
        if not self.closed:
            self._outer.gate.unwatch(self)
            self.close((self._outer,))
