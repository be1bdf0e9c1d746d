"""Models and servers that answer from a script, for testing your own pipelines.

`ScriptedLLM` answers in process, on the subscriber's scheduler, so that virtual time drives it.
`ScriptedServer` answers over HTTP on loopback, with the timing and the faults of the script.

What is answered:

- `Reply`: text, reasoning, tool calls, usage or an in-stream error, as the model's wire has them.
  The only one that a `ScriptedLLM` takes.
- `StatusReply`: an HTTP status with a body and headers, such as an error or a redirect.
- `RawReply`: bytes, piece by piece; `gzip_bomb` makes one that grows when it is decompressed.
- `NoReply`: not a byte.

How it goes over HTTP is the same for all that have a body (`Delivery`): its pace (`delay`,
`interval`, `write_size`), `gzip`, its `framing` (`Framing`) and its `ending` (`Ending`).

============================== ==================================================================
a provider that                is
============================== ==================================================================
never begins                   `NoReply(Ending.STALL)`
hangs up on a stale connection `lambda request: NoReply() if request.reused else "Hello"`
sends headers, then nothing    `RawReply([], ending=Ending.STALL)`
falls silent after two events  `Reply("Hello there", cut_after=2, ending=Ending.STALL)`
sends only comments            `Reply(cut_after=0, ending=Ending.COMMENTS)`
is cut off                     `Reply(…, ending=Ending.FIN)`, or `RESET`, or `BAD_CHUNK`
sends less than announced      `StatusReply(500, "Oh", ending=Ending.FIN)`
drips                          `Reply(…, write_size=3, interval=0.01)`
never ends                     `StatusReply(500, "Oh ", ending=Ending.ENDLESS)`
ends with its connection       `Reply(…, framing=Framing.CLOSE)`
compresses                     `Reply(…, gzip=True)`
redirects                      `StatusReply(307, headers={"location": url})`
============================== ==================================================================
"""

from rxagents.testing.delivery import Delivery, Ending, Framing
from rxagents.testing.script import NoReply, RawReply, Reply, StatusReply, gzip_bomb
from rxagents.testing.scripted_llm import ScriptedLLM
from rxagents.testing.scripted_server import ReceivedRequest, ScriptedServer

__all__ = [
    "Delivery",
    "Ending",
    "Framing",
    "NoReply",
    "RawReply",
    "ReceivedRequest",
    "Reply",
    "ScriptedLLM",
    "ScriptedServer",
    "StatusReply",
    "gzip_bomb",
]
