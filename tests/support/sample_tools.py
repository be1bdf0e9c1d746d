"""Sample tools, and a call of a tool with a model's arguments."""

from __future__ import annotations

import dataclasses
import enum
from typing import Annotated, Any, Literal

import msgspec

from rxagents import Tool, ToolContext, tool

CONTEXT = ToolContext("call_1", "describe")


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclasses.dataclass
class Point:
    x: int
    y: int = 0


def call(tool: Tool, **arguments: Any) -> Any:
    return tool.bind(arguments, CONTEXT)()


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
        Not shown to the model.
    """
    return dict(locals())


def takes_any(thing: Any) -> None: ...
