"""Tool calls of a conversation in a form that the API of a wire accepts.

A conversation may contain calls that another provider's model made: ids such as `functions.f:0`,
ids that repeat in every turn, names that the model invented, arguments that are no JSON. An API
refuses a whole request for one of them. So a call is sent with an id and a name that fit, and its
result with the same ones. The conversation itself keeps what was received; the same call is sent
in the same form with every request, which keeps the provider's prompt cache valid.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import Any

import msgspec
from msgspec import Struct

from rxagents.core.errors import ToolArgumentsError
from rxagents.core.json_text import is_json
from rxagents.core.messages import Message, ToolCall, ToolResult
from rxagents.core.surrogates import replace_surrogates


class IdRule(Struct, frozen=True):
    """Which ids of calls an API accepts, and how to make one.

    Attributes:
        pattern: A regular expression that matches an accepted id.
        prefix: The beginning of an id that is made.
        digits: How many hexadecimal digits follow the prefix.
    """

    pattern: str
    prefix: str = "call_"
    digits: int = 24


ANY_ID = IdRule(r"\S(.*\S)?")
"""Every id that is not blank."""


class SentCalls:
    """The ids and names with which the calls of one request are sent.

    Call `sent` for each call that is not cut, and `answered` for each result, in the order of the
    conversation.

    Args:
        rule: Which ids the API accepts.
        messages: The conversation, to find the calls that were cut.
    """

    def __init__(self, rule: IdRule = ANY_ID, messages: Sequence[Message] = ()) -> None:
        self._rule = rule
        self._cut = {id(call) for call in _cut_calls(messages)}
        self._pattern = re.compile(rule.pattern, re.ASCII)
        self._used: set[str] = set()
        self._made_of: dict[str, int] = {}
        self._waiting: dict[str, list[tuple[str, str]]] = {}
        self._last: dict[str, tuple[str, str]] = {}
        self._answering = False

    def is_cut(self, call: ToolCall) -> bool:
        """Return whether the response ended inside a call: APIs refuse calls without results."""
        return id(call) in self._cut

    def sent(self, call: ToolCall) -> tuple[str, str]:
        """Return the id and the name to send with a call; no two calls have the same id."""
        if self._answering:
            self._waiting = {}
            self._answering = False
        sent_id = call.id
        while sent_id in self._used or not self._fits(sent_id):
            number = self._made_of[call.id] = self._made_of.get(call.id, -1) + 1
            sent_id = self._made(call.id, number)
        self._used.add(sent_id)
        name = fitting_name(call.name)
        self._waiting.setdefault(call.id, []).append((sent_id, name))
        self._last[call.id] = sent_id, name
        return sent_id, name

    def answered(self, result: ToolResult) -> tuple[str, str]:
        """Return the id and the name to send with a result: those of its call.

        Results with the same id belong to the calls with that id in their order. The name is empty
        if neither the call nor the result has one.
        """
        self._answering = True
        waiting = self._waiting.get(result.call_id)
        if waiting:
            return waiting.pop(0) if len(waiting) > 1 else waiting[0]
        if result.call_id in self._last:
            return self._last[result.call_id]
        fits = self._fits(result.call_id)
        sent_id = result.call_id if fits else self._made(result.call_id, 0)
        return sent_id, fitting_name(result.name) if result.name else ""

    def _fits(self, call_id: str) -> bool:
        # Halves of characters cannot be encoded; they are not printable, as control characters.
        return call_id.isprintable() and self._pattern.fullmatch(call_id) is not None

    def _made(self, call_id: str, number: int) -> str:
        data = f"{number}:{call_id}".encode("utf-8", "replace")
        return self._rule.prefix + blake2b(data).hexdigest()[: self._rule.digits]


def _cut_calls(messages: Sequence[Message]) -> Iterator[ToolCall]:
    """Yield the calls that have neither whole arguments nor a result, though more follows.

    A whole call without a result is the caller's mistake, which the API explains.
    """
    answered: set[str] = set()
    last = messages[-1] if messages else None
    for message in reversed(messages):
        if message.role == "tool":
            answered.update(part.call_id for part in message.parts if isinstance(part, ToolResult))
        elif message.role == "assistant":
            for call in message.tool_calls if message is not last else ():
                if call.id not in answered and not is_json(call.arguments):
                    yield call
            answered.clear()


def fitting_name(name: str) -> str:
    """Return a tool's name in a form that all APIs accept.

    Tools have such names. A model may invent others, and must see its call of one again together
    with the error result that it got.
    """
    fitting = re.sub(r"[^a-zA-Z0-9_-]", "_", name)[:64]
    return fitting or "unknown_tool"


def arguments_of(call: ToolCall) -> dict[str, Any]:
    """Return a call's arguments as an object.

    If the model wrote something other than a JSON object, its text is the only field,
    `invalid_json`: the call must be sent back together with the error result that it got.
    """
    try:
        return call.parse()
    except ToolArgumentsError:
        return {"invalid_json": replace_surrogates(call.arguments)}


def arguments_text_of(call: ToolCall) -> str:
    """Return a call's arguments as the text of a JSON object; see `arguments_of`.

    Hosts refuse other text, or fail: templates of models read the arguments as JSON.
    """
    try:
        call.parse()
    except ToolArgumentsError:
        return msgspec.json.encode(arguments_of(call)).decode()
    return call.arguments.strip() or "{}"
