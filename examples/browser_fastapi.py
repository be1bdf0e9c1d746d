"""Stream an agent's run to a browser with FastAPI, as server-sent events.

RXAGENTS_MODEL=openai:gpt-5-mini uvicorn examples.browser_fastapi:app
"""

import os
from collections.abc import AsyncIterator

import msgspec
from fastapi import FastAPI
from fastapi.responses import HTMLResponse, StreamingResponse

import rxagents
from rxagents.testing import Reply, ScriptedLLM

MODEL = os.environ.get("RXAGENTS_MODEL")
SCRIPT = Reply("The sky scatters blue light more than red light.", interval=0.1)
PAGE = """<!doctype html><meta charset="utf-8"><title>rxagents</title>
<form><input name="question" value="Why is the sky blue?"> <button>Ask</button></form><p></p>
<script>
const form = document.forms[0], out = document.querySelector("p");
let events;
form.onsubmit = (submit) => {
  submit.preventDefault();
  events?.close();  // the server closes the request to the model
  out.textContent = "";
  events = new EventSource("/answer?question=" + encodeURIComponent(form.question.value));
  events.onmessage = (message) => {
    const event = JSON.parse(message.data);
    if (event.type === "token") out.textContent += event.content;
    if (event.type === "complete" || event.type === "error") events.close();
  };
};
</script>"""

app = FastAPI()
agent = rxagents.FunctionAgent(rxagents.get_model(MODEL) if MODEL else ScriptedLLM(SCRIPT))


@app.get("/")
async def show_page() -> HTMLResponse:
    """Send the page."""
    return HTMLResponse(PAGE)


@app.get("/answer")
async def answer(question: str) -> StreamingResponse:
    """Send the events of a run; when the browser leaves, the run and its request end."""

    async def encoded() -> AsyncIterator[bytes]:
        async with rxagents.to_aiter(agent.run_stream(question)) as events:
            async for event in events:  # a slow browser slows the model's stream down
                yield b"data: " + msgspec.json.encode(event) + b"\n\n"

    return StreamingResponse(encoded(), media_type="text/event-stream")
