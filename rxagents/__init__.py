"""Reactive streams for LLM agents: every provider stream is an Observable."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rxagents._later import LATER
from rxagents._version import __version__
from rxagents.core.approval import Approve, Decision, Deny
from rxagents.core.checkpoint import Checkpoint
from rxagents.core.chunks import StreamChunk, ToolCallDelta
from rxagents.core.errors import (
    AgentError,
    AuthenticationError,
    BackpressureError,
    BadRequestError,
    ConfigurationError,
    ConflictError,
    ConnectError,
    ConnectTimeoutError,
    FirstEventTimeoutError,
    IdleTimeoutError,
    LeaseError,
    LimitExceededError,
    LogGoneError,
    MaxIterationsError,
    NotFoundError,
    OutputError,
    OverloadedError,
    PayloadTooLargeError,
    ProtocolError,
    ProviderError,
    RateLimitError,
    RedirectError,
    ResponseError,
    RunInterruptedError,
    RunLimitError,
    RxAgentsError,
    ServerError,
    StatusError,
    StorageError,
    StreamCancelledError,
    StreamDecodeError,
    StreamTimeoutError,
    ToolArgumentsError,
    ToolError,
    ToolNotFoundError,
    ToolTimeoutError,
    TotalTimeoutError,
    TransportError,
    TruncatedStreamError,
)
from rxagents.core.events import (
    Answer,
    ApprovalAnswer,
    ApprovalRequest,
    Complete,
    ErrorEvent,
    ErrorInfo,
    EventType,
    Handoff,
    MessageOutcome,
    Partial,
    Reasoning,
    Reset,
    StreamEvent,
    Thought,
    Token,
    ToolArguments,
    ToolEnd,
    ToolProgress,
    ToolStart,
    TurnEnd,
    TurnStart,
)
from rxagents.core.limits import Limits
from rxagents.core.messages import (
    FilePart,
    ImagePart,
    Message,
    ReasoningPart,
    TextPart,
    ToolCall,
    ToolResult,
)
from rxagents.core.output_request import ParsedResponse
from rxagents.core.protocols import LLM, Agent, AgentResult, StreamingAgent, StreamingLLM
from rxagents.core.response import Response
from rxagents.core.settings import Settings
from rxagents.core.timeouts import Timeouts
from rxagents.core.tool_context import ToolContext
from rxagents.core.tools import Tool, tool
from rxagents.core.usage import Usage
from rxagents.providers.base_llm import BaseLLM
from rxagents.providers.registry import get_model
from rxagents.runtime.from_aiter import from_aiter
from rxagents.runtime.from_recording import from_recording
from rxagents.runtime.overflow import Overflow
from rxagents.runtime.run import run
from rxagents.runtime.to_aiter import to_aiter
from rxagents.runtime.to_iter import to_iter

if TYPE_CHECKING:
    from rxagents import cluster as cluster
    from rxagents import operators as operators
    from rxagents import testing as testing
    from rxagents import tools as tools
    from rxagents.agents.agent_options import AgentOptions
    from rxagents.agents.agent_run import AgentRun
    from rxagents.agents.conversation import Conversation
    from rxagents.agents.conversational import ConversationalAgent
    from rxagents.agents.function import FunctionAgent
    from rxagents.agents.memory import Memory
    from rxagents.agents.react import ReActAgent
    from rxagents.agents.react_steps import ReActStep
    from rxagents.agents.run_options import RunArguments
    from rxagents.mcp.client import MCPTools, mcp_tools
    from rxagents.mcp.server import mcp_server
    from rxagents.operators._first_of import first_of
    from rxagents.pictures.live import LivePicture, display
    from rxagents.pictures.picture import RunPicture, draw_run
    from rxagents.providers.anthropic import Anthropic
    from rxagents.providers.gemini import Gemini
    from rxagents.providers.ollama import Ollama
    from rxagents.providers.openai import OpenAI
    from rxagents.providers.openai_responses import OpenAIResponses
    from rxagents.providers.provider import ProviderOptions
    from rxagents.runtime.circuit import Circuit
    from rxagents.runtime.description import Description, describe
    from rxagents.runtime.event_log.event_log import EventLog
    from rxagents.runtime.event_log.from_log import from_log
    from rxagents.runtime.event_log.log_entries import LogEntry
    from rxagents.runtime.event_log.log_store import Retention
    from rxagents.runtime.event_log.memory_log_store import MemoryLogStore
    from rxagents.runtime.event_log.run_handle import RunHandle
    from rxagents.runtime.inspection import (
        InspectedPipe,
        InspectedProbe,
        InspectedStage,
        Inspection,
        inspect,
    )
    from rxagents.runtime.instrument import instrument
    from rxagents.runtime.kill_switch import KillSwitch
    from rxagents.runtime.limiting.limiter import Limiter
    from rxagents.runtime.limiting.limiter_state import LimiterState
    from rxagents.runtime.limiting.protocol import LimitedRequest
    from rxagents.runtime.many_runs.processes import processes
    from rxagents.runtime.many_runs.run_many import run_many
    from rxagents.runtime.many_runs.run_report import RunReport
    from rxagents.runtime.racing.latencies import Latencies
    from rxagents.runtime.spending.budget import Budget
    from rxagents.runtime.spending.cost import Cost
    from rxagents.runtime.spending.prices import Price
    from rxagents.runtime.stream_hub import Hub
    from rxagents.storage.conversation_store import (
        ConversationStore,
        Snapshot,
        StoredConversation,
    )
    from rxagents.storage.memory_store import MemoryStore
    from rxagents.storage.redis_limiter import RedisLimiter
    from rxagents.storage.redis_log_store import RedisLogStore
    from rxagents.storage.sqlite_log_store import SQLiteLogStore
    from rxagents.storage.sqlite_store import SQLiteStore

__all__ = [
    "LLM", "Agent", "AgentError", "AgentOptions", "AgentResult", "AgentRun", "Answer", "Anthropic",
    "ApprovalAnswer", "ApprovalRequest", "Approve", "AuthenticationError", "BackpressureError",
    "BadRequestError", "BaseLLM", "Budget", "Checkpoint", "Circuit", "Complete",
    "ConfigurationError", "ConflictError", "ConnectError", "ConnectTimeoutError", "Conversation",
    "ConversationStore", "ConversationalAgent", "Cost", "Decision", "Deny", "Description",
    "ErrorEvent", "ErrorInfo", "EventLog", "EventType", "FilePart", "FirstEventTimeoutError",
    "FunctionAgent", "Gemini", "Handoff", "Hub", "IdleTimeoutError", "ImagePart", "InspectedPipe",
    "InspectedProbe", "InspectedStage", "Inspection", "KillSwitch", "Latencies", "LeaseError",
    "LimitExceededError", "LimitedRequest", "Limiter", "LimiterState", "Limits", "LivePicture",
    "LogEntry", "LogGoneError", "MCPTools", "MaxIterationsError", "Memory", "MemoryLogStore",
    "MemoryStore", "Message", "MessageOutcome", "NotFoundError", "Ollama", "OpenAI",
    "OpenAIResponses", "OutputError", "Overflow", "OverloadedError", "ParsedResponse", "Partial",
    "PayloadTooLargeError", "Price", "ProtocolError", "ProviderError", "ProviderOptions",
    "RateLimitError", "ReActAgent", "ReActStep", "Reasoning", "ReasoningPart", "RedirectError",
    "RedisLimiter",
    "RedisLogStore", "Reset", "Response", "ResponseError", "Retention", "RunArguments", "RunHandle",
    "RunInterruptedError", "RunLimitError", "RunPicture", "RunReport", "RxAgentsError",
    "SQLiteLogStore", "SQLiteStore", "ServerError", "Settings", "Snapshot", "StatusError",
    "StorageError", "StoredConversation", "StreamCancelledError", "StreamChunk",
    "StreamDecodeError", "StreamEvent", "StreamTimeoutError", "StreamingAgent", "StreamingLLM",
    "TextPart", "Thought", "Timeouts", "Token", "Tool", "ToolArguments", "ToolArgumentsError",
    "ToolCall", "ToolCallDelta", "ToolContext", "ToolEnd", "ToolError", "ToolNotFoundError",
    "ToolProgress", "ToolResult", "ToolStart", "ToolTimeoutError", "TotalTimeoutError",
    "TransportError", "TruncatedStreamError", "TurnEnd", "TurnStart", "Usage", "__version__",
    "describe", "display", "draw_run", "first_of", "from_aiter", "from_log", "from_recording",
    "get_model", "inspect", "instrument", "mcp_server", "mcp_tools", "processes", "run", "run_many",
    "to_aiter", "to_iter", "tool",
]  # fmt: skip

# In a checkout without symbolic links, as on Windows, `rxagents/operators` is a text file: then
# `rxagents.operators` is found at the top of the checkout, where the folder is.
if Path(__path__[0], "operators").is_file():
    __path__.append(str(Path(__path__[0]).parent))

_MODULES = ("cluster", "operators", "testing", "tools")
"""Imported at first use, so that `import rxagents` is all that a program needs."""


def __getattr__(name: str) -> object:
    if name in _MODULES:
        return importlib.import_module(f"rxagents.{name}")
    if name in LATER:
        return getattr(importlib.import_module(LATER[name]), name)
    raise AttributeError(
        f"module 'rxagents' has no attribute {name!r}", name=name, obj=sys.modules[__name__]
    )


def __dir__() -> list[str]:
    """Return the names for completion and for suggestions, also those imported later."""
    return sorted({*globals(), *_MODULES, *LATER})
