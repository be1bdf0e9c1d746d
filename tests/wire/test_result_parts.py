"""The images and files of tool results: inside the result, or in a user message after it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from yarl import URL

from rxagents import ConfigurationError, FilePart, ImagePart, Message, TextPart, ToolCall
from rxagents.providers.openai_hosts import host_of
from rxagents.testing.requests import anthropic, chat_completions, gemini, ollama, responses
from rxagents.wire.anthropic import render_messages
from rxagents.wire.chat_completions import ChatHost, render_chat
from rxagents.wire.gemini import render_contents
from rxagents.wire.ollama import render_chat as render_ollama
from rxagents.wire.request import ChatRequest
from rxagents.wire.responses import render_response

HI = Message.user("hi")
CALLS = Message.assistant(ToolCall("c1", "plot", "{}"), ToolCall("c2", "plot", "{}"))
PNG = ImagePart(data=b"\x00\xff", media_type="image/png")
PDF = FilePart(b"%PDF", "a.pdf")
LINK = ImagePart("https://example.org/a.png")
SHOWN = "see:\n[image/png, 2 bytes]"


def conversation(*parts: Any, second: Any = "none") -> tuple[Message, ...]:
    return (
        HI,
        CALLS,
        Message.tool("c1", ["see:", *parts], name="plot"),
        Message.tool("c2", second, name="plot"),
    )


def checked(
    render: Callable[[ChatRequest], Any],
    check: Callable[[object], None],
    messages: tuple[Message, ...],
    model: str = "m",
) -> Any:
    body = {name: value for name, value in render(ChatRequest(model, messages)).items() if value}
    check(body)
    return body


def claude(*parts: Any) -> Any:
    return checked(render_messages, anthropic.check, conversation(*parts))["messages"][2:]


def test_anthropic_result_has_blocks() -> None:
    (turn,) = claude(PNG, PDF, TextPart(" "))
    first, second = turn["content"]
    assert first["content"] == [
        {"type": "text", "text": "see:"},
        {
            "type": "image",
            "source": {"type": "base64", "media_type": "image/png", "data": "AP8="},
        },
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="},
            "title": "a.pdf",
        },
    ]
    assert second["content"] == "none"


def test_anthropic_error_result_is_text() -> None:
    failed = Message.tool("c1", ["see:", PNG], is_error=True)
    messages = (HI, Message.assistant(ToolCall("c1", "plot", "{}")), failed)
    turn = checked(render_messages, anthropic.check, messages)["messages"][2]
    assert turn["content"][0]["content"] == SHOWN
    assert turn["content"][0]["is_error"] is True


def test_responses_result_has_items() -> None:
    body = checked(render_response, responses.check, conversation(PNG, PDF, LINK))
    first, second = body["input"][-2:]
    assert first == {
        "type": "function_call_output",
        "call_id": "c1",
        "output": [
            {"type": "input_text", "text": "see:"},
            {"type": "input_image", "image_url": "data:image/png;base64,AP8="},
            {
                "type": "input_file",
                "filename": "a.pdf",
                "file_data": "data:application/pdf;base64,JVBERg==",
            },
            {"type": "input_image", "image_url": "https://example.org/a.png"},
        ],
    }
    assert second["output"] == "none"


INLINE_PNG = {"inlineData": {"mimeType": "image/png", "data": "AP8="}}
INLINE_PDF = {"inlineData": {"mimeType": "application/pdf", "data": "JVBERg=="}}


def google(model: str, *parts: Any) -> Any:
    body = checked(render_contents, gemini.check, conversation(*parts), model)
    return body["contents"][2:]


@pytest.mark.parametrize("image", [PNG, ImagePart("data:image/png;base64,AP8=")])
def test_gemini_result_has_parts_since_version_3(image: ImagePart) -> None:
    (results,) = google("gemini-3-pro-preview", image, PDF)
    first, second = (part["functionResponse"] for part in results["parts"])
    assert first["response"] == {"result": f"{SHOWN}\n[a.pdf, application/pdf, 4 bytes]"}
    assert first["parts"] == [INLINE_PNG, INLINE_PDF]
    assert "parts" not in second


@pytest.mark.parametrize(
    "part",
    [
        LINK,
        ImagePart(data=b"x", media_type="image/tiff"),
        FilePart(file_id="https://example.org/f", media_type="application/pdf"),
    ],
)
def test_gemini_sends_other_parts_after_results(part: Any) -> None:
    results, after = google("gemini-3-pro-preview", PNG, part)
    assert results["parts"][0]["functionResponse"]["parts"] == [INLINE_PNG]
    assert len(results["parts"]) == 2
    assert "result 1 of 2 (plot)" in after["parts"][0]["text"]
    assert len(after["parts"]) == 2


def test_older_gemini_gets_parts_after_results() -> None:
    results, after = google("gemini-2.5-flash", PNG)
    assert [set(part["functionResponse"]) for part in results["parts"]] == [
        {"id", "name", "response"}
    ] * 2
    assert after["role"] == "user"
    assert after["parts"][1] == INLINE_PNG


def chat(
    *parts: Any, second: Any = "none", host: ChatHost | None = None, more: tuple[Any, ...] = ()
) -> Any:
    messages = (*conversation(*parts, second=second), *more)

    def render(request: ChatRequest) -> Any:
        return render_chat(request, host or ChatHost())

    return checked(render, chat_completions.check, messages)["messages"][2:]


def test_chat_completions_sends_parts_after_all_results() -> None:
    first, second, after = chat(PNG, LINK, second=PDF)
    assert first["content"] == f"{SHOWN}\n[image, https://example.org/a.png]"
    assert second["content"] == "[a.pdf, application/pdf, 4 bytes]"
    assert after == {
        "role": "user",
        "content": [
            {
                "type": "text",
                "text": "This belongs to result 1 of 2 (plot) and does not come from the user:",
            },
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AP8="}},
            {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
            {
                "type": "text",
                "text": "This belongs to result 2 of 2 (plot) and does not come from the user:",
            },
            {
                "type": "file",
                "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERg=="},
            },
        ],
    }


def test_text_results_need_no_message_after_them() -> None:
    assert [line["role"] for line in chat(TextPart("this"))] == ["tool", "tool"]


def test_mistral_gets_answer_before_user() -> None:
    host = host_of(URL("https://api.mistral.ai/v1"), "m")
    roles = [line["role"] for line in chat(PNG, host=host, more=(HI,))]
    assert roles == ["tool", "tool", "assistant", "user", "user"]
    roles = [line["role"] for line in chat(host=host, more=(Message.assistant("a"), HI))]
    assert roles == ["tool", "tool", "assistant", "user"]


def test_ollama_sends_images_after_all_results() -> None:
    body = checked(render_ollama, ollama.check, conversation(PNG))
    first, second, after = body["messages"][2:]
    assert first == {"role": "tool", "content": SHOWN, "tool_name": "plot"}
    assert second["content"] == "none"
    assert after["role"] == "user"
    assert after["images"] == ["AP8="]
    assert "result 1 of 2 (plot)" in after["content"]


def test_ollama_refuses_files_of_results() -> None:
    with pytest.raises(ConfigurationError, match="cannot send a FilePart: put its text"):
        checked(render_ollama, ollama.check, conversation(PDF))
