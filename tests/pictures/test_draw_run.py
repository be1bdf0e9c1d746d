"""Test the pictures of recorded runs."""

from __future__ import annotations

import asyncio
import math
import re
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import draw_runs
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rxagents
from rxagents import (
    Complete,
    ErrorEvent,
    ErrorInfo,
    Reset,
    RunPicture,
    StreamChunk,
    Token,
    ToolEnd,
    ToolStart,
    draw_run,
)
from rxagents import operators as ops
from rxagents.pictures.elements import STYLE
from rxagents.testing import Reply, ScriptedLLM

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.jsonl"


def written(path: Path, *lines: str) -> Path:
    path.write_text("".join(line + "\n" for line in lines))
    return path


def texts(picture: RunPicture) -> list[str]:
    """Return the texts of a picture, and check that it is well-formed and safe to show."""
    root = ET.fromstring(picture.svg)
    allowed = {"svg", "title", "desc", "style", "rect", "path", "circle", "text"}
    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= allowed
    assert "nan" not in picture.svg
    assert root.get("aria-label", "").endswith(picture.summary)
    assert root.find(f"{SVG}title") is not None
    return [element.text or "" for element in root.iter(f"{SVG}text")]


@pytest.mark.parametrize("name", draw_runs.RUNS)
def test_pictures_of_the_docs_are_drawn_anew(name: str, tmp_path: Path) -> None:
    """If this fails after a change of the pictures: python docs/draw_runs.py."""
    drawn = draw_runs.picture(name, tmp_path)
    assert (draw_runs.FOLDER / f"{name}.svg").read_text("utf-8") == drawn.svg


def test_few_tokens_are_marbles_with_texts(tmp_path: Path) -> None:
    picture = draw_runs.picture("short", tmp_path)
    assert picture.svg.count("<circle ") == 10
    assert {"Air", "scatters", "620 ms", "completed"} <= set(texts(picture))


def test_tools_and_approvals_have_their_durations(tmp_path: Path) -> None:
    shown = texts(draw_runs.picture("tools", tmp_path))
    assert {"price", "1.3 s", "order", "1.0 s", "approvals", "✓ order 3.4 s"} <= set(shown)
    assert any(text.startswith("I need the price") for text in shown)


def test_many_tokens_are_a_rate(tmp_path: Path) -> None:
    picture = draw_runs.picture("long", tmp_path)
    shown = set(texts(picture))
    assert {"1,352, peak 118/s", "reset: OverloadedError", "4.5 s", "✗ 1.9 s", "disposed"} <= shown
    assert picture.svg.count("area void") == 1
    assert len(picture.svg) < 20_000


def test_many_calls_are_drawn_once_per_pixel() -> None:
    events: list[Any] = []
    for number in range(3000):
        events.append(ToolStart("a", "add", timestamp=number / 1000))
        events.append(ToolEnd("a", "add", timestamp=(number + 0.5) / 1000))
    assert draw_run(events).svg.count("<rect ") < 2 * 960


def test_text_picture_has_lanes_of_the_given_width(tmp_path: Path) -> None:
    rows = draw_runs.picture("tools", tmp_path).text(100).splitlines()
    assert max(map(len, rows)) <= 100
    assert {row.split()[0] for row in rows[1:-1]} == {
        "turns", "thoughts", "tokens", "price", "order", "approvals",
    }  # fmt: skip
    assert "├── 1.3 s ──┤" in rows[4]
    assert all(row.endswith("|") for row in rows[1:-1])


def test_text_picture_marks_resets_and_voids(tmp_path: Path) -> None:
    text = draw_runs.picture("long", tmp_path).text(100)
    assert "^ reset: OverloadedError" in text
    assert re.search(r"^tokens +xxxxx", text, re.MULTILINE)
    assert text.count("┆") == 7


def test_failure_is_quoted(path: Path) -> None:
    written(path, '{"at": 1, "item": "a"}',
            '{"at": 2, "error": {"kind": "RateLimitError", "message": "slow down"}}')  # fmt: skip
    picture = draw_run(path)
    assert "RateLimitError: slow down" in texts(picture)
    assert picture.text().endswith("failed: RateLimitError: slow down")


@pytest.mark.parametrize(
    ("line", "end"),
    [
        ('{"at": 3, "completed": true}', "completed"),
        ('{"at": 3, "stopped": "disposed"}', "disposed"),
        ('{"at": 3, "stopped": "interrupted"}', "no end recorded"),
        ("", "no end recorded"),
    ],
)
def test_end_is_drawn(path: Path, line: str, end: str) -> None:
    picture = draw_run(written(path, '{"at": 1, "item": "a"}', *([line] if line else [])))
    assert end in texts(picture)
    assert repr(picture) == f"<RunPicture: 1 item in {3 if line else 1}.0 s, {end}>"


def test_recorded_dispose_is_drawn(path: Path) -> None:
    async def work() -> None:
        stream = ScriptedLLM(Reply("a b c d", interval=0.05)).chat_stream("Hi")
        async with rxagents.to_aiter(stream.pipe(ops.record(path))) as chunks:
            async for chunk in chunks:
                if chunk.delta:
                    return

    asyncio.run(work())
    assert "disposed" in draw_run(path).summary


