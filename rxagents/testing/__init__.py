"""Models and servers that reply from a script, for tests of your own pipelines.

`ScriptedLLM` replies in process, on the subscriber's scheduler, so that virtual time drives it.
`ScriptedServer` replies over HTTP on loopback, with the timing and the faults of the script.
`marbles` checks what a stream emits, and when; `VirtualLoop` is the clock that it runs on.
`Cassette` replays the recorded answers of a provider, `every_fault` with a fault at each event.

The kinds of replies:

- `Reply`: text, reasoning, tool calls, usage or an in-stream error, rendered in the format of the
  wire. A `ScriptedLLM` takes no other kind.
- `StatusReply`: an HTTP status with a body and headers, such as an error or a redirect.
- `RawReply`: bytes, piece by piece; `gzip_bomb` makes one that is large when decompressed.
- `NoReply`: no response at all.

All replies with a body have the same options for HTTP (`Delivery`): the pace (`delay`, `interval`,
`write_size`), `gzip`, the `framing` (`Framing`) and the `ending` (`Ending`).

============================== ==================================================================
a provider that                its script
============================== ==================================================================
never responds                 `NoReply(Ending.STALL)`
closes a reused connection     `lambda request: NoReply() if request.reused else "Hello"`
sends headers, then nothing    `RawReply([], ending=Ending.STALL)`
falls silent after two events  `Reply("Hello there", cut_after=2, ending=Ending.STALL)`
sends only comments            `Reply(cut_after=0, ending=Ending.COMMENTS)`
breaks the connection          `Reply(…, ending=Ending.FIN)`, or `RESET`, or `BAD_CHUNK`
sends less than announced      `StatusReply(500, "Oh", ending=Ending.FIN)`
sends a few bytes at a time    `Reply(…, write_size=3, interval=0.01)`
never ends                     `StatusReply(500, "Oh ", ending=Ending.ENDLESS)`
ends the body by closing       `Reply(…, framing=Framing.CLOSE)`
compresses the body            `Reply(…, gzip=True)`
redirects                      `StatusReply(307, headers={"location": url})`
============================== ==================================================================
"""

from rxagents.testing import marbles
from rxagents.testing.cassettes.cassette import Cassette
from rxagents.testing.cassettes.misses import CassetteMissError
from rxagents.testing.delivery import Delivery, Ending, Framing
from rxagents.testing.fault_runs.every_fault import every_fault
from rxagents.testing.fault_runs.fault import (
    BrokenRule,
    BrokenRulesError,
    Fault,
    FaultKind,
    Rule,
)
from rxagents.testing.script import NoReply, RawReply, Reply, StatusReply, gzip_bomb
from rxagents.testing.scripted_llm import ScriptedLLM
from rxagents.testing.scripted_server import ReceivedRequest, ScriptedServer
from rxagents.testing.virtual_time import VirtualLoop, run_in_virtual_time

__all__ = [
    "BrokenRule",
    "BrokenRulesError",
    "Cassette",
    "CassetteMissError",
    "Delivery",
    "Ending",
    "Fault",
    "FaultKind",
    "Framing",
    "NoReply",
    "RawReply",
    "ReceivedRequest",
    "Reply",
    "Rule",
    "ScriptedLLM",
    "ScriptedServer",
    "StatusReply",
    "VirtualLoop",
    "every_fault",
    "gzip_bomb",
    "marbles",
    "run_in_virtual_time",
]
