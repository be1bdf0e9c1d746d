"""Send a second request when the first is slow to begin, and keep the faster one.

RXAGENTS_MODEL=openai:gpt-5-mini python examples/hedged_requests.py
"""

import os
import time
from contextlib import suppress

import rxagents
from rxagents import operators as ops
from rxagents.testing import Reply, ScriptedLLM

MODEL = os.environ.get("RXAGENTS_MODEL")
SLOW_START = Reply("Late: this answer took its time.", delay=0.5)
QUICK = Reply("Quick: this one did not.", interval=0.01)


def first_text(hedged: bool) -> tuple[str, float]:
    """Return an answer's first piece of text, and the seconds until it came."""
    llm = rxagents.get_model(MODEL) if MODEL else ScriptedLLM(SLOW_START, QUICK)
    stream = llm.chat_stream("Say something short.")
    if hedged:  # the stream is cold, so the second subscription is a second request
        stream = stream.pipe(ops.hedge(stream, after=1.0 if MODEL else 0.1))
    start = time.perf_counter()
    with rxagents.to_iter(stream.pipe(ops.text())) as texts:
        return next(texts), time.perf_counter() - start  # leaving the block closes the request


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        for hedged in (False, True):
            text, seconds = first_text(hedged)
            kind = "two requests" if hedged else "one request "
            print(f"{kind}: {text!r} after {seconds:.2f} s", flush=True)
