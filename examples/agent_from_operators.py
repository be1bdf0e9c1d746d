"""Build an agent from operators only: the model, its tools and its turns in one pipe.

RXAGENTS_MODEL=openai:gpt-5-mini python examples/agent_from_operators.py
"""

import os
from collections.abc import Iterator
from contextlib import suppress

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
    """Return a run: turns of the model and its tools, until a turn has no tool call."""
    messages = [Message.user(task)]

    def turn() -> Observable[object]:  # one response, whose tools run while it streams
        responses: list[Response] = []
        ends: dict[str, ToolEnd] = {}

        def store(item: object) -> None:
            if isinstance(item, ToolEnd):
                ends[item.call_id] = item

        def extend_messages() -> None:
            messages.append(responses[0].message)
            calls = responses[0].tool_calls
            messages.extend(Message.tool(call.id, ends[call.id].result) for call in calls)

        chunks = llm.chat_stream(messages, tools=[calculator]).pipe(ops.share_bounded())
        response = chunks.pipe(ops.collect(), rx_ops.do_action(responses.append))
        events = chunks.pipe(ops.run_tools([calculator]), rx_ops.do_action(store))
        return rx.merge(response, events).pipe(rx_ops.do_action(on_completed=extend_messages))

    def turns() -> Iterator[Observable[object]]:
        while messages[-1].role != "assistant":
            yield turn()

    return rx.defer(lambda _: rx.concat_with_iterable(turns()))


if __name__ == "__main__":
    model = rxagents.get_model(MODEL) if MODEL else ScriptedLLM(*SCRIPT)
    text = agent(model, "What is 123 * 456?").pipe(ops.of_type(StreamChunk), ops.text())
    with suppress(KeyboardInterrupt):
        rxagents.run(text, on_next=lambda piece: print(piece, end="", flush=True))
        print()
