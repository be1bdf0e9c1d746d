"""An agent made of operators only: the model, its tools and its turns in one pipe.

RXAGENTS_MODEL=openai:gpt-5-mini python examples/agent_from_operators.py
"""

import os
from collections.abc import Iterator

import reactivex as rx
from reactivex import Observable
from reactivex import operators as rx_ops

import rxagents
from rxagents import Message, Response, StreamChunk, ToolCall, ToolEnd
from rxagents import operators as ops
from rxagents.testing import Reply, ScriptedLLM
from rxagents.tools import calculator

MODEL = os.environ.get("RXAGENTS_MODEL")
CALL = ToolCall("call_1", "calculator", '{"expression": "123 * 456"}')
SCRIPT = (Reply("I calculate. ", tool_calls=[CALL]), Reply("It is 56088.", interval=0.03))


def agent(llm: rxagents.StreamingLLM, task: str) -> Observable[object]:
    """Return a run: turns of the model and its tools, until a turn calls none."""
    messages = [Message.user(task)]

    def turn() -> Observable[object]:
        """One answer, its tools at work while it comes, and what is noted of both."""
        folded: list[Response] = []
        ends: dict[str, ToolEnd] = {}

        def note(item: object) -> None:
            if isinstance(item, ToolEnd):
                ends[item.call_id] = item

        def remember() -> None:
            messages.append(folded[0].message)
            calls = folded[0].tool_calls
            messages.extend(Message.tool(call.id, ends[call.id].result) for call in calls)

        chunks = llm.chat_stream(messages, tools=[calculator]).pipe(ops.share_bounded())
        answer = chunks.pipe(ops.collect(), rx_ops.do_action(folded.append))
        events = chunks.pipe(ops.run_tools([calculator]), rx_ops.do_action(note))
        return rx.merge(answer, events).pipe(rx_ops.do_action(on_completed=remember))

    def turns() -> Iterator[Observable[object]]:
        while messages[-1].role != "assistant":
            yield turn()

    return rx.defer(lambda _: rx.concat_with_iterable(turns()))


if __name__ == "__main__":
    model = rxagents.get_model(MODEL) if MODEL else ScriptedLLM(*SCRIPT)
    run = agent(model, "What is 123 * 456?").pipe(ops.of_type(StreamChunk), ops.text())
    rxagents.run(run, on_next=lambda text: print(text, end="", flush=True))
    print()
