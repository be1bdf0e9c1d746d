"""All names of spans, attributes and metrics, in one place: the conventions still change them.

They are those of the semantic conventions for generative AI, v0.1.0, which are in development
(github.com/open-telemetry/semantic-conventions-genai). What is not in them begins with `rxagents`.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, TypeAlias

Names: TypeAlias = Literal["new", "old", "both"]
"""The names of v0.1.0, those before it (semantic conventions v1.41), or both."""

SCOPE: Final = "rxagents"

# Operations
CHAT: Final = "chat"
TEXT_COMPLETION: Final = "text_completion"
INVOKE_AGENT: Final = "invoke_agent"
EXECUTE_TOOL: Final = "execute_tool"

# Attributes of every span
OPERATION: Final = "gen_ai.operation.name"
ERROR_TYPE: Final = "error.type"
DISPOSED: Final = "rxagents.disposed"
CONVERSATION: Final = "gen_ai.conversation.id"

# Attributes of a model call
PROVIDER: Final = "gen_ai.provider.name"
ADDRESS: Final = "server.address"
PORT: Final = "server.port"
REQUEST_MODEL: Final = "gen_ai.request.model"
REQUEST_STREAM: Final = "gen_ai.request.stream"
REQUEST_TEMPERATURE: Final = "gen_ai.request.temperature"
REQUEST_TOP_P: Final = "gen_ai.request.top_p"
REQUEST_MAX_TOKENS: Final = "gen_ai.request.max_tokens"
REQUEST_STOP: Final = "gen_ai.request.stop_sequences"
REQUEST_SEED: Final = "gen_ai.request.seed"
OUTPUT_TYPE: Final = "gen_ai.output.type"
RESPONSE_ID: Final = "gen_ai.response.id"
RESPONSE_MODEL: Final = "gen_ai.response.model"
FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"
INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
CACHE_READ: Final = "gen_ai.usage.cache_read.input_tokens"
CACHE_WRITE: Final = "gen_ai.usage.cache_write.input_tokens"
REASONING: Final = "gen_ai.usage.reasoning.output_tokens"

# Attributes of runs and tool calls
AGENT: Final = "gen_ai.agent.name"
TOOL: Final = "gen_ai.tool.name"
TOOL_TYPE: Final = "gen_ai.tool.type"
TOOL_CALL: Final = "gen_ai.tool.call.id"
TOOL_DESCRIPTION: Final = "gen_ai.tool.description"

# Attributes with content, which are set only if it is asked for
INSTRUCTIONS: Final = "gen_ai.system_instructions"
INPUT: Final = "gen_ai.input.messages"
OUTPUT: Final = "gen_ai.output.messages"
DEFINITIONS: Final = "gen_ai.tool.definitions"
ARGUMENTS: Final = "gen_ai.tool.call.arguments"
RESULT: Final = "gen_ai.tool.call.result"

# The event of a failed attempt after which another one follows
RETRY: Final = "rxagents.retry"
RETRY_ATTEMPT: Final = "rxagents.retry.attempt"
RETRY_DELAY: Final = "rxagents.retry.delay"
STATUS_CODE: Final = "http.response.status_code"

OLD_ATTRIBUTES: Final = {CACHE_WRITE: "gen_ai.usage.cache_creation.input_tokens"}
"""The attributes that had other names before v0.1.0."""

PROVIDERS: Final = {
    "openai": "openai",
    "openai-responses": "openai",
    "anthropic": "anthropic",
    "gemini": "gcp.gemini",
}
"""The conventions' names of our providers; others keep their own name, such as `ollama`."""

HOSTS: Final = {
    "openai.azure.com": "azure.ai.openai",
    "cognitiveservices.azure.com": "azure.ai.openai",
    "services.ai.azure.com": "azure.ai.inference",
    "aiplatform.googleapis.com": "gcp.vertex_ai",
    "generativelanguage.googleapis.com": "gcp.gemini",
    "amazonaws.com": "aws.bedrock",
    "anthropic.com": "anthropic",
    "cohere.com": "cohere",
    "cohere.ai": "cohere",
    "deepseek.com": "deepseek",
    "groq.com": "groq",
    "mistral.ai": "mistral_ai",
    "moonshot.ai": "moonshot_ai",
    "moonshot.cn": "moonshot_ai",
    "perplexity.ai": "perplexity",
    "x.ai": "x_ai",
}
"""The conventions' names of the providers at known hosts, by the end of the host's name."""


