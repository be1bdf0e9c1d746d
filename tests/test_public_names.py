"""The names users import: adding or losing one is a decision, not an accident."""

from __future__ import annotations

import inspect

import rxagents
from rxagents import operators, testing

NAMES = """
    Agent AgentError AgentResult Answer Anthropic AuthenticationError BadRequestError Complete
    ConfigurationError ConflictError ConnectError ConnectTimeoutError ConversationalAgent ErrorEvent ErrorInfo
    EventType FilePart FirstEventTimeoutError FunctionAgent Gemini IdleTimeoutError ImagePart LLM
    LimitExceededError LimitReachedError Limits MaxIterationsError Memory Message NotFoundError Ollama
    OpenAI OpenAIResponses OutputError Overflow OverloadedError PayloadTooLargeError
    ProtocolError ProviderError RateLimitError ReActAgent ReActStep Reasoning ReasoningPart RedirectError Reset Response
    ResponseError RxAgentsError ServerError Settings StatusError StreamCancelledError
    StreamChunk StreamDecodeError StreamEvent StreamTimeoutError StreamingAgent StreamingLLM
    TextPart Thought Timeouts Token Tool ToolArgumentsError ToolCall ToolCallDelta ToolContext
    ToolEnd ToolError ToolNotFoundError ToolProgress ToolResult ToolStart ToolTimeoutError
    TotalTimeoutError TransportError TruncatedStreamError Usage __version__ from_aiter get_model
    run to_aiter tool
"""


def test_the_package_exports_these() -> None:
    assert set(rxagents.__all__) == set(NAMES.split())
    assert all(hasattr(rxagents, name) for name in rxagents.__all__)


def test_operators_exports_these() -> None:
    names = "accumulate assemble_tool_calls collect decode_ndjson decode_sse share_bounded text"
    assert operators.__all__ == names.split()


def test_testing_exports_these() -> None:
    names = """Delivery Ending Framing NoReply RawReply ReceivedRequest Reply ScriptedLLM
        ScriptedServer StatusReply gzip_bomb"""
    assert testing.__all__ == names.split()


def test_every_exported_class_and_function_says_what_it_is() -> None:
    silent = [
        name
        for module in (rxagents, operators, testing)
        for name in module.__all__
        if callable(getattr(module, name)) and not inspect.getdoc(getattr(module, name))
    ]
    assert not silent
