"""Results that are longer than the model may see."""

from __future__ import annotations

import pytest

from rxagents import FilePart, ImagePart, TextPart
from rxagents.core.content_parts import ContentPart, content_text
from rxagents.runtime.tool_execution.shorten import shortened

IMAGE = ImagePart(data=b"x", media_type="image/png")
FILE = FilePart(b"x")


@pytest.mark.parametrize("limit", [5, 6, None])
def test_short_result_stays_unchanged(limit: int | None) -> None:
    assert shortened("12345", (), limit) == ("12345", ())
    parts = (TextPart("123"), IMAGE, TextPart("45"))
    assert shortened(content_text(parts), parts, limit) == (content_text(parts), parts)


def test_long_text_ends_in_a_sentence() -> None:
    text, parts = shortened("é" * 4321, (), 1000)
    assert text == "é" * 1000 + (
        "\n[The result was cut here: 3,321 of its 4,321 characters were left out. If you need "
        "them, call the tool again for a smaller part.]"
    )
    assert parts == ()


@pytest.mark.parametrize(
    ("limit", "kept"),
    [
        (1, [TextPart("1"), IMAGE, FILE]),
        (3, [TextPart("123"), IMAGE, FILE]),
        (4, [TextPart("123"), IMAGE, TextPart("4"), FILE]),
        (7, [TextPart("123"), IMAGE, TextPart("456"), FILE, TextPart("7")]),
    ],
)
def test_images_and_files_do_not_count(limit: int, kept: list[ContentPart]) -> None:
    parts = (TextPart("123"), IMAGE, TextPart("456"), FILE, TextPart("789"))
    text, (*before, last) = shortened(content_text(parts), parts, limit)
    assert before == kept
    assert isinstance(last, TextPart)
    assert f"{9 - limit} of its 9 characters were left out" in last.text
    assert text == content_text([*before, last])
