"""Renders the messages of a conversation as turns of content blocks."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from operator import attrgetter
from typing import Any

from rxagents.core.errors import ConfigurationError
from rxagents.core.messages import (
    FilePart,
    ImagePart,
    Message,
    Part,
    ReasoningPart,
    TextPart,
    ToolCall,
    ToolResult,
)
from rxagents.wire.anthropic.events import WIRE
from rxagents.wire.base64_data import is_data_url, split_data_url, to_base64
from rxagents.wire.original_items import Reference, ResolvedItem, resolve_items
from rxagents.wire.sent_calls import IdRule, SentCalls, arguments_of

# Theory of operation
#
# The API refuses a whole request for one block, in particular for
#
# - text of white space only, and white space at the end of a last turn of the assistant
# - thinking without its signature, and thinking as the last block of a turn
# - a block of a hosted tool without the block of its result, and a result without its call; only a
#   response that paused may go back so, as the last turn, to be continued
# - ids of calls with other characters than letters, digits, "_" and "-", and an id that repeats
#
# Models produce all of these: text before a call is often two line ends, a response may be cut at
# any block, and calls may come from another provider. So such blocks are left out here, and ids
# are replaced. Blocks that are sent back stay unchanged and in order, as signatures require.

_CALL_IDS = IdRule(r"[a-zA-Z0-9_-]+", "toolu_")

_THINKING = ("thinking", "redacted_thinking")


def render_system(messages: tuple[Message, ...]) -> list[dict[str, Any]]:
    """Return the blocks of all system messages."""
    calls = SentCalls()
    parts = [part for message in messages if message.role == "system" for part in message.parts]
    return [_content(part, calls) for part in parts if not _is_blank(part)]


def render_turns(messages: tuple[Message, ...]) -> list[dict[str, Any]]:
    """Return alternating turns; in a user's turn the tool results come first.

    Raises:
        ConfigurationError: No message has content that the API accepts.
    """
    calls = SentCalls(_CALL_IDS, messages)
    turns: list[dict[str, Any]] = []
    conversation = [message for message in messages if message.role != "system"]
    for role, group in groupby(conversation, _role):
        together = list(group)
        content = [block for message in together for block in _blocks(message, calls)]
        if role == "assistant":
            content = _accepted(content, is_last=together[-1] is conversation[-1])
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += content
        elif content:
            turns.append({"role": role, "content": content})
    if not turns:
        raise ConfigurationError(
            "No message has content that Anthropic's API accepts: it refuses a text that is empty "
            "or white space only. Send a user message with text."
        )
    for turn in turns:
        turn["content"].sort(key=lambda block: block.get("type") != "tool_result")
    return turns


def _role(message: Message) -> str:
    return "assistant" if message.role == "assistant" else "user"


def _blocks(message: Message, calls: SentCalls) -> Iterator[dict[str, Any]]:
    if message.role == "assistant":
        yield from _assistant(message, calls)
    else:
        yield from (_content(part, calls) for part in message.parts if not _is_blank(part))


def _is_blank(part: Part) -> bool:
    return isinstance(part, TextPart) and not part.text.strip()


def _accepted(content: list[dict[str, Any]], *, is_last: bool) -> list[dict[str, Any]]:
    """Return the blocks of an assistant's turn without those that the API refuses there."""
    if not is_last:
        content = list(_whole_pairs(content))
    while content and content[-1].get("type") in _THINKING:
        content.pop()
    if is_last and content and content[-1].get("type") == "text":
        content[-1] = {**content[-1], "text": content[-1]["text"].rstrip()}
    return content


def _whole_pairs(content: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the blocks without calls of hosted tools without results, and the reverse."""
    results = {block["tool_use_id"] for block in content if "tool_use_id" in block}
    uses = {block["id"] for block in content if "id" in block}
    for block in content:
        kind = str(block.get("type"))
        is_answered = kind == "tool_use" or block.get("id") in results
        if kind.endswith("tool_use") and not is_answered:
            continue
        if "tool_use_id" in block and block["tool_use_id"] not in uses:
            continue
        yield block


def _content(part: Part, calls: SentCalls) -> dict[str, Any]:
    return {**_block(part, calls), **part.provider_data.get(WIRE, {})}


def _block(part: Part, calls: SentCalls) -> dict[str, Any]:
    match part:
        case TextPart():
            return {"type": "text", "text": part.text}
        case ImagePart(url=url) if url and not is_data_url(url):
            return {"type": "image", "source": {"type": "url", "url": url}}
        case ImagePart(url=url) if url:
            kind, data = split_data_url(url)
            source = {"type": "base64", "media_type": kind, "data": data}
            return {"type": "image", "source": source}
        case ImagePart():
            return {"type": "image", "source": _base64(part.media_type, part.data)}
        case FilePart(file_id=file_id) if file_id:
            return {"type": "document", "source": {"type": "file", "file_id": file_id}}
        case FilePart():
            title = {"title": part.filename} if part.filename else {}
            source = _base64(part.media_type, part.data)
            return {"type": "document", "source": source, **title}
        case ToolCall():
            call_id, name = calls.sent(part)
            return {"type": "tool_use", "id": call_id, "name": name, "input": arguments_of(part)}
        case ToolResult():
            call_id, _ = calls.answered(part)
            return {"type": "tool_result", "tool_use_id": call_id, **_result(part, calls)}
        case ReasoningPart():
            return {"type": "thinking", "thinking": part.text}


def _result(part: ToolResult, calls: SentCalls) -> dict[str, Any]:
    if part.is_error:
        # It cannot be empty, and "all content must be type `text` if `is_error` is true".
        return {"content": part.content or "The tool failed.", "is_error": True}
    blocks = [_content(each, calls) for each in part.parts if not _is_blank(each)]
    return {"content": blocks or part.content}


def _assistant(message: Message, calls: SentCalls) -> Iterator[dict[str, Any]]:
    """Yield the blocks of an assistant's message: the original ones if they are stored with it.

    Thinking without its signature is left out, since the API refuses it: another provider
    produced it, or it was written by hand.
    """
    stored = message.provider_data.get(WIRE, {}).get("blocks")
    original = resolve_items(message, stored, _reference_of, attrgetter("id"))
    if original is not None:
        yield from _original_blocks(original, calls)
        return
    for part in message.parts:
        signed = part.provider_data.get(WIRE, {}).get("signature")
        is_cut = isinstance(part, ToolCall) and calls.is_cut(part)
        is_unsigned = isinstance(part, ReasoningPart) and not signed
        if not _is_blank(part) and not is_cut and not is_unsigned:
            yield _content(part, calls)


def _reference_of(block: dict[str, Any]) -> Reference:
    match block:
        case {"type": "text", "length": int(length)}:
            return length
        case {"type": "tool_use"}:
            return block.get("id") or ""
    return None


def _original_blocks(items: list[ResolvedItem], calls: SentCalls) -> Iterator[dict[str, Any]]:
    for block, part in items:
        if isinstance(part, ToolCall):
            if not calls.is_cut(part):
                yield _content(part, calls)
        elif part is None:
            if block.get("type") != "thinking" or block.get("signature"):
                yield block
        elif part.strip():
            citations = {"citations": block["citations"]} if "citations" in block else {}
            yield {"type": "text", "text": part, **citations}


def _base64(media_type: str, data: bytes) -> dict[str, Any]:
    return {
        "type": "base64",
        "media_type": media_type,
        "data": to_base64(data),
    }
