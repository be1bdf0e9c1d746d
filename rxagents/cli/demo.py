"""Run the demonstration: an agent, a stream that is stopped, and two models in one pipe.

The code that is shown is the source of the functions that run, so that neither can be out of date.
The comment at the end of a line is what is shown beside it.
"""

from __future__ import annotations

import asyncio
import inspect
import textwrap
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import aiohttp
import reactivex as rx
from reactivex import Observable
from reactivex import operators as rx_ops
from reactivex.abc import DisposableBase
from rich.console import Console
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from rxagents import operators as ops
from rxagents.agents.react import ReActAgent
from rxagents.cli.pieces import Item
from rxagents.cli.signals import StopSignals
from rxagents.cli.streaming import show
from rxagents.cli.summary import summary
from rxagents.cli.views import View
from rxagents.core.chunks import StreamChunk
from rxagents.core.events import StreamEvent, Token
from rxagents.core.usage import Usage
from rxagents.providers.openai import OpenAI
from rxagents.testing import Reply, ScriptedServer
from rxagents.tools import calculator

TASK = "How many seconds does a leap year have?"

_QUESTION = "Why is the sky blue?"

_THINK = """\
Thought: A leap year has 366 days of 24 hours, each with 60 minutes of 60 seconds. I calculate \
that with a tool.
Action: calculator(expression="366 * 24 * 60 * 60")"""

_ANSWER = """\
Thought: That is the number.
Answer: A leap year has 31,622,400 seconds, 86,400 more than a common year."""

_STORY = """\
Once upon a time there was a model that never came to an end. It told of a river, and of the hills \
behind the river, and of the people on the hills, and of the words of the people, and of each \
letter of each word, and nobody who listened had a way to make it stop, except for """

_QUICK = """\
Air scatters blue light more than red light. So blue reaches your eyes from all sides."""

_LISTENING = 1.5
"""Seconds after which the story is stopped."""

_NEXT = (
    ('rxagents ask -m scripted: "Hello"', "needs no key"),
    ('rxagents ask -m openai:gpt-5-mini "Why is the sky blue?"', "reads OPENAI_API_KEY"),
    ("git diff | rxagents ask -m ollama:llama3.2 'Sum it up.'", "model on this machine"),
    ("rxagents chat -m openai:gpt-5-mini -T calculator", "with a tool"),
    ("rxagents ask --help", "all of it"),
)


def _agent(llm: OpenAI) -> Observable[StreamEvent]:
    agent = ReActAgent(llm, [calculator])  # a model, and a tool that it may call
    events = agent.run_stream(TASK)  # nothing is sent before subscribe
    return events  # noqa: RET504 - the demo shows this code with the name


def _story(llm: OpenAI, show: Callable[[Item], None]) -> DisposableBase:
    story = llm.chat_stream("Tell me a story.")  # one request, not sent yet
    subscription = story.subscribe(show)  # sends it
    return subscription  # noqa: RET504 - the demo shows this code with the name


def _race(quick: Observable[StreamChunk], careful: Observable[StreamChunk]) -> Observable[str]:
    answer = rx.amb(quick, careful)  # the first one that answers
    sentences = answer.pipe(
        ops.text(),  # its words
        ops.split_sentences(),  # each sentence when it ends
    )
    return sentences  # noqa: RET504 - the demo shows this code with the name


async def show_demo(console: Console, view: Callable[[], View], stop: StopSignals) -> None:
    """Show the three acts over local HTTP.

    Args:
        console: Shows the titles, the code and what was measured.
        view: Returns the view of one stream.
        stop: The handler of stop signals.
    """
    # The models' own sessions would use the user's proxy.
    async with aiohttp.ClientSession() as session:
        await _show_agent(session, console, view(), stop)
        await _show_dispose(session, console, view(), stop)
        await _show_race(session, console, view(), stop)
    _show_next(console)


async def _show_agent(
    session: aiohttp.ClientSession, console: Console, view: View, stop: StopSignals
) -> None:
    _show_title(console, "1. An agent thinks and calls a tool")
    _show_code(console, _agent)
    console.print(f"Task: {TASK}\n", style="bold")
    server = ScriptedServer(_reply(_THINK, 180), _reply(_ANSWER, 240))
    async with _model(server, session) as llm:
        measured = await show(_agent(llm), view, stop)
    console.print()
    console.print(summary(measured))


