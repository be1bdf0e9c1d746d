"""Operators for streams of LLM chunks; they compose with reactivex's own.

Framing: `decode_sse`, `decode_ndjson`. Chunks: `text`, `accumulate`, `collect`,
`assemble_tool_calls`. Of any items: `share_bounded`.
"""

from rxagents.operators.accumulate import accumulate
from rxagents.operators.assemble_tool_calls import assemble_tool_calls
from rxagents.operators.collect import collect
from rxagents.operators.decode_ndjson import decode_ndjson
from rxagents.operators.decode_sse import decode_sse
from rxagents.operators.share_bounded import share_bounded
from rxagents.operators.text import text

__all__ = [
    "accumulate",
    "assemble_tool_calls",
    "collect",
    "decode_ndjson",
    "decode_sse",
    "share_bounded",
    "text",
]
