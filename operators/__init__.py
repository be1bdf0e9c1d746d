"""Operators on the streams of models and agents; they compose with reactivex's operators.

Framing: `decode_sse`, `decode_ndjson`.
Chunks: `text`, `reasoning`, `accumulate`, `collect`, `assemble_tool_calls`, `total_usage`,
    `stop_at`.
Text: `partial_json`, `partial_object`, `items`, `check_items`, `split_sentences`.
Agents: `scan_steps`, `run_tools`, `converse`, `of_type`.
Time and failure: `timeout_first`, `timeout_idle`, `timeout_total`, `retry_with_backoff`,
    `fallback_to`, `resume_with`, `hedge`, `best_of`.
Flow: `fuse`, `coalesce`, `smooth`, `share_bounded`, `replay_bounded`, `map_async`, `pause_when`,
    `heartbeat`, `stop_with`.
Protocols: `encode_sse`, `encode_agui`, `encode_vercel`.
Checks and observation: `guard_window`, `tap_safely`, `log`, `checkpoint`, `measure`, `probe`,
    `cost`, `trace`, `record`, `persist`, `cached`.

Types of their items: `PartialJson`, `PartialObject`, `Replayed`. The type that `measure` reports:
`Measurement`.
"""

from rxagents.operators._measurement import Measurement
from rxagents.operators._replay import Replayed
from rxagents.operators.accumulate import accumulate
from rxagents.operators.assemble_tool_calls import assemble_tool_calls
from rxagents.operators.best_of import best_of
from rxagents.operators.cached import cached
from rxagents.operators.check_items import check_items
from rxagents.operators.checkpoint import checkpoint
from rxagents.operators.coalesce import coalesce
from rxagents.operators.collect import collect
from rxagents.operators.converse import converse
from rxagents.operators.cost import cost
from rxagents.operators.decode_ndjson import decode_ndjson
from rxagents.operators.decode_sse import decode_sse
from rxagents.operators.encode_agui import encode_agui
from rxagents.operators.encode_sse import encode_sse
from rxagents.operators.encode_vercel import encode_vercel
from rxagents.operators.fallback_to import fallback_to
from rxagents.operators.fuse import fuse
from rxagents.operators.guard_window import guard_window
from rxagents.operators.heartbeat import heartbeat
from rxagents.operators.hedge import hedge
from rxagents.operators.items import items
from rxagents.operators.log import log
from rxagents.operators.map_async import map_async
from rxagents.operators.measure import measure
from rxagents.operators.of_type import of_type
from rxagents.operators.partial_json import partial_json
from rxagents.operators.partial_object import partial_object
from rxagents.operators.pause_when import pause_when
from rxagents.operators.persist import persist
from rxagents.operators.probe import probe
from rxagents.operators.reasoning import reasoning
from rxagents.operators.record import record
from rxagents.operators.replay_bounded import replay_bounded
from rxagents.operators.resume_with import resume_with
from rxagents.operators.retry_with_backoff import retry_with_backoff
from rxagents.operators.run_tools import run_tools
from rxagents.operators.scan_steps import scan_steps
from rxagents.operators.share_bounded import share_bounded
from rxagents.operators.smooth import smooth
from rxagents.operators.split_sentences import split_sentences
from rxagents.operators.stop_at import stop_at
from rxagents.operators.stop_with import stop_with
from rxagents.operators.tap_safely import tap_safely
from rxagents.operators.text import text
from rxagents.operators.timeout_first import timeout_first
from rxagents.operators.timeout_idle import timeout_idle
from rxagents.operators.timeout_total import timeout_total
from rxagents.operators.total_usage import total_usage
from rxagents.operators.trace import trace
from rxagents.parsing.json_snapshots import PartialJson, PartialObject

__all__ = [
    "Measurement",
    "PartialJson",
    "PartialObject",
    "Replayed",
    "accumulate",
    "assemble_tool_calls",
    "best_of",
    "cached",
    "check_items",
    "checkpoint",
    "coalesce",
    "collect",
    "converse",
    "cost",
    "decode_ndjson",
    "decode_sse",
    "encode_agui",
    "encode_sse",
    "encode_vercel",
    "fallback_to",
    "fuse",
    "guard_window",
    "heartbeat",
    "hedge",
    "items",
    "log",
    "map_async",
    "measure",
    "of_type",
    "partial_json",
    "partial_object",
    "pause_when",
    "persist",
    "probe",
    "reasoning",
    "record",
    "replay_bounded",
    "resume_with",
    "retry_with_backoff",
    "run_tools",
    "scan_steps",
    "share_bounded",
    "smooth",
    "split_sentences",
    "stop_at",
    "stop_with",
    "tap_safely",
    "text",
    "timeout_first",
    "timeout_idle",
    "timeout_total",
    "total_usage",
    "trace",
]