async def _show_dispose(
    session: aiohttp.ClientSession, console: Console, view: View, stop: StopSignals
) -> None:
    _show_title(console, "2. A long answer is stopped in the middle")
    _show_code(console, _story)
    server = ScriptedServer(Reply(_STORY * 50, interval=0.03))
    async with _model(server, session) as llm:
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        with view as show_item:

            def show_or_end(item: Item) -> None:
                try:
                    with stop.at_once():
                        show_item(item)
                except BaseException as error:  # the reader closed the pipe, or a signal came
                    subscription.dispose()
                    ended.set_exception(error)

            subscription = _story(llm, show_or_end)
            try:
                await asyncio.wait([ended], timeout=_LISTENING)
            finally:
                disposed_at = time.perf_counter()
                subscription.dispose()
            if ended.done():
                ended.result()
        await server.disconnected()
        after = time.perf_counter() - disposed_at
    console.print(
        f"\nsubscription.dispose(): the server saw the close after {_milliseconds(after)}.",
        style="bold green",
        highlight=False,
    )


async def _show_race(
    session: aiohttp.ClientSession, console: Console, view: View, stop: StopSignals
) -> None:
    _show_title(console, "3. Two models, one pipe")
    _show_code(console, _race)
    console.print(f"Question: {_QUESTION}\n", style="bold")
    quick = ScriptedServer(Reply(_QUICK, delay=0.4, interval=0.03))
    careful = ScriptedServer(Reply("Let me think.", delay=30))
    async with _model(quick, session) as first, _model(careful, session) as second:
        times: list[float] = []

        async def closed() -> float:
            await careful.disconnected()
            return time.perf_counter()

        closing = asyncio.create_task(closed())
        try:
            winner = first.chat_stream(_QUESTION).pipe(
                rx_ops.do_action(lambda _: times.append(time.perf_counter()))
            )
            sentences = _race(winner, second.chat_stream(_QUESTION))
            await show(sentences.pipe(rx_ops.map(Token)), view, stop)
            after = await closing - times[0]
        finally:
            closing.cancel()
    console.print(
        "\nThe quick model won: the server of the other one saw the close "
        f"{_milliseconds(after)} after the first word.",
        style="bold green",
        highlight=False,
    )


@asynccontextmanager
async def _model(server: ScriptedServer, session: aiohttp.ClientSession) -> AsyncIterator[OpenAI]:
    async with server:
        yield OpenAI("demo", api_key="demo", base_url=server.url, session=session)


def _reply(text: str, tokens: int) -> Reply:
    count = len(text.split())
    usage = Usage(input_tokens=tokens, output_tokens=count, total_tokens=tokens + count)
    return Reply(text, usage=usage, delay=0.2, interval=0.02)


def _show_title(console: Console, title: str) -> None:
    console.print()
    console.rule(Text(title), align="left", style="dim")
    console.print()


def _show_code(console: Console, function: Callable[..., object]) -> None:
    """Print the body of a function without its `return`, with the comments beside the code."""
    lines = inspect.getsource(function).splitlines()
    body = lines[next(n for n, line in enumerate(lines) if line.endswith(":")) + 1 : -1]
    pairs = [line.partition("  # ") for line in textwrap.dedent("\n".join(body)).splitlines()]
    grid = Table.grid(padding=(0, 3))
    grid.add_column(no_wrap=True, min_width=max(len(code) for code, _, _ in pairs))
    for code, _, comment in pairs:
        shown = Syntax("", "python", theme="ansi_dark").highlight(code)
        shown.rstrip()
        grid.add_row(shown, Text(comment, "italic dim"))
    console.print(grid)
    console.print()


def _show_next(console: Console) -> None:
    _show_title(console, "What to type next")
    grid = Table.grid(padding=(0, 3))
    grid.add_column(no_wrap=True, min_width=max(len(command) for command, _ in _NEXT))
    for command, remark in _NEXT:
        grid.add_row(Text(command, "cyan"), Text(remark, "dim"))
    console.print(grid)


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"