def test_chunks_without_new_fields_are_read(path: Path) -> None:
    """Recordings of earlier versions lack fields, and the end of a disposed stream."""
    written(path, '{"at":1,"item":{"delta":"a","index":0,"choice":0,"extra":1}}',
            '{"at":2,"item":{"delta":"b","index":1,"choice":0}}')  # fmt: skip
    assert draw_run(path).summary == "2 tokens in 2.0 s, the first after 1.0 s, no end recorded"


def test_texts_are_escaped(path: Path) -> None:
    written(path, '{"at": 1, "item": {"type": "token", "content": "<script>&\\u0000"}}',
            '{"at": 1, "item": {"type": "tool_start", "call_id": "a", "name": "\\"><b>"}}',
            '{"at": 2, "completed": true}')  # fmt: skip
    shown = texts(draw_run(path, title='<title> "&'))
    assert {"<script>&\ufffd", '"><b>', '<title> "&'} <= set(shown)


def test_surrogates_are_replaced() -> None:
    assert "a\ufffd" in texts(draw_run([Token("a\ud800")]))


def test_style_concerns_only_the_picture() -> None:
    rules = re.findall(r"(?:^|\}|\{)([^{}@]+)\{", STYLE)
    assert rules
    assert all(rule.startswith(".rxagents-run ") for rule in rules)
    assert "@media (prefers-color-scheme:dark)" in STYLE
    assert "url(" not in STYLE


def test_events_are_drawn_by_their_timestamps() -> None:
    events = [
        Token("a", timestamp=100.0),
        ToolStart("1", "add", timestamp=101.0),
        ToolEnd("1", "add", timestamp=103.0),
        Complete("a", timestamp=104.0, finish_reason="stop"),
    ]
    picture = draw_run(events)
    assert "2.0 s" in texts(picture)
    assert picture.summary.startswith("1 token in 4.0 s")
    assert picture.summary.endswith("completed")


@pytest.mark.parametrize(
    ("items", "end"),
    [
        ([Token("a"), ErrorEvent(ErrorInfo("ServerError", "down"))], "failed: ServerError"),
        ([StreamChunk("a", timestamp=1.0), StreamChunk(finish_reason="length", timestamp=2.0)],
         "completed: length"),
        ([Token("a")], "no end recorded"),
        ([], "no end recorded"),
    ],
    ids=["failed", "chunks", "cut", "empty"],
)  # fmt: skip
def test_end_of_events_is_their_last(items: list[Any], end: str) -> None:
    assert draw_run(items).summary.endswith(end)


def test_notebook_gets_svg_and_text() -> None:
    picture = draw_run([Token("a")])
    bundle = picture._repr_mimebundle_()
    assert bundle == {"image/svg+xml": picture.svg, "text/plain": picture.text()}


@pytest.mark.parametrize("wrong", [7, None, ScriptedLLM().chat_stream("Hi"), ["a"], [Token]])
def test_other_values_are_refused(wrong: Any) -> None:
    with pytest.raises(rxagents.ConfigurationError, match=r"draw_run|plain for loop"):
        draw_run(wrong)


@pytest.mark.parametrize("width", [0, 319, True, 500.0])
def test_width_must_have_room(width: Any) -> None:
    with pytest.raises(rxagents.ConfigurationError, match="width"):
        draw_run([], width=width)


def test_unreadable_file_is_named(path: Path) -> None:
    with pytest.raises(rxagents.ConfigurationError, match=r"cannot be read: .*run\.jsonl"):
        draw_run(path)


@pytest.mark.parametrize("line", ["nothing", '{"at": 1, "item": {"type": "token", "content": 7}}'])
def test_bad_line_is_a_decode_error(path: Path, line: str) -> None:
    with pytest.raises(rxagents.StreamDecodeError, match=r"run\.jsonl"):
        draw_run(written(path, line))


EVENTS = st.one_of(
    st.builds(Token, st.text(max_size=5), st.sampled_from(["", "thought", "action"])),
    st.builds(ToolStart, st.sampled_from("ab"), st.sampled_from(["add", "\n<é"])),
    st.builds(ToolEnd, st.sampled_from("ab"), st.sampled_from(["add", "\n<é"])),
    st.builds(rxagents.TurnStart, st.integers(1, 2)),
    st.builds(rxagents.ApprovalRequest, st.sampled_from("ab"), st.just("add")),
    st.just(Reset.of(OSError("again"))),
    st.builds(Token, st.text(max_size=2), path=st.just(("sub", "deep"))),
)


@given(
    events=st.lists(EVENTS, max_size=12),
    gaps=st.lists(st.floats(0, 1e5), min_size=12, max_size=12),
    repeat=st.sampled_from([1, 30]),
    width=st.sampled_from([320, 960]),
)
def test_any_run_can_be_drawn(
    events: list[Any], gaps: list[float], repeat: int, width: int
) -> None:
    at, timed = 0.0, []
    for event, gap in zip(events, gaps, strict=False):
        for _ in range(repeat):
            timed.append(type(event)(*(
                at if name == "timestamp" else getattr(event, name)
                for name in event.__struct_fields__
            )))  # fmt: skip
        at += gap
    picture = draw_run(timed, width=width)
    texts(picture)
    assert "\n" in picture.text(20)
    numbers = re.findall(r'\b(?:x|cx|width)="(-?[\d.]+)"', picture.svg)
    assert all(
        -1 <= float(number) <= width + 1 and math.isfinite(float(number)) for number in numbers
    )


def test_recording_can_be_pathlike() -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        file.write('{"at": 1, "completed": true}\n')
        file.flush()
        assert Path(file.name).name in draw_run(file.name).svg
