"""What `describe` shows of a pipe."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import pytest
import reactivex as rx
from reactivex import Observable, abc
from reactivex import operators as rx_ops
from reactivex.disposable import Disposable

import rxagents
from rxagents import ConfigurationError, describe
from rxagents import operators as ops
from rxagents.testing import ScriptedLLM

LLM = ScriptedLLM("Hello")
NUMBERS: Observable[Any] = rx.of(1)
SVG = "{http://www.w3.org/2000/svg}"


def tree(*pipe: Any) -> list[str]:
    """Return the lines of a tree without the places in the code."""
    return [re.sub(r"  +[^ ]+:\d+$", "", line) for line in describe(*pipe).tree().splitlines()]


def shouted(source: Observable[str]) -> Observable[str]:
    return source.pipe(ops.split_sentences(), ops.checkpoint("upper", rx_ops.map(str.upper)))


def scanned(source: Observable[str]) -> Observable[str]:
    def subscribe(observer: Any, scheduler: Any = None) -> abc.DisposableBase:
        return source.subscribe(observer, scheduler=scheduler)

    return Observable(subscribe)


def test_stages_are_listed_from_the_source_on() -> None:
    stream = LLM.chat_stream("Hi").pipe(ops.text(), rx_ops.map(str), ops.coalesce(0.1, size=9))
    expected = [
        "ScriptedLLM.chat_stream",
        "├─ text()",
        "├─ reactivex operator",
        "└─ coalesce(0.1, size=9)",
    ]
    assert tree(stream) == expected
    assert tree(LLM.chat_stream("Hi"), ops.text(), rx_ops.map(str), ops.coalesce(0.1, size=9)) == (
        expected
    )


def test_stages_have_the_line_of_their_call() -> None:
    text = describe(LLM.chat_stream("Hi"), ops.text()).tree()
    places = re.findall(r"[^ ]*test_description\.py:(\d+)$", text, re.MULTILINE)
    assert len(places) == 2
    assert len(set(places)) == 1


def test_stream_among_the_arguments_is_a_branch() -> None:
    other = LLM.chat_stream("Hi").pipe(ops.timeout_first(5))
    assert tree(rx.empty(), ops.fallback_to(other), ops.text()) == [
        "Observable",
        "├─ fallback_to(ScriptedLLM.chat_stream)",
        "│     ScriptedLLM.chat_stream",
        "│     └─ timeout_first(5)",
        "└─ text()",
    ]


def test_branch_of_the_last_operator_is_indented() -> None:
    assert tree(NUMBERS, ops.hedge(NUMBERS, after=1)) == [
        "Observable",
        "└─ hedge(Observable, after=1)",
        "      Observable",
    ]


def test_functions_of_the_user_show_what_they_apply() -> None:
    assert tree(LLM.chat_stream("Hi"), ops.text(), shouted, scanned) == [
        "ScriptedLLM.chat_stream",
        "├─ text()",
        "├─ split_sentences()",
        '├─ checkpoint "upper"',
        "└─ scanned",
    ]


@pytest.mark.parametrize(
    ("make", "label"),
    [
        (lambda: rxagents.FunctionAgent(LLM).run_stream("Hi"), "FunctionAgent.run_stream"),
        (
            lambda: rxagents.ConversationalAgent(LLM).run_stream("Hi"),
            "ConversationalAgent.run_stream",
        ),
        (lambda: rxagents.Ollama("llama").complete_stream("Hi"), "Ollama('llama').complete_stream"),
        (lambda: rxagents.from_recording("a.jsonl", str), "from_recording"),
        (lambda: rxagents.from_aiter(lambda: _none()), "from_aiter"),
        (lambda: rxagents.from_log(rxagents.EventLog(), "run"), "from_log"),
    ],
    ids=["agent", "conversation", "completion", "recording", "iterable", "log"],
)
def test_sources_have_names(make: Callable[[], Observable[Any]], label: str) -> None:
    assert tree(make()) == [label]


async def _none() -> Any:
    yield None


def test_nothing_is_subscribed_to() -> None:
    subscribed: list[object] = []

    def subscribe(observer: Any, _: Any = None) -> abc.DisposableBase:
        subscribed.append(observer)
        return Disposable()

    source: Observable[Any] = Observable(subscribe)
    description = describe(source, ops.text(), rx_ops.map(str), ops.hedge(source, after=1))
    assert all([description.tree(), description.mermaid(), description.svg()])
    assert subscribed == []


def test_mermaid_has_nodes_and_arrows() -> None:
    stream = describe(rx.empty(), ops.fallback_to(NUMBERS), ops.checkpoint('a "b" <c>'))
    lines = [re.sub(r"<br/>[^\"]*", "", line).strip() for line in stream.mermaid().splitlines()]
    assert lines == [
        "flowchart TB",
        's1(["Observable"]):::unknown',
        's2(["Observable"]):::unknown',
        's3["fallback_to(Observable)"]',
        "s2 -.-> s3",
        "s1 --> s3",
        's4["checkpoint #quot;a #quot;b#quot; #lt;c#gt;#quot;"]',
        "s3 --> s4",
        "classDef unknown stroke-dasharray: 4 3",
    ]


def boxes_of(picture: str) -> list[tuple[float, float, float, float]]:
    """Return left, top, right and bottom of the boxes of a picture."""
    root = ElementTree.fromstring(picture)
    boxes = []
    for box in root.iter(f"{SVG}rect"):
        left, top = float(box.attrib["x"]), float(box.attrib["y"])
        right, bottom = left + float(box.attrib["width"]), top + float(box.attrib["height"])
        assert 0 < left < right < float(root.attrib["width"])
        assert 0 < top < bottom < float(root.attrib["height"])
        boxes.append((left, top, right, bottom))
    return boxes


def nested(depth: int) -> Observable[Any]:
    stream: Observable[Any] = NUMBERS.pipe(ops.of_type(object), ops.timeout_idle(5))
    if depth:
        stream = stream.pipe(ops.fallback_to(nested(depth - 1)), ops.of_type(object))
        stream = stream.pipe(ops.hedge(nested(depth - 1), after=2), ops.of_type(object))
    return stream


def test_picture_has_a_box_for_each_stage() -> None:
    picture = describe(nested(2)).svg()
    boxes = boxes_of(picture)
    assert len(boxes) == len(tree(nested(2)))
    for at, (left, top, right, bottom) in enumerate(boxes):
        for other in boxes[at + 1 :]:
            apart = other[0] > right or other[2] < left or other[1] > bottom or other[3] < top
            assert apart, "two boxes overlap"


def test_no_arrow_of_the_picture_crosses_a_box() -> None:
    picture = describe(nested(2)).svg()
    boxes = boxes_of(picture)
    arrows = re.findall(r'd="M([\d.]+) ([\d.]+)H([\d.]+)"', picture)
    assert len(arrows) == 6
    for start, height, end in arrows:
        y, right, left = float(height), float(start), float(end)
        assert not [b for b in boxes if b[1] < y < b[3] and left < b[0] and b[2] < right]


def test_control_characters_of_names_are_not_shown() -> None:
    pipe = rxagents.describe(rx.of(1), ops.checkpoint("a\n\x1b[31m b", rx_ops.map(str)))
    assert str(pipe).splitlines()[1].startswith('└─ checkpoint "a [31m b"')
    assert "checkpoint #quot;a [31m b#quot;" in pipe.mermaid()
    assert "\x1b" not in pipe.svg()


def test_picture_escapes_names() -> None:
    texts = ElementTree.fromstring(describe(NUMBERS, ops.checkpoint("<&>")).svg()).itertext()
    assert 'checkpoint "<&>"' in list(texts)


def test_notebook_shows_the_picture_and_print_the_tree() -> None:
    description = describe(NUMBERS)
    assert description._repr_svg_() == description.svg()
    assert str(description) == repr(description) == description.tree() == "Observable"


@pytest.mark.parametrize("pipe", [(5,), (NUMBERS, 5), (NUMBERS, lambda _: 5)])
def test_what_is_no_pipe_is_refused(pipe: tuple[Any, ...]) -> None:
    with pytest.raises(ConfigurationError):
        describe(*pipe)
