"""Stream an agent's run to a browser with aiohttp, as server-sent events.

RXAGENTS_MODEL=openai:gpt-5-mini python examples/browser_aiohttp.py
"""

import os

import msgspec
from aiohttp import web

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


async def show_page(_: web.Request) -> web.Response:
    """Send the page."""
    return web.Response(text=PAGE, content_type="text/html")


def make_app() -> web.Application:
    """Make the application: one agent serves all requests."""
    agent = rxagents.FunctionAgent(rxagents.get_model(MODEL) if MODEL else ScriptedLLM(SCRIPT))

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        async with rxagents.to_aiter(agent.run_stream(request.query["question"])) as events:
            async for event in events:  # a slow browser slows the model's stream down
                await response.write(b"data: " + msgspec.json.encode(event) + b"\n\n")
        return response

    app = web.Application()
    app.add_routes([web.get("/", show_page), web.get("/answer", answer)])
    return app


if __name__ == "__main__":
    web.run_app(make_app(), host="127.0.0.1", port=int(os.environ.get("PORT", "8080")))