class Metric(NamedTuple):
    """A metric.

    Attributes:
        name: Its name in v0.1.0.
        old: Its name before v0.1.0; the same, if it has not changed.
        unit: Its unit.
        description: What it measures.
        buckets: The boundaries of a histogram's buckets.
    """

    name: str
    old: str
    unit: str
    description: str
    buckets: tuple[float, ...] = ()


def _doubling(first: float, count: int) -> tuple[float, ...]:
    return tuple(round(first * 2**n, 3) for n in range(count))


_SECONDS = _doubling(0.01, 14)  # 0.01 to 81.92, as the conventions say
_RUN_SECONDS = _doubling(0.1, 13)  # 0.1 to 409.6
_COUNTS = _doubling(1, 8)  # 1 to 128
_TOKENS = tuple(float(4**n) for n in range(14))  # 1 to 67,108,864
_CHUNK_SECONDS = _doubling(0.001, 14)  # 0.001 to 8.192: ours, since chunks are milliseconds apart

DURATION: Final = Metric(
    "gen_ai.client.inference.duration",
    "gen_ai.client.operation.duration",
    "s",
    "Time of a model call, with its retries.",
    _SECONDS,
)
TIME_TO_FIRST_CHUNK: Final = Metric(
    "gen_ai.client.inference.time_to_first_chunk",
    "gen_ai.client.operation.time_to_first_chunk",
    "s",
    "Time from the start of a model call to its first chunk.",
    _SECONDS,
)
TIME_PER_CHUNK: Final = Metric(
    "gen_ai.client.inference.time_per_output_chunk",
    "gen_ai.client.operation.time_per_output_chunk",
    "s",
    "Time between two chunks.",
    _CHUNK_SECONDS,
)
INPUT_PER_CALL: Final = Metric(
    "gen_ai.client.inference.operation.input_tokens",
    "",
    "{token}",
    "Input tokens of a model call.",
    _TOKENS,
)
OUTPUT_PER_CALL: Final = Metric(
    "gen_ai.client.inference.operation.output_tokens",
    "",
    "{token}",
    "Output tokens of a model call.",
    _TOKENS,
)
OLD_TOKENS: Final = Metric(
    "", "gen_ai.client.token.usage", "{token}", "Tokens of a model call.", _TOKENS
)
RUN_DURATION: Final = Metric(
    "gen_ai.invoke_agent.duration",
    "gen_ai.invoke_agent.duration",
    "s",
    "Time of an agent's run.",
    _RUN_SECONDS,
)
RUN_CALLS: Final = Metric(
    "gen_ai.invoke_agent.inference_calls",
    "gen_ai.invoke_agent.inference_calls",
    "{inference_call}",
    "Model calls of an agent's run, without those of its sub-agents.",
    _COUNTS,
)
RUN_TOOL_CALLS: Final = Metric(
    "gen_ai.invoke_agent.tool_calls",
    "gen_ai.invoke_agent.tool_calls",
    "{tool_call}",
    "Tool calls of an agent's run, without those of its sub-agents.",
    _COUNTS,
)
TOOL_DURATION: Final = Metric(
    "gen_ai.execute_tool.duration",
    "gen_ai.execute_tool.duration",
    "s",
    "Time of a tool call, with its retries.",
    _SECONDS,
)

USAGE_COUNTERS: Final = {
    INPUT_TOKENS: "gen_ai.client.inference.usage.input_tokens",
    OUTPUT_TOKENS: "gen_ai.client.inference.usage.output_tokens",
    CACHE_READ: "gen_ai.client.inference.usage.cache_read.input_tokens",
    CACHE_WRITE: "gen_ai.client.inference.usage.cache_write.input_tokens",
    REASONING: "gen_ai.client.inference.usage.reasoning.output_tokens",
}
"""The counter of each attribute of token counts."""

MODALITY: Final = "gen_ai.token.modality"
UNKNOWN_MODALITY: Final = "unknown"
TOKEN_TYPE: Final = "gen_ai.token.type"
"""The attribute of the old histogram of tokens: `input` or `output`."""

LIVE: Final = Metric("rxagents.live", "rxagents.live", "{operation}", "Operations that run now.")


def provider_name(provider: str, host: str) -> str:
    """Return the conventions' name of a provider, or its own name if they have none."""
    for end, name in HOSTS.items():
        if host == end or host.endswith((f".{end}", f"-{end}")):  # eu-aiplatform.googleapis.com
            return name
    return PROVIDERS.get(provider, provider)
