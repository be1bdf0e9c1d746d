"""Run a ReAct agent with a calculator, and show each of its steps.

RXAGENTS_MODEL=ollama:llama3.2 python examples/react_with_progress.py
"""

import os
from contextlib import suppress

import rxagents
from rxagents import StreamEvent, Thought, Token, ToolEnd, ToolStart
from rxagents.testing import Reply, ScriptedLLM
from rxagents.tools import calculator

MODEL = os.environ.get("RXAGENTS_MODEL")
SCRIPT = (
    Reply('Thought: I calculate.\nAction: calculator(expression="123 * 456")', interval=0.03),
    Reply("Thought: I have the result.\nAnswer: 123 * 456 is 56088.", interval=0.03),
)


def show(event: StreamEvent) -> None:
    """Print an event; the answer's text is printed piece by piece."""
    match event:
        case Thought(content=thought):
            print(f"  thought: {thought}")
        case ToolStart(name=name, arguments=arguments):
            print(f"  {name} {arguments} …")
        case ToolEnd(result=result, duration=seconds):
            print(f"  … {result} ({seconds * 1000:.1f} ms)")
        case Token(content=text, section="answer"):
            print(text, end="", flush=True)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        llm = rxagents.get_model(MODEL) if MODEL else ScriptedLLM(*SCRIPT)
        agent = rxagents.ReActAgent(llm, tools=[calculator], max_iterations=5)
        complete = rxagents.run(agent.run_stream("What is 123 * 456?"), on_next=show)
        print()
        assert isinstance(complete, rxagents.Complete)
        print(f"({complete.iterations} turns, usage: {complete.usage})")
