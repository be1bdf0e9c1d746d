"""Tools made of functions: what the model is told, and how its arguments become a call."""

from __future__ import annotations

import dataclasses
import enum
import math
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any, Literal

import msgspec
import pytest
import reactivex as rx
from reactivex import Observable

import rxagents
from rxagents import ConfigurationError, Tool, ToolArgumentsError, ToolContext, ToolError, tool
from rxagents.core.tools import to_tools

CONTEXT = ToolContext("call_1", "describe")


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclasses.dataclass
class Point:
    x: int
    y: int = 0


class Tree(msgspec.Struct):
    value: int
    children: list[Tree] = []


class Circle(msgspec.Struct, tag="circle"):
    radius: float


class Square(msgspec.Struct, tag="square"):
    side: float


class Unknown:
    """A type that no schema tells."""


def call(made: Tool, **arguments: Any) -> Any:
    return made.bind(arguments, CONTEXT)()


@tool
def describe(  # type: ignore[no-untyped-def]  # a parameter without annotation
    number: int,
    colour: Colour,
    point: Point,
    context: ToolContext,
    names: list[str] | None = None,
    factor: float = 2.5,
    anything=None,
    *,
    mode: Annotated[
        Literal["fast", "slow"], msgspec.Meta(description="From the annotation.")
    ] = "fast",
) -> dict[str, Any]:
    """Describe things.

    In more than one paragraph.

    Args:
        number: How many,
            on two lines.
        colour: Which colour.
        point: Where.
        mode: From the docstring.

    Returns:
        What nobody tells the model.
    """
    return dict(locals())


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
    )
    def mine() -> None:
        """Mine."""

    assert (mine.name, mine.description, mine.timeout) == ("other", "Another.", 5)
    assert (mine.retries, mine.strict, mine.requires_approval) == (2, False, True)
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


def test_recursive_type_keeps_its_reference() -> None:
    @tool
    def count(tree: Tree) -> int:
        return 1 + len(tree.children)

    assert count.parameters["properties"]["tree"] == {"$ref": "#/$defs/Tree"}
    children = count.parameters["$defs"]["Tree"]["properties"]["children"]
    assert children["items"] == {"$ref": "#/$defs/Tree"}
    assert call(count, tree={"value": 1, "children": [{"value": 2}]}) == 2


def test_tagged_union_has_no_discriminator() -> None:
    @tool
    def area(shape: Circle | Square) -> float:
        return shape.side**2 if isinstance(shape, Square) else shape.radius

    text = msgspec.json.encode(area.parameters).decode()
    assert "discriminator" not in text
    assert '"circle"' in text
    assert call(area, shape={"type": "square", "side": 3}) == 9


def test_parameter_named_like_schema_keyword() -> None:
    @tool(strict=True)
    def odd(default: int, items: str, properties: str, discriminator: int = 0) -> int:
        return default

    assert odd.parameters["required"] == ["default", "items", "properties", "discriminator"]
    assert call(odd, default=4, items="", properties="", discriminator=None) == 4


def test_strict_schema_requires_all_fields() -> None:
    @tool(strict=True)
    def find(text: str, where: Point, limit: int = 5, tag: str | None = None) -> Any:
        return text, where, limit, tag

    schema = find.parameters
    assert find.strict is True
    assert schema["required"] == ["text", "where", "limit", "tag"]
    assert schema["properties"]["where"]["required"] == ["x", "y"]
    assert schema["properties"]["where"]["additionalProperties"] is False
    assert schema["properties"]["limit"] == {"anyOf": [{"type": "integer"}, {"type": "null"}]}
    assert schema["properties"]["tag"] == {"anyOf": [{"type": "string"}, {"type": "null"}]}
    assert "default" not in msgspec.json.encode(schema).decode()
    given = {"text": "a", "where": {"x": 1, "y": 2}, "limit": None, "tag": None}
    assert call(find, **given) == ("a", Point(1, 2), 5, None)


def takes_dict(options: dict[str, int]) -> None: ...


def takes_any(thing: Any) -> None: ...


@pytest.mark.parametrize(
    ("function", "sentence"), [(takes_dict, "cannot take a dict"), (takes_any, "typed arguments")]
)
def test_types_without_strict_schema_fail(function: Callable[..., Any], sentence: str) -> None:
    assert tool(function).strict is None
    with pytest.raises(ConfigurationError, match=sentence):
        tool(strict=True)(function)


def takes_many(*numbers: int) -> None: ...


def takes_keywords(**options: int) -> None: ...


def takes_unknown(thing: Unknown) -> None: ...


def takes_unresolved(thing: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821  # that is the point


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


def bare() -> Observable:  # type: ignore[type-arg]  # what the test is about
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


def test_custom_schema_passes_arguments_unchanged() -> None:
    made = Tool(name="proxy", parameters={"type": "object"}, function=lambda **given: given)
    assert call(made, a="5", b=[1]) == {"a": "5", "b": [1]}
    assert made(c=1) == {"c": 1}


def test_tool_without_function_cannot_run() -> None:
    with pytest.raises(ToolError, match="'remote' cannot be run here"):
        call(Tool(name="remote"))


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"timeout": 0}, "timeout of tool 'a'"),
        ({"timeout": "5"}, "timeout of tool 'a'"),
        ({"timeout": math.inf}, "timeout of tool 'a'"),
        ({"retries": -1}, "retries of tool 'a'"),
        ({"retries": 1.5}, "retries of tool 'a'"),
        ({"function": "f"}, "function of tool 'a'"),
    ],
)
def test_bad_tool_values_are_refused(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        Tool(name="a", **values)


def test_to_tools_accepts_functions_and_dicts() -> None:
    def add(a: int, b: int) -> int:
        """Add."""
        return a + b

    read = to_tools([describe, add, {"name": "remote"}])
    assert [made.name for made in read] == ["describe", "add", "remote"]
    assert call(read[1], a=1, b=2) == 3
    assert to_tools([]) == to_tools(None) == ()


@pytest.mark.parametrize(
    ("tools", "sentence"),
    [
        ([describe, describe], r"Several tools have the name \['describe'\]"),
        ([takes_any, {"name": "takes_any"}], "distinct name"),
        (describe, "a sequence of tools"),
        (takes_any, "a sequence of tools"),
        ({"name": "a"}, "a sequence of tools"),
        ([5], "a Tool, a dict or a function"),
    ],
)
def test_bad_tool_sequences_are_refused(tools: Any, sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        to_tools(tools)


def test_request_omits_the_function() -> None:
    from rxagents.wire.chat_completions.render import render_chat
    from rxagents.wire.request import ChatRequest

    request = ChatRequest("m", (rxagents.Message.user("hi"),), (describe,))
    tools = render_chat(request)["tools"]
    function = {"name": "describe", "description": describe.description}
    assert tools == [
        {"type": "function", "function": {**function, "parameters": describe.parameters}}
    ]
