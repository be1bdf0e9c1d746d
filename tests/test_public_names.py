"""The names users import: adding or losing one is a decision, not an accident."""

from __future__ import annotations

import inspect

import pytest
from child import run_program

import rxagents
from rxagents import operators, testing

NAMES = """
    Agent AgentError AgentOptions AgentResult AgentRun Answer Anthropic ApprovalAnswer
    ApprovalRequest Approve AuthenticationError BackpressureError BadRequestError BaseLLM Budget
    Checkpoint Circuit Complete ConfigurationError ConflictError ConnectError ConnectTimeoutError
    Conversation ConversationStore ConversationalAgent Cost Decision Deny Description ErrorEvent
    ErrorInfo EventLog EventType FilePart FirstEventTimeoutError FunctionAgent Gemini Handoff Hub
    IdleTimeoutError ImagePart InspectedPipe InspectedProbe InspectedStage Inspection KillSwitch LLM
    Latencies LeaseError LimitExceededError LimitedRequest Limiter LimiterState Limits LivePicture
    LogEntry LogGoneError MCPTools MaxIterationsError Memory MemoryLogStore MemoryStore Message
    MessageOutcome NotFoundError Ollama OpenAI OpenAIResponses OutputError Overflow OverloadedError
    ParsedResponse Partial PayloadTooLargeError Price ProtocolError ProviderError ProviderOptions
    RateLimitError ReActAgent ReActStep Reasoning ReasoningPart RedirectError RedisLimiter
    RedisLogStore Reset Response ResponseError Retention RunArguments RunHandle RunInterruptedError
    RunLimitError RunPicture RunReport RxAgentsError SQLiteLogStore SQLiteStore ServerError Settings
    Snapshot StatusError StorageError StoredConversation StreamCancelledError StreamChunk
    StreamDecodeError StreamEvent StreamTimeoutError StreamingAgent StreamingLLM TextPart Thought
    Timeouts Token Tool ToolArguments ToolArgumentsError ToolCall ToolCallDelta ToolContext ToolEnd
    ToolError ToolNotFoundError ToolProgress ToolResult ToolStart ToolTimeoutError TotalTimeoutError
    TransportError TruncatedStreamError TurnEnd TurnStart Usage __version__ describe display
    draw_run first_of from_aiter from_log from_recording get_model inspect instrument mcp_server
    mcp_tools processes run run_many to_aiter to_iter tool
"""


def test_package_exports_these_names() -> None:
    assert set(rxagents.__all__) == set(NAMES.split())
    assert all(hasattr(rxagents, name) for name in rxagents.__all__)


def test_names_complete_before_first_use() -> None:
    program = (
        "import rxagents\nassert {*rxagents.__all__, 'operators', 'tools'} <= {*dir(rxagents)}\n"
    )
    run_program(program)


def test_import_needs_no_provider() -> None:
    run_program("import rxagents, sys\nassert 'aiohttp' not in sys.modules\n")


def test_function_agent_needs_no_react_parser() -> None:
    run_program(
        "import rxagents, sys\nassert rxagents.FunctionAgent\n"
        "assert 'rxagents.parsing.react' not in sys.modules\n"
    )


def test_misspelt_name_gets_a_suggestion() -> None:
    with pytest.raises(AssertionError, match="Did you mean: 'FunctionAgent'"):
        run_program("import rxagents\nrxagents.FunctonAgent\n")


def test_operators_exports_these_names() -> None:
    names = """
        Measurement PartialJson PartialObject Replayed accumulate assemble_tool_calls best_of
        cached check_items checkpoint coalesce collect converse cost decode_ndjson decode_sse
        encode_agui encode_sse encode_vercel fallback_to fuse guard_window heartbeat hedge items log
        map_async measure of_type partial_json partial_object pause_when persist probe reasoning
        record replay_bounded resume_with retry_with_backoff run_tools scan_steps share_bounded
        smooth split_sentences stop_at stop_with tap_safely text timeout_first timeout_idle
        timeout_total total_usage trace"""
    assert operators.__all__ == names.split(), (
        "A public name of rxagents.operators was added or removed. If that is intended, change the "
        "list in tests/test_public_names.py and add a line to CHANGELOG.md."
    )


def test_testing_exports_these_names() -> None:
    names = """BrokenRule BrokenRulesError Cassette CassetteMissError Delivery Ending Fault
        FaultKind Framing NoReply RawReply ReceivedRequest Reply Rule ScriptedLLM ScriptedServer
        StatusReply VirtualLoop every_fault gzip_bomb marbles run_in_virtual_time"""
    assert testing.__all__ == names.split()


def test_every_exported_name_has_docstring() -> None:
    silent = [
        name
        for module in (rxagents, operators, testing)
        for name in module.__all__
        if callable(getattr(module, name)) and not inspect.getdoc(getattr(module, name))
    ]
    assert not silent


def test_agents_and_operators_import_lazily() -> None:
    program = (
        "import sys, rxagents\n"
        "later = ('agents', 'operators', 'testing', 'tools')\n"
        "assert not {f'rxagents.{name}' for name in later} & set(sys.modules)\n"
        "assert rxagents.ReActAgent and rxagents.operators.text\n"
        "assert rxagents.testing.Reply and rxagents.tools.calculator\n"
    )
    run_program(program)


def test_unknown_name_is_named() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Robot'"):
        rxagents.Robot  # noqa: B018  # that is the point
