"""Define `rxagents chat`."""

from __future__ import annotations

import sys
from typing import Any

import click

from rxagents.cli.approval import approvals_by
from rxagents.cli.asking import place_of
from rxagents.cli.chat_lines import LineChat
from rxagents.cli.chat_session import ChatSession
from rxagents.cli.config import read_config
from rxagents.cli.failures import report
from rxagents.cli.log import Log
from rxagents.cli.question import Options, make_question
from rxagents.cli.shared_options import question_options
from rxagents.cli.signals import StopSignals
from rxagents.cli.views import at_terminal, text_view
from rxagents.core.errors import RxAgentsError

_EXAMPLES = """\b
Examples:
  rxagents chat -m openai:gpt-5-mini
  rxagents chat -c                          continue the last conversation
  rxagents chat -T calculator -T mytools:search
  rxagents chat --agent myagents:helper
  rxagents chat -f notes.txt "What is missing here?"
"""


@click.command(epilog=_EXAMPLES)
@click.argument("prompt", nargs=-1)
@question_options
@click.option("--plain", is_flag=True, help="Do not render Markdown at a terminal.")
@click.option(
    "-n/ ",
    "--no-log/--log",
    "no_log",
    default=None,
    help="Do not log, or log although it is switched off.",
)
@click.pass_obj
def chat(
    stop: StopSignals,
    /,
    prompt: tuple[str, ...],
    plain: bool,
    no_log: bool | None,
    goes_on: bool,
    conversation: str | None,
    **options: Any,
) -> int:
    """Chat with a model or an agent; PROMPT is the first message.

    Ctrl-C stops an answer, Ctrl-D ends the chat, /help lists the commands. A message that is typed
    while an answer runs is seen by the model in its next turn. Tools that need approval are asked
    about. Without a terminal, each line of stdin is a message.
    """
    options["agent"] = options["agent"] or "function"

    async def work() -> None:
        config = read_config()
        logs = Log().is_on if no_log is None else not no_log
        markdown = config.markdown and not plain
        async with place_of(
            goes_on=goes_on, conversation=conversation, logs=logs, probes=True
        ) as place:
            question = make_question(Options(**options), " ".join(prompt), config, place.last)
            session = ChatSession(question, config, place.store, place.conversation_id)
            try:
                await session.load(place.start)
                session.attached += question.parts
                # Files alone wait for the first message; with a prompt they are sent at once.
                last = session.attached[-1:] if prompt or options["template"] else []
                first = last[0] if last and isinstance(last[0], str) else ""
                if first:
                    session.attached.pop()
                if sys.stdin is not None and sys.stdin.isatty() and at_terminal():
                    # imported here: prompt_toolkit would double the start time of all commands
                    from rxagents.cli.chat_screen import ChatScreen

                    history = Log().folder / "history" if place.store is not None else None
                    screen = ChatScreen(session, stop, markdown=markdown, history=history)
                    with approvals_by(screen.ask_line):
                        await screen.chat(first)
                else:
                    lines = LineChat(session, lambda: text_view(markdown=markdown), stop)
                    with approvals_by(lines.ask_line):
                        await lines.chat(first)
            finally:
                await session.aclose()

    try:
        stop.run(work())
    except RxAgentsError as error:
        return report(error)
    return 0
