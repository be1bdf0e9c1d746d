"""Give an agent the tools of an MCP server: this program is both of them."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import suppress

import rxagents
from rxagents.mcp import serve_stdio
from rxagents.testing import Reply, ScriptedLLM

SERVER = [sys.executable, __file__, "serve"]  # any other: ["uvx", "mcp-server-time"], or its URL


@rxagents.tool
async def forecast(city: str) -> AsyncIterator[str]:
    """Return tomorrow's weather in a city."""
    yield "asking the satellite"
    yield f"{city}: rain, 7 degrees."


def model() -> rxagents.StreamingLLM:
    """Return the model: a script, or the one that is named."""
    if name := os.environ.get("RXAGENTS_MODEL"):
        return rxagents.get_model(name)
    call = rxagents.ToolCall("call_1", "forecast", '{"city": "Oslo"}')
    return ScriptedLLM(Reply(tool_calls=[call]), "Take an umbrella.")


async def main() -> None:
    """Run the agent with the tools of the server."""
    async with rxagents.mcp_tools(SERVER) as tools:
        agent = rxagents.FunctionAgent(model(), [tools])
        task = "What do I need in Oslo tomorrow?"
        async with rxagents.to_aiter(agent.run_stream(task)) as events:
            async for event in events:
                if event.type in {"tool_start", "tool_progress", "tool_end", "answer"}:
                    print(f"{event.type}: {event.content}")


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        is_server = "serve" in sys.argv
        asyncio.run(serve_stdio(rxagents.mcp_server(forecast)) if is_server else main())
