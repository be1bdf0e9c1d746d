"""Parts of an answer are judged when they close, in every cut; partial objects cost linear time."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, NotRequired, TypedDict

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, Meta, Struct

from rxagents import OutputError
from rxagents.core.output_type import OutputType
from rxagents.parsing.answer_parser import AnswerParser, AnswerParts


class Inner(Struct):
    n: int


class Fields(Struct, rename="camel"):
    count: Annotated[int, Meta(ge=0)]
    full_name: str = ""
    numbers: list[int] = []
    inner: Inner | None = None


@dataclass
class Point:
    x: int
    tags: list[str] = field(default_factory=list)


class Options(TypedDict):
    depth: NotRequired[int]


class Model:
    """Stands for a pydantic model."""

    n = 0
    schema: ClassVar[dict[str, Any]] = {"type": "object", "properties": {"n": {"type": "integer"}}}

    @classmethod
    def model_json_schema(cls) -> dict[str, Any]:
        return cls.schema

    @classmethod
    def model_validate_json(cls, data: bytes) -> Model:
        model = cls()
        model.n = msgspec.json.decode(data, type=Inner).n
        return model


class WithModel(Struct):
    model: Model
    n: int


def fed(kind: Any, *pieces: str) -> tuple[list[Any], AnswerParser]:
    """Return the partial objects, and the parser."""
    parser = AnswerParser(AnswerParts(OutputType(kind)))
    taken = [parser.take(piece) for piece in pieces]
    return [value for value in taken if value is not UNSET], parser


def refused_after(kind: Any, text: str) -> int:
    """Return how many characters of `text` lead to a refusal; -1 if none does."""
    parser = AnswerParser(AnswerParts(OutputType(kind)))
    for end, character in enumerate(text, 1):
        parser.take(character)
        if parser.error is not None:
            return end
    return -1


@pytest.mark.parametrize(
    ("kind", "wrong", "where"),
    [
        (Fields, '{"fullName": 5,', "at `$.fullName`"),
        (Fields, '{"count": -1,', ">= 0 - at `$.count`"),
        (Fields, '{"numbers": [1, "x"]', r"at `$.numbers[1]`"),
        (Fields, '{"inner": {"n": null}', "at `$.inner.n`"),
        (Point, '{"tags": [1]', "at `$.tags[0]`"),
        (Options, '{"depth": "deep"', "at `$.depth`"),
        (dict[str, int], '{"a": 1, "b": "x"', "at `$[...]`"),
        (list[Inner], '{"value": [{"n": 1}, {"n": "x"}', "Element 1 of the answer"),
        (set[int], '{"value": [1, "x"', "Element 1 of the answer"),
    ],
)
def test_wrong_part_is_refused_when_it_closes(kind: Any, wrong: str, where: str) -> None:
    assert refused_after(kind, wrong + " and more") == len(wrong)
    error = fed(kind, wrong)[1].error
    assert where in str(error)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (Fields, '{"unknown": [{}], "count": 3'),
        (Fields, '{"inner": {"n": 1, "fullName": 5}, "count": "'),
        (Fields, '{"count": -12'),
        (list[Model], '{"value": [{"n": "x"}, 5]}'),
        (WithModel, '{"model": 5'),
        (int, '{"value": "x"}'),
        (list[list[Model]], '{"value": [5]}'),
    ],
    ids=["unknown key", "beside the path", "open number", "models", "field", "scalar", "nested"],
)
def test_nothing_else_is_judged(kind: Any, text: str) -> None:
    assert refused_after(kind, text) == -1


def test_fields_beside_models_are_judged() -> None:
    assert refused_after(WithModel, '{"model": 5, "n": "x"}') == 21


def test_final_check_refuses_models() -> None:
    with pytest.raises(OutputError, match="does not match"):
        OutputType(list[Model]).read('{"value": [{"n": "x"}]}')
    [model] = OutputType[list[Model]](list[Model]).read('{"value": [{"n": 4}]}')
    assert model.n == 4


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 99) | st.floats(-1, 1) | st.text(max_size=4),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.sampled_from("nxy"), children)
    ),
    max_leaves=5,
)
ANSWERS = st.dictionaries(st.sampled_from(["count", "fullName", "numbers", "inner", "z"]), JSON)


@given(ANSWERS, st.lists(st.integers(0, 200)), st.sampled_from([None, 1]))
def test_every_cut_refuses_the_same_part(
    answer: dict[str, Any], cuts: list[int], indent: int | None
) -> None:
    text = json.dumps(answer, indent=indent)
    hints = {field.encode_name: field.type for field in msgspec.structs.fields(Fields)}
    wrong = [
        key
        for key, value in answer.items()
        if key in hints and not converts(json.dumps(value), hints[key])
    ]
    ends = sorted({min(cut, len(text)) for cut in cuts} | {len(text)})
    pieces = [text[a:b] for a, b in zip([0, *ends], ends, strict=False)]
    parts, parser = fed(Fields, *pieces)
    end = refused_after(Fields, text)
    assert (parser.error is not None) == bool(wrong) == (end > 0)
    if wrong:
        assert str(parser.error) == str(fed(Fields, text[:end])[1].error)
        assert f"`$.{wrong[0]}" in str(parser.error)
        with pytest.raises(OutputError):
            OutputType(Fields).read(text)
        before = text[: end - 1]  # the part was still open: what follows could be any value
        assert fed(Fields, before)[1].error is None
    elif answer:
        assert parts[-1] == answer


def converts(text: str, kind: Any) -> bool:
    try:
        msgspec.json.decode(text, type=kind, strict=False)
    except msgspec.MsgspecError:
        return False
    return True


def test_partial_objects_come_when_values_close() -> None:
    text = '{"fullName": "Ada", "numbers": [1, 2], "count": 3}'
    partials, _ = fed(Fields, *text)
    shown = [value for n, value in enumerate(partials) if n == 0 or partials[n - 1] != value]
    assert shown == [
        {"fullName": "Ada"},
        {"fullName": "Ada", "numbers": [1]},
        {"fullName": "Ada", "numbers": [1, 2]},
        {"fullName": "Ada", "numbers": [1, 2], "count": 3},
    ]


def test_partial_list_is_not_wrapped() -> None:
    partials, _ = fed(list[Inner], '{"value": [{"n": 1}', ', {"n": 2}', "]}")
    assert partials == [[{"n": 1}], [{"n": 1}, {"n": 2}], [{"n": 1}, {"n": 2}]]


def test_open_text_alone_makes_no_partial_object() -> None:
    partials, _ = fed(Fields, '{"fullName": "a', *["b"] * 50)
    assert partials == []


@pytest.mark.parametrize("count", [200, 2000, 20_000])
def test_partial_objects_cost_linear_time(count: int) -> None:
    pieces = ['{"value": [', *['{"n": 1234},'] * count, '{"n": 1}]}']
    partials, _ = fed(list[Inner], *pieces)
    assert len(partials[-1]) == count + 1
    shown = sum(len(value) for value in partials)
    assert shown <= 11 * count + 11_000


@pytest.mark.parametrize("kind", [Inner, list[Inner]])
def test_list_before_answer_is_skipped(kind: Any) -> None:
    text = '{"n": 1}' if kind is Inner else '{"value": [{"n": 1}]}'
    for pieces in ([f"As in [1]: {text}"], [*f"[2] {text}"]):
        partials, parser = fed(kind, *pieces)
        assert partials[-1] == ({"n": 1} if kind is Inner else [{"n": 1}])
        assert parser.error is None


def test_bare_list_makes_no_partial_object() -> None:
    assert fed(list[Inner], '[{"n": 1}', ', {"n": "x"}]')[0] == []


def test_text_around_answer_is_skipped() -> None:
    partials, parser = fed(Inner, "Here it is:\n```json\n", '{"n": 1}', "\n``` {")
    assert (partials, parser.error) == ([{"n": 1}], None)
