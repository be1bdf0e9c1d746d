"""A strict server refuses what the hosts refuse, and says why."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rxagents.testing.requests import anthropic, chat_completions, gemini, responses

Check = Callable[[object], None]

USER = {"role": "user", "content": "hi"}
OPEN = {"type": "object", "properties": {}}
CLOSED = {**OPEN, "additionalProperties": False}


def chat(*lines: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"model": "m", "stream": True, "messages": [USER, *lines], **fields}


def chat_call(
    call_id: str = "c1", name: str = "f", arguments: str = "{}", **fields: Any
) -> list[dict[str, Any]]:
    function = {"name": name, "arguments": arguments}
    call = {"id": call_id, "type": "function", "function": function}
    return [
        {"role": "assistant", "content": None, "tool_calls": [call], **fields},
        {"role": "tool", "tool_call_id": call_id, "content": "r"},
    ]


def chat_format(schema: dict[str, Any], name: str = "Answer") -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": name, "schema": schema}}


def claude(*turns: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"model": "m", "max_tokens": 9, "stream": True, "messages": [USER, *turns], **fields}


def said(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


def use(call_id: str = "c1", name: str = "f") -> dict[str, Any]:
    return {"type": "tool_use", "id": call_id, "name": name, "input": {}}


def result(call_id: str = "c1") -> dict[str, Any]:
    block = {"type": "tool_result", "tool_use_id": call_id, "content": "r"}
    return {"role": "user", "content": [block]}


def block(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


THOUGHT = {"type": "thinking", "thinking": "Hm", "signature": "S"}
SEARCH = {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {}}
FOUND = {"type": "web_search_tool_result", "tool_use_id": "s1", "content": []}


IMAGE = {"type": "image", "source": {"type": "url", "url": "u"}}


def shown(*blocks: dict[str, Any], **fields: Any) -> dict[str, Any]:
    content = {"type": "tool_result", "tool_use_id": "c1", "content": list(blocks), **fields}
    return {"role": "user", "content": [content]}


def claude_format(schema: dict[str, Any]) -> dict[str, Any]:
    return {"format": {"type": "json_schema", "schema": schema}}


def google(*contents: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"contents": [{"role": "user", "parts": [{"text": "hi"}]}, *contents], **fields}


def google_call(name: str, **fields: Any) -> list[dict[str, Any]]:
    answer = {"name": name, "response": {}, **fields}
    return [
        {"role": "model", "parts": [{"functionCall": {"name": name, "args": {}}}]},
        {"role": "user", "parts": [{"functionResponse": answer}]},
    ]


def input_of(*items: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"model": "m", "stream": True, "input": [USER, *items], **fields}


def item_call(
    call_id: str = "c1", name: str = "f", arguments: str = "{}", output: Any = "r"
) -> list[dict[str, Any]]:
    call = {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments}
    return [call, {"type": "function_call_output", "call_id": call_id, "output": output}]


REASONING = {"type": "reasoning", "id": "rs", "summary": []}
OUTPUT = {
    "type": "message",
    "role": "assistant",
    "content": [{"type": "output_text", "text": "a"}],
}


def text_format(schema: dict[str, Any]) -> dict[str, Any]:
    return {"format": {"type": "json_schema", "name": "Answer", "schema": schema}}


def details(*indexes: int) -> list[dict[str, Any]]:
    return [{"type": "reasoning.text", "text": "H", "index": index} for index in indexes]


ACCEPTED: list[tuple[Check, dict[str, Any]]] = [
    (chat_completions.check, chat(*chat_call(), *chat_call())),
    (chat_completions.check, chat(*chat_call(reasoning_details=details(0, 1)))),
    (chat_completions.check, chat(response_format=chat_format(OPEN))),
    (anthropic.check, claude(said(THOUGHT, use()), result(), said(SEARCH, FOUND, use("c2")),
                             result("c2"))),
    (anthropic.check, claude(said(block("a"), SEARCH))),
    (anthropic.check, claude(said(block("a ")), USER)),
    (anthropic.check, claude(output_config=claude_format(CLOSED))),
    (anthropic.check, claude(said(use()), shown(block("a"), IMAGE))),
    (gemini.check, google(*google_call("default_api:f.g"))),
    (gemini.check, google(*google_call("f", parts=[{"inlineData": {"mimeType": "image/png"}}]))),
    (gemini.check, google({"role": "model", "parts": [{"text": "", "thoughtSignature": "S"}]})),
    (responses.check, input_of(REASONING, REASONING, OUTPUT, REASONING, *item_call())),
    (responses.check, input_of(text=text_format(OPEN))),
    (responses.check, input_of(*item_call(output=[{"type": "input_image", "image_url": "u"}]))),
]  # fmt: skip

REFUSED: list[tuple[Check, dict[str, Any], str]] = [
    (chat_completions.check, chat(*chat_call(name="f.g")), r"the name 'f\.g' must match"),
    (chat_completions.check, chat(*chat_call(name="f" * 65)), "must match"),
    (chat_completions.check, chat(*chat_call(arguments='{"a')), "'f' are not a JSON object"),
    (chat_completions.check, chat(*chat_call(arguments="[]")), "'f' are not a JSON object"),
    (chat_completions.check, chat(*chat_call(call_id=" ")), "the id ' ' must match"),
    (chat_completions.check, chat({**chat_call()[0], "tool_calls": [
        *chat_call()[0]["tool_calls"], *chat_call()[0]["tool_calls"]]}, chat_call()[1]),
     "several calls have the same id"),
    (chat_completions.check, chat(*chat_call(reasoning_details=details(0, 0))), "in pieces"),
    (chat_completions.check, chat({**USER, "name": "Ann Smith"}), "must match"),
    (chat_completions.check, chat(tool_choice="auto"), "tool_choice needs tools"),
    (chat_completions.check, chat(parallel_tool_calls=False), "parallel_tool_calls needs tools"),
    (chat_completions.check, chat(response_format=chat_format({"$ref": "#/$defs/A"})),
     "must have the type 'object'"),
    (chat_completions.check, chat(response_format=chat_format(OPEN, "A[int]")), "must match"),
    (anthropic.check, claude(said(block("\n"), use()), result()), "more than white space"),
    (anthropic.check, claude(system=[block(" ")]), "more than white space"),
    (anthropic.check, claude({"role": "assistant", "content": " "}), "more than white space"),
    (anthropic.check, claude(said(block("a "))), "must not end with white space"),
    (anthropic.check, claude(said(use("f:0")), result("f:0")), "the id 'f:0' must match"),
    (anthropic.check, claude(said(use()), result(), said(use()), result()), "the same id"),
    (anthropic.check, claude(said(use(name="f.g")), result()), "must match"),
    (anthropic.check, claude(said({**THOUGHT, "signature": ""}, block("a"))), "no signature"),
    (anthropic.check, claude(said(block("a"), THOUGHT), USER), "must not be thinking"),
    (anthropic.check, claude(said(block("a"), SEARCH), USER), "have no results"),
    (anthropic.check, claude(said(FOUND, block("a")), USER), "belong to no hosted tool"),
    (anthropic.check, claude(said(use()), {"role": "user", "content": [
        {"type": "tool_result", "tool_use_id": "c1", "content": "", "is_error": True}]}),
     "cannot be empty"),
    (anthropic.check, claude(said(use()), shown(FOUND)), "must not contain a web_search"),
    (anthropic.check, claude(said(use()), shown(IMAGE, is_error=True)), "must be text if is_error"),
    (anthropic.check, claude(tool_choice={"type": "none"}), "tool_choice needs tools"),
    (anthropic.check, claude(output_config=claude_format(OPEN)), "additionalProperties: false"),
    (anthropic.check, claude(output_config=claude_format(
        {**CLOSED, "properties": {"a": {"type": "array", "items": OPEN}}})),
     "additionalProperties: false"),
    (anthropic.check, claude(tools=[{"name": "f", "input_schema": OPEN, "strict": True}]),
     "additionalProperties: false"),
    (chat_completions.check, chat(chat_call()[0], {**chat_call()[1], "content": [
        {"type": "image_url", "image_url": {"url": "u"}}]}), "role tool takes text only"),
    (gemini.check, google(*google_call("f", parts=[{"fileData": {"fileUri": "u"}}])), "fileData"),
    (gemini.check, google(*google_call("2d")), "the name '2d' must match"),
    (gemini.check, google(*google_call("f g")), "must match"),
    (gemini.check, google({"role": "model", "parts": [{"text": ""}]}), "must not be empty"),
    (gemini.check, google(toolConfig={}), "toolConfig needs tools"),
    (responses.check, input_of(*item_call(name="f.g")), "must match"),
    (responses.check, input_of(*item_call(call_id="c" * 65)), "must match"),
    (responses.check, input_of(*item_call(), *item_call()), "several calls have the same id"),
    (responses.check, input_of(*item_call(arguments="")), "not a JSON object"),
    (responses.check, input_of(*item_call(output=[{"type": "output_text", "text": "a"}])),
     "must not contain"),
    (responses.check, input_of(REASONING), "must be followed"),
    (responses.check, input_of(REASONING, USER), "must be followed"),
    (responses.check, input_of(*item_call(), REASONING, REASONING, USER), "must be followed"),
    (responses.check, input_of({"role": "assistant", "content": "a"}), "lacks type 'message'"),
    (responses.check, input_of({"type": "message", "role": "assistant", "content": "a"}),
     "'output_text'"),
    (responses.check, input_of(tool_choice="none"), "tool_choice needs tools"),
    (responses.check, input_of(parallel_tool_calls=True), "parallel_tool_calls needs tools"),
    (responses.check, input_of(text=text_format({"type": "array"})), "not 'array'"),
]  # fmt: skip


@pytest.mark.parametrize(("check", "body"), ACCEPTED)
def test_proper_request_is_accepted(check: Check, body: dict[str, Any]) -> None:
    check(body)


@pytest.mark.parametrize(("check", "body", "reason"), REFUSED)
def test_improper_request_is_refused(check: Check, body: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        check(body)
