"""The list of all scenarios."""

from __future__ import annotations

from msgspec import Struct


class Scenario(Struct, frozen=True):
    """One kind of work.

    Attributes:
        function: Where it is: `module:function`, which takes a `Run`.
        title: The heading of its table.
        reference: The contender that ratios refer to; empty for none.
        in_quick: Whether `--quick` runs it.
    """

    function: str
    title: str
    reference: str = ""
    in_quick: bool = True


_HERE = "benchmarks"

SCENARIOS: dict[str, Scenario] = {
    "bursts": Scenario(
        f"{_HERE}.throughput:bursts", "CPU time of a chunk, chat completions", "hand-written loop"
    ),
    "wires": Scenario(
        f"{_HERE}.throughput:wires", "CPU time of a chunk, beside the vendor's library", "rxagents"
    ),
    "pipes": Scenario(
        f"{_HERE}.throughput:pipes", "CPU time of a chunk through operators", "hand-written loop"
    ),
    "operators": Scenario(
        f"{_HERE}.operators:operators", "CPU time of an item in each operator", "map"
    ),
    "tokens": Scenario(f"{_HERE}.throughput:tokens", "CPU time of an agent's token", "rxagents"),
    "agents": Scenario(f"{_HERE}.agents:agents", "Turns and runs of agents"),
    "length": Scenario(
        f"{_HERE}.throughput:length", "CPU time of a chunk against the length of the answer"
    ),
    "live": Scenario(f"{_HERE}.live:live", "Live streams, 20 chunks a second each", "bare aiohttp"),
    "first": Scenario(f"{_HERE}.throughput:first_text", "Time to the first text", "bare aiohttp"),
    "tls": Scenario(f"{_HERE}.throughput:tls", "CPU time of a chunk with TLS", "hand-written loop"),
    "slow": Scenario(f"{_HERE}.slow_readers:slow_readers", "A reader that is too slow"),
    "start": Scenario(
        f"{_HERE}.start_and_stop:imports", "Time to import", "aiohttp, reactivex, msgspec"
    ),
    "dispose": Scenario(
        f"{_HERE}.start_and_stop:closes", "From dispose() to the server", "bare aiohttp"
    ),
    "conversations": Scenario(
        f"{_HERE}.conversations:conversations", "Conversations in a SQLite file", in_quick=False
    ),
    "event_log": Scenario(f"{_HERE}.event_log:event_log", "The event log", in_quick=False),
    "run_many": Scenario(
        f"{_HERE}.run_many:run_many", "Many runs on the loop, the cores and Ray", in_quick=False
    ),
    "gateway": Scenario(
        f"{_HERE}.gateway:gateway",
        "rxagents serve, CPU of the server",
        "own client",
        in_quick=False,
    ),
}
