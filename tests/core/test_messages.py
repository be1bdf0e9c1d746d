"""Conversations: the accepted forms, and the refused ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from rxagents import (
    ConfigurationError,
    FilePart,
    ImagePart,
    Message,
    ReasoningPart,
    TextPart,
    ToolArgumentsError,
    ToolCall,
    ToolResult,
)
from rxagents.core.content_parts import ContentPart
from rxagents.core.message_input import to_messages

HI = Message("user", (TextPart("hi"),))


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("hi", [HI]),
        (HI, [HI]),
        ({"role": "user", "content": "hi"}, [HI]),
        (["hi"], [HI]),
        (("hi", HI), [HI, HI]),
        ([Message.system("be brief"), {"role": "user", "content": "hi"}],
         [Message.system("be brief"), HI]),
        ((text for text in ["hi"]), [HI]),
    ],
)  # fmt: skip
def test_to_messages_accepts_all_forms(written: Any, expected: list[Message]) -> None:
    assert to_messages(written) == tuple(expected)


CALL = ToolCall("call_1", "add", '{"a":1}')


def call_dict(arguments: Any) -> dict[str, Any]:
    return {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": arguments}}


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ({"role": "system", "content": "x"}, Message.system("x")),
        ({"role": "developer", "content": "x"}, Message.system("x")),
        ({"role": "user", "content": "x", "name": "ann"},
         Message("user", (TextPart("x"),), name="ann")),
        ({"role": "user", "content": ["x", {"type": "text", "text": "y"}, TextPart("z")]},
         Message.user("x", "y", "z")),
        ({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://u"}}]},
         Message.user(ImagePart("https://u"))),
        ({"role": "user", "content": [{"type": "image_url", "image_url": "https://u"}]},
         Message.user(ImagePart("https://u"))),
        ({"role": "user",
          "content": [{"type": "image_url", "image_url": {"url": "https://u", "detail": None}}]},
         Message.user(ImagePart("https://u"))),
        ({"role": "user",
          "content": [{"type": "image_url", "image_url": {"url": "https://u", "detail": "low"}}]},
         Message.user(ImagePart("https://u", detail="low"))),
        ({"role": "assistant", "content": None, "tool_calls": [call_dict('{"a":1}')]},
         Message.assistant(CALL)),
        ({"role": "assistant", "content": "", "tool_calls": [call_dict({"a": 1})]},
         Message.assistant(CALL)),
        ({"role": "assistant", "tool_calls": [CALL]}, Message.assistant(CALL)),
        ({"role": "assistant", "content": "x", "tool_calls": None}, Message.assistant("x")),
        ({"role": "tool", "tool_call_id": "call_1", "content": "3"}, Message.tool("call_1", "3")),
        ({"role": "tool", "tool_call_id": "call_1", "content": "3", "name": "add"},
         Message.tool("call_1", "3", name="add")),
        ({"role": "tool", "tool_call_id": "call_1",
          "content": [{"type": "text", "text": "a"}, "b"]}, Message.tool("call_1", "ab")),
        ({"role": "tool", "tool_call_id": "call_1",
          "content": ["a", {"type": "image_url", "image_url": "https://u"}]},
         Message.tool("call_1", ["a", ImagePart("https://u")])),
    ],
)  # fmt: skip
def test_openai_dict_becomes_message(written: Any, expected: Message) -> None:
    assert to_messages(written) == (expected,)


@pytest.mark.parametrize("key", ["reasoning_content", "reasoning"])
def test_dict_with_reasoning(key: str) -> None:
    (message,) = to_messages({"role": "assistant", key: "hm", "content": "x"})
    reasoning, text = message.parts
    assert isinstance(reasoning, ReasoningPart)
    assert reasoning.text == "hm"
    assert reasoning.provider_data == {"chat_completions": {"field": key}}
    assert text == TextPart("x")


def test_dict_with_provider_data() -> None:
    data = {"wire": {"a": 1}}
    (message,) = to_messages({"role": "assistant", "content": "x", "provider_data": data})
    assert message.provider_data == data


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ([], "send at least one"),
        (None, "not NoneType"),
        (5, "not int"),
        (b"hi", "not bytes"),
        ([b"hi"], "not bytes"),
        ([["hi"]], "not list"),
        ({}, "missing required field `role`. Its fields are role, content"),
        ({"content": "x"}, "required field `role`"),
        ({"role": ["user"], "content": "x"}, r"`str`, got `array` - at `\$.role`"),
        ({"role": "bot", "content": "x"}, "'bot': use one of system, user, assistant, tool"),
        ({"role": "user"}, "needs content"),
        ({"role": "user", "content": 5}, r"got `int` - at `\$.content`"),
        ({"role": "user", "content": b"x"}, r"got `bytes` - at `\$.content`"),
        ({"role": "user", "content": [5]}, "'int'"),
        ({"role": "user", "content": [{"type": "audio"}]}, "'audio'.*image_url"),
        ({"role": "user", "content": [{"type": "text", "text": 5}]}, "unknown part"),
        ({"role": "user", "content": "x", "tool_calls": [CALL]}, "user message cannot contain"),
        ({"role": "system", "content": [ImagePart("https://u")]}, "system message cannot contain"),
        (
            {"role": "user", "content": "x", "contents": "y"},
            "unknown field `contents`. Its fields are role, content",
        ),
        ({"role": "user", "content": "x", 5: "y"}, "at `key`"),
        ({"role": "tool", "content": "x"}, "needs a tool_call_id"),
        ({"role": "tool", "tool_call_id": 5, "content": "x"}, "got `int` - at .*tool_call_id"),
        ({"role": "assistant", "tool_calls": [{"function": {"name": "f"}}]}, "tool_calls take"),
        ({"role": "assistant", "tool_calls": [{"id": "x"}]}, "tool_calls take"),
        ({"role": "assistant", "tool_calls": "x"}, "got `str` - at .*tool_calls"),
        ({"role": "assistant", "tool_calls": 5}, "tool_calls"),
        ({"role": "assistant", "tool_calls": [call_dict(object())]}, "arguments"),
        ({"role": "assistant", "content": "x", "reasoning_content": 5}, "reasoning_content"),
        ({"role": "user", "content": "x", "name": 5}, "name"),
        ({"role": "user", "content": "x", "provider_data": "x"}, "provider_data"),
        (
            {"role": "tool", "tool_call_id": "a", "content": [CALL]},
            "tool cannot contain a ToolCall",
        ),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_bad_messages_are_refused(written: Any, sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        to_messages(written)


@pytest.mark.parametrize(
    ("role", "part"),
    [
        ("system", ImagePart("https://u")),
        ("user", ReasoningPart("x")),
        ("user", ToolResult("a", "b")),
        ("assistant", ImagePart("https://u")),
        ("tool", TextPart("x")),
    ],
)
def test_role_limits_the_parts(role: Any, part: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"{role} message .*{type(part).__name__}"):
        Message(role, (part,))


@pytest.mark.parametrize(
    "make",
    [
        lambda: ImagePart(),
        lambda: ImagePart("https://u", b"x", "image/png"),
        lambda: ImagePart(data=b"x"),
        lambda: FilePart(),
        lambda: FilePart(data=b"x", file_id="f"),
    ],
)
def test_part_needs_exactly_one_source(make: Any) -> None:
    with pytest.raises(ConfigurationError, match="needs"):
        make()


@pytest.mark.parametrize(
    "url",
    ["a.png", "/home/a.png", r"C:\a.png", "c:/a.png", "file:///a.png", Path("a.png"), b"\x89PNG"],
    ids=repr,
)
def test_path_is_no_url_of_an_image(url: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"no URL .* ImagePart\.from_file"):
        ImagePart(url)


def test_error_about_url_is_short() -> None:
    with pytest.raises(ConfigurationError) as refused:
        ImagePart("iVBORw0KGgo" * 100_000)  # an image as base64
    assert len(str(refused.value)) < 400


@pytest.mark.parametrize("url", ["https://a.test/b.png", "data:image/png;base64,AA==", "gs://a/b"])
def test_url_of_an_image_is_kept(url: str) -> None:
    assert ImagePart(url).url == url


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("a.png", b"\x89PNG\r\n", "image/png"),
        ("photo", b"\xff\xd8\xff\xe0", "image/jpeg"),
        ("wrong.png", b"GIF89a", "image/gif"),
        ("a.bin", b"RIFF\n\x00\x00\x00WEBPVP8", "image/webp"),
        ("a.svg", b"<svg/>", "image/svg+xml"),
    ],
)
def test_image_is_read_from_file(tmp_path: Path, name: str, data: bytes, kind: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    assert ImagePart.from_file(path, detail="low") == ImagePart(
        data=data, media_type=kind, detail="low"
    )
    assert ImagePart.from_file(str(path)).media_type == kind
    assert ImagePart.from_file(path, media_type="image/x").media_type == "image/x"


def test_file_is_read_with_name_and_type(tmp_path: Path) -> None:
    path = tmp_path / "report.pdf"
    path.write_bytes(b"%PDF")
    assert FilePart.from_file(path) == FilePart(b"%PDF", "report.pdf", "application/pdf")
    assert FilePart.from_file(str(path), media_type="text/plain", filename="a") == FilePart(
        b"%PDF", "a", "text/plain"
    )


@pytest.mark.parametrize("kind", [ImagePart, FilePart])
def test_unusable_file_is_refused(tmp_path: Path, kind: type[ImagePart] | type[FilePart]) -> None:
    path = tmp_path / "unknown"
    path.write_bytes(b"text")
    with pytest.raises(ConfigurationError, match="media_type"):
        kind.from_file(path)
    path.write_bytes(b"")
    with pytest.raises(ConfigurationError, match=r"unknown' is empty"):
        kind.from_file(path)
    with pytest.raises(FileNotFoundError):
        kind.from_file(tmp_path / "missing")


CONVERSATION = [
    Message.system("be brief"),
    Message.user("what", ImagePart(data=b"\x00\xff", media_type="image/png"), FilePart(b"%PDF")),
    Message.assistant(ReasoningPart("hm", {"wire": {"signature": "s"}}), "let me see", CALL),
    Message.tool("call_1", "3", name="add", is_error=True),
    Message.tool("call_2", ["a", ImagePart("https://u"), FilePart(b"%PDF", "b.pdf")]),
]


@pytest.mark.parametrize("codec", [msgspec.json, msgspec.msgpack])
def test_conversation_round_trips(codec: Any) -> None:
    assert codec.decode(codec.encode(CONVERSATION), type=list[Message]) == CONVERSATION


@pytest.mark.parametrize(
    ("part", "text"),
    [
        (TextPart("a"), "a"),
        (ImagePart(data=bytes(12345), media_type="image/png"), "[image/png, 12,345 bytes]"),
        (ImagePart("https://example.org/a.png"), "[image, https://example.org/a.png]"),
        (ImagePart("data:image/gif;base64,AAAAAA=="), "[image/gif, 4 bytes]"),
        (ImagePart("data:,abc"), "[image, 3 bytes]"),
        (FilePart(b"%PDF"), "[application/pdf, 4 bytes]"),
        (FilePart(b"a,b", "a.csv", "text/csv"), "[a.csv, text/csv, 3 bytes]"),
        (FilePart(file_id="file-1"), "[file, file-1]"),
    ],
)
def test_result_describes_its_parts(part: ContentPart, text: str) -> None:
    (result,) = Message.tool("call_1", ["see:", part]).parts
    assert isinstance(result, ToolResult)
    assert result.content == f"see:\n{text}"
    assert Message.tool("call_1", part).parts[0].content == text  # type: ignore[union-attr]  # a result
    assert result.parts == (() if part == TextPart("a") else (TextPart("see:"), part))


def test_result_refuses_other_parts() -> None:
    with pytest.raises(ConfigurationError, match="tool cannot contain a ReasoningPart"):
        ToolResult("call_1", "x", parts=(ReasoningPart("x"),))  # type: ignore[arg-type]  # refused


def test_message_text_and_tool_calls() -> None:
    assert CONVERSATION[2].text == "let me see"
    assert CONVERSATION[2].tool_calls == (CALL,)
    assert Message.user("a", ImagePart("https://u"), "b").text == "ab"
    assert HI.tool_calls == ()


@pytest.mark.parametrize(
    ("arguments", "parsed"),
    [
        ("", {}),
        (" \n", {}),
        ("{}", {}),
        (' {"a": [1, "é"]} ', {"a": [1, "é"]}),
        (r'{"a": "\ud83d\ude00"}', {"a": "😀"}),
    ],
)
def test_tool_call_arguments_are_parsed(arguments: str, parsed: dict[str, Any]) -> None:
    assert ToolCall("x", "add", arguments).parse() == parsed


@pytest.mark.parametrize(
    "arguments", ["{", "[1]", '"x"', "null", "{} {}", "{a: 1}", '{"a": "\ud800"}']
)
def test_non_object_arguments_are_refused(arguments: str) -> None:
    with pytest.raises(ToolArgumentsError, match="'add' are not a JSON object") as caught:
        ToolCall("x", "add", arguments).parse()
    assert len(str(caught.value)) < 500


def test_deeply_nested_arguments_are_refused() -> None:
    call = ToolCall("c", "add", '{"a":' * 129 + "1" + "}" * 129)
    with pytest.raises(ToolArgumentsError, match="levels deep") as caught:
        call.parse()
    assert len(str(caught.value)) < 200
