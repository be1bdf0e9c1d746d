"""Obey the commands of a chat, which begin with a slash."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from msgspec import Struct

from rxagents.cli.chat_session import ChatSession
from rxagents.cli.pieces import printable
from rxagents.core.errors import ConfigurationError

Say: TypeAlias = Callable[[str], None]

_WIDTH = 50
"""How many characters of a conversation's first message a list shows."""


class Command(Struct, frozen=True):
    """A command of a chat.

    Attributes:
        usage: The command with its argument.
        help: What it does.
        obey: Does it; the second argument is what follows the command.
    """

    usage: str
    help: str
    obey: Callable[[ChatSession, str, Say], Awaitable[None]]

    @property
    def name(self) -> str:
        """The command without its argument."""
        return self.usage.split()[0]


class EndOfChat(Exception):  # noqa: N818 - it is no error
    """The person has ended the chat."""


async def obey(session: ChatSession, line: str, say: Say) -> None:
    """Obey a line that begins with a slash.

    Args:
        session: The chat.
        line: The line.
        say: Shows a line to the person.

    Raises:
        EndOfChat: The line ends the chat.
        RxAgentsError: The command failed.
    """
    name, _, argument = line.strip().partition(" ")
    command = COMMANDS.get(_SYNONYMS.get(name, name))
    if command is None:
        raise ConfigurationError(f"There is no command {name}: /help lists them.")
    argument = argument.strip()
    if " " in command.usage and "[" not in command.usage and not argument:
        raise ConfigurationError(f"Write {command.usage}.")
    await command.obey(session, argument, say)


async def _help(_: ChatSession, __: str, say: Say) -> None:
    for command in COMMANDS.values():
        say(f"{command.usage:<16}{command.help}")
    say("While an answer runs, a message that you type is added to the run: the model sees it in")
    say(
        "its next turn. Ctrl-C stops the answer. Alt-Enter begins a new line, Ctrl-D ends the chat."
    )


async def _exit(_: ChatSession, __: str, ___: Say) -> None:
    raise EndOfChat


async def _new(session: ChatSession, _: str, say: Say) -> None:
    session.stop()
    session.begin()
    say(f"New conversation: {session.conversation_id}")


async def _list(session: ChatSession, _: str, say: Say) -> None:
    found = await session.listed()
    for key, text in found:
        first = " ".join(printable(text).split())
        mark = "*" if key == session.conversation_id else " "
        say(f"{mark} {key}  {first if len(first) <= _WIDTH else first[: _WIDTH - 1] + '…'}")
    if not found:
        say("No conversations yet.")


async def _open(session: ChatSession, argument: str, say: Say) -> None:
    session.stop()
    count = await session.open(argument)
    say(f"Conversation {session.conversation_id}: {count} questions so far.")


async def _model(session: ChatSession, argument: str, say: Say) -> None:
    if argument:
        session.set_model(argument)
    say(f"Model: {session.title}")


async def _system(session: ChatSession, argument: str, say: Say) -> None:
    if argument:
        session.set_system(argument)
    say(f"System prompt: {session.info.system or 'none'}")


async def _attach(session: ChatSession, argument: str, say: Say) -> None:
    session.attach(argument, as_text=False)
    say(f"Attached to the next message: {argument}")


async def _file(session: ChatSession, argument: str, say: Say) -> None:
    session.attach(argument, as_text=True)
    say(f"Put before the next message: {argument}")


async def _now(session: ChatSession, argument: str, say: Say) -> None:
    if not session.steer(argument, now=True):
        raise ConfigurationError("No answer runs: type the message without /now.")
    say("The answer is interrupted.")


async def _stop(session: ChatSession, _: str, __: Say) -> None:
    session.stop()


COMMANDS = {
    command.name: command
    for command in (
        Command("/help", "this list", _help),
        Command("/exit", "end the chat", _exit),
        Command("/new", "begin a new conversation", _new),
        Command("/list", "the last conversations", _list),
        Command("/open ID", "continue another conversation", _open),
        Command("/model [MODEL]", "show or change the model", _model),
        Command("/system [TEXT]", "show or change the system prompt", _system),
        Command("/attach PATH", "attach an image or a document to the next message", _attach),
        Command("/file PATH", "put a text file before the next message", _file),
        Command("/now TEXT", "interrupt the answer with a message", _now),
        Command("/stop", "stop the answer", _stop),
    )
}

_SYNONYMS = {"/quit": "/exit", "/bye": "/exit", "/?": "/help"}
