"""Models and servers that answer from a script, for testing your own pipelines.

`ScriptedLLM` answers in process, on the subscriber's scheduler, so that virtual time drives it.
`ScriptedServer` answers over HTTP on loopback, with the timing and the faults of the script.
Both take the same replies.
"""

from rxagents.testing.script import Ending, RawReply, Reply, StatusReply
from rxagents.testing.scripted_llm import ScriptedLLM
from rxagents.testing.scripted_server import ReceivedRequest, ScriptedServer

__all__ = [
    "Ending",
    "RawReply",
    "ReceivedRequest",
    "Reply",
    "ScriptedLLM",
    "ScriptedServer",
    "StatusReply",
]
