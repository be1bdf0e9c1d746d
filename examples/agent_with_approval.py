"""Let a person approve a tool's calls: the run ends when calls wait, and goes on afterwards.

RXAGENTS_MODEL=openai:gpt-5-mini python examples/agent_with_approval.py
"""

import asyncio
import os
from contextlib import suppress

import rxagents
from rxagents import Deny, ToolCall, ToolResult
from rxagents.testing import Reply, ScriptedLLM

MODEL = os.environ.get("RXAGENTS_MODEL")
CALLS = (
    ToolCall("call_1", "refund", '{"order": "A1", "amount": 20}'),
    ToolCall("call_2", "refund", '{"order": "B2", "amount": 5000}'),
)
SCRIPT = (Reply(tool_calls=CALLS), Reply("I did what I was allowed to do."))


@rxagents.tool(requires_approval=True)
def refund(order: str, amount: int) -> str:
    """Refund an order."""
    return f"refunded {amount} for {order}"


def decide(call: ToolCall) -> bool | Deny:
    """Ask the person in front of the terminal."""
    try:
        answer = input(f"{call.name} {call.arguments}? [y/N] ").strip()
    except EOFError:
        answer = ""
    return answer.lower() == "y" or Deny(f"the user said {answer or 'no'}")


def main() -> None:
    """Run until no call waits; between the runs nothing is open, and a day may pass."""
    llm = rxagents.get_model(MODEL) if MODEL else ScriptedLLM(*SCRIPT)
    agent = rxagents.FunctionAgent(llm, tools=[refund], approve="defer")
    result = asyncio.run(agent.run("Refund 20 for order A1 and 5000 for order B2."))
    while result.pending:
        decisions = {call.id: decide(call) for call in result.pending}
        result = asyncio.run(agent.resume(result.messages, decisions))
    for message in result.messages:
        for part in message.parts:
            if isinstance(part, ToolResult):
                print(f"{part.call_id}: {part.content}")
    print(result.output)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main()
