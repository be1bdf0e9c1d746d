"""Ask the person at the terminal whether a tool may run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from rxagents.cli.pieces import printable
from rxagents.core.approval import Approve, Decision, Deny
from rxagents.core.messages import ToolCall

AskLine: TypeAlias = Callable[[str], Awaitable[str]]
"""Shows a question, and returns the line that the person types."""

_asking: list[AskLine] = []
"""How the running chat asks; empty while none runs."""


async def ask_user(call: ToolCall) -> Decision:
    """Ask the person at `rxagents chat` about a tool call; an `approve` function of agents.

    The agents of `rxagents chat` have it. Give it to an agent of your own that `--agent` names::

        agent = FunctionAgent(llm, tools=[refund], approve=ask_user)

    Without a running chat the call is refused.
    """
    if not _asking:
        return Deny("nobody is there to approve it: the agent does not run in 'rxagents chat'")
    what = printable(f"{call.name} {call.arguments}")
    said = (await _asking[-1](f"May {what} run? y = yes, n = no, or why not: ")).strip()
    if said.casefold() in {"y", "yes"}:
        return Approve()
    return Deny("" if said.casefold() in {"", "n", "no"} else said)


@contextmanager
def approvals_by(ask: AskLine) -> Iterator[None]:
    """Let `ask_user` ask with `ask` in the block."""
    _asking.append(ask)
    try:
        yield
    finally:
        _asking.remove(ask)
