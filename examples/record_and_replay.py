"""Record a model's stream in a file, and play it back: the same chunks, without a request.

RXAGENTS_MODEL=openai:gpt-5-mini python examples/record_and_replay.py
"""

import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import reactivex as rx

import rxagents
from rxagents import StreamChunk
from rxagents import operators as ops
from rxagents.testing import Reply, ScriptedLLM

MODEL = os.environ.get("RXAGENTS_MODEL")
SCRIPT = Reply("A recording keeps the chunks and their times.", interval=0.05)


def show(stream: rx.Observable[StreamChunk]) -> None:
    """Print the text as it comes, and how long it took."""
    start = time.perf_counter()
    text = stream.pipe(ops.text())
    rxagents.run(text, on_next=lambda piece: print(piece, end="", flush=True))
    print(f" ({time.perf_counter() - start:.2f} s)")


if __name__ == "__main__":
    llm = rxagents.get_model(MODEL) if MODEL else ScriptedLLM(SCRIPT)
    with tempfile.TemporaryDirectory() as folder, suppress(KeyboardInterrupt):
        path = Path(folder) / "answer.jsonl"
        show(llm.chat_stream("What is a recording?").pipe(ops.record(path)))
        show(rxagents.from_recording(path, StreamChunk))
        show(rxagents.from_recording(path, StreamChunk, speed=5))
        lines = path.read_text().splitlines()
        print(f"{len(lines)} chunks; the first is {lines[0]}")
