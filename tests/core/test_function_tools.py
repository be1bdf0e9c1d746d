"""Tools made from functions: their attributes, and the binding of arguments."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest
import reactivex as rx
from reactivex import Observable
from sample_tools import CONTEXT, Colour, Point, call, describe

from rxagents import ConfigurationError, ToolArgumentsError, ToolContext, tool


class Unknown:
    """A type without a JSON schema."""


def test_tool_describes_its_function() -> None:
    assert describe.name == "describe"
    assert describe.description == "Describe things.\n\nIn more than one paragraph."
    parameters = describe.parameters
    assert (parameters["type"], parameters["additionalProperties"]) == ("object", False)
    assert parameters["required"] == ["number", "colour", "point"]
    assert list(parameters["properties"]) == [
        *("number", "colour", "point", "names", "factor", "anything", "mode")
    ]
    properties = parameters["properties"]
    assert properties["number"] == {"type": "integer", "description": "How many,\non two lines."}
    assert sorted(properties["colour"]["enum"]) == ["blue", "red"]
    assert properties["colour"]["description"] == "Which colour."
    assert properties["point"]["properties"]["x"] == {"type": "integer"}
    assert properties["names"]["anyOf"][1] == {"type": "null"}
    assert properties["factor"] == {"type": "number", "default": 2.5}
    assert properties["anything"] == {}
    assert properties["mode"]["description"] == "From the annotation."
    assert properties["mode"]["default"] == "fast"
    assert "$ref" not in msgspec.json.encode(parameters).decode()


def test_bind_converts_and_applies_defaults() -> None:
    given = call(describe, number="5", colour="red", point={"x": 1})
    assert given == {
        "number": 5,
        "colour": Colour.RED,
        "point": Point(1),
        "context": CONTEXT,
        "names": None,
        "factor": 2.5,
        "anything": None,
        "mode": "fast",
    }


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"number": "many"}, ["describe", "Expected `int`, got `str`", "$.number", '"integer"']),
        ({"colour": "green"}, ["'green'", "$.colour", '["blue","red"]']),
        ({"point": {"x": "q"}}, ["$.point.x", "Expected `int`"]),
        ({"mode": "fast!"}, ["fast!", "slow"]),
        ({"names": [1]}, ["$.names[0]", "Expected `str`"]),
        ({"speed": 1, "weight": 2}, ["no argument 'speed', no argument 'weight'"]),
        ({"context": {}}, ["no argument 'context'"]),
        ({"number": None}, ["$.number"]),
    ],
)
def test_invalid_arguments_are_explained(arguments: dict[str, Any], words: list[str]) -> None:
    fitting = {"number": 5, "colour": "red", "point": {"x": 1}}
    with pytest.raises(ToolArgumentsError) as failure:
        call(describe, **{**fitting, **arguments})
    message = str(failure.value)
    assert all(word in message for word in words), message
    assert "It takes number, colour, point, names (optional)" in message


def test_error_names_all_missing_arguments() -> None:
    with pytest.raises(ToolArgumentsError, match=r"'colour' is missing, 'point' is missing"):
        call(describe, number=1)


def test_null_means_omitted_argument() -> None:
    fitting = {"number": 5, "colour": "red", "point": {"x": 1}}
    assert call(describe, **fitting, factor=None, mode=None)["factor"] == 2.5


def test_null_is_kept_for_optional_type() -> None:
    @tool
    def limit(top: int | None = 10) -> int | None:
        return top

    assert call(limit, top=None) is None
    assert call(limit) == 10


def test_decorated_function_stays_callable() -> None:
    @tool
    def double(number: int) -> int:
        return 2 * number

    assert double(4) == double(number=4) == 8


def test_decorator_sets_tool_attributes() -> None:
    @tool(
        name="other",
        description="Another.",
        timeout=5,
        retries=2,
        strict=False,
        requires_approval=True,
        max_result_length=9,
        returns_directly=True,
    )
    def mine() -> None:
        """Mine."""

    assert (mine.name, mine.description, mine.timeout) == ("other", "Another.", 5)
    assert (mine.retries, mine.strict, mine.requires_approval) == (2, False, True)
    assert (mine.max_result_length, mine.returns_directly) == (9, True)
    assert mine.parameters == {
        "type": "object",
        "properties": {},
        "required": [],
        "additionalProperties": False,
    }


@pytest.mark.parametrize(
    "docstring",
    [
        "Do it.\n\n:param a: The a.\n:returns: Nothing.",
        "Do it.\n\nParameters\n----------\na : int\n    The a.\n",
        "Do it.\n\nArgs:\n    a (int): The a.\n\nRaises:\n    ValueError: Never.\n",
    ],
)
def test_docstring_styles_are_parsed(docstring: str) -> None:
    def function(a: int) -> None: ...

    function.__doc__ = docstring
    made = tool(function)
    assert made.description == "Do it."
    assert made.parameters["properties"]["a"]["description"] == "The a."


def test_no_docstring_means_no_description() -> None:
    def function(a: int) -> None: ...

    assert tool(function).description == ""


def takes_many(*numbers: int) -> None: ...


def takes_keywords(**options: int) -> None: ...


def takes_unknown(thing: Unknown) -> None: ...


def takes_unresolved(thing: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821  # the unresolved name is tested


def takes_two_contexts(first: ToolContext, second: ToolContext | None = None) -> None: ...


class Holder:
    def method(self, number: int) -> int:
        """Of an instance."""
        return number + 1


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        (takes_many, r"\*numbers: take a list"),
        (takes_keywords, r"\*\*options: name each parameter"),
        (takes_unknown, "Unknown.* is not supported. Use str"),
        (takes_unresolved, "Nowhere.*top of the module"),
        (Holder.method, r"tool\(instance.method\)"),
        (takes_two_contexts, "as first and as second: remove one"),
        (lambda: 1, "'<lambda>'"),
        (Holder, "wrap it in a function"),
        (5, "wrap it in a function"),
    ],
)
def test_uncallable_function_is_refused(function: Any, sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        tool(function)


def test_bound_methods_and_builtins_work() -> None:
    method = tool(Holder().method)
    assert (method.name, method.description) == ("method", "Of an instance.")
    assert call(method, number=1) == 2
    assert call(tool(math.sqrt), x=9) == 3


def test_positional_only_parameters_work() -> None:
    @tool
    def divide(a: float = 8, b: float = 2, /, *, c: float = 1) -> float:
        return a / b + c

    assert call(divide, b=4) == 3
    assert call(divide, a=2, c=0) == 1


def test_context_parameter_in_any_place() -> None:
    @tool
    def who(context: ToolContext | None, number: int = 1) -> Any:
        return context

    assert list(who.parameters["properties"]) == ["number"]
    assert call(who) is CONTEXT


def plain() -> int:
    return 1


def stream() -> Observable[int]:
    return rx.just(1)


def bare() -> Observable:  # type: ignore[type-arg]  # a bare Observable is tested
    return rx.just(1)


async def agen() -> AsyncIterator[int]:
    yield 1


@pytest.mark.parametrize(
    ("function", "known"), [(plain, False), (stream, True), (bare, True), (agen, False)]
)
def test_observable_annotation_is_recognized(function: Callable[..., Any], known: bool) -> None:
    signature = tool(function).signature
    assert signature is not None
    assert signature.returns_observable is known


@tool
def gather(names: list[int], note: str = "", point: Point | None = None) -> Any:
    return [names, note, point]


@pytest.mark.parametrize(
    ("arguments", "result"),
    [
        ({"names": "[1, 2]"}, [[1, 2], "", None]),
        ({"names": "[1]", "point": '{"x": 3}'}, [[1], "", Point(3)]),
        ({"names": [1], "note": "[2]"}, [[1], "[2]", None]),  # a text that is wanted stays one
    ],
)
def test_json_text_is_read_as_its_type(arguments: dict[str, Any], result: Any) -> None:
    assert call(gather, **arguments) == result


@pytest.mark.parametrize("names", ["[1", "one", '["one"]', '"[1]"', "{}"])
def test_text_of_another_type_is_refused(names: str) -> None:
    with pytest.raises(ToolArgumentsError, match=r"at `\$\.names"):
        call(gather, names=names)
