"""Tools: what a model may call, and the functions behind it."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, overload

from msgspec import Struct, field

from rxagents.core.call_signature import CallSignature
from rxagents.core.checks import checked_count_or_zero, checked_function, checked_seconds
from rxagents.core.errors import ConfigurationError, ToolError
from rxagents.core.tool_context import ToolContext

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")


def _no_parameters() -> dict[str, Any]:
    return {"type": "object", "properties": {}}


class Tool(Struct, frozen=True, kw_only=True):
    """What a model may call. `rxagents.tool` makes one of a function.

    A tool that has a function can be called like it.

    Attributes:
        name: 1 to 64 letters, digits, `_` or `-`: what all providers accept.
        description: What the tool does and when to use it, written for the model.
        parameters: The JSON schema of the arguments: an object schema.
        strict: Ask the provider to enforce the schema; `None` leaves it to its default.
        function: What to call; `None` if the tool is only announced, and somebody else runs it.
        timeout: How many seconds one attempt may take; `None` for any number.
        retries: How often to call the function again after it raised. Never after arguments
            that do not fit, nor after a timeout, when the first call may still be at work.
        requires_approval: Somebody has to agree before it runs.
        signature: How arguments become a call; without it they are passed by name, as they are.

    Raises:
        ConfigurationError: A value is not usable.
    """

    name: str
    description: str = ""
    parameters: dict[str, Any] = field(default_factory=_no_parameters)
    strict: bool | None = None
    function: Callable[..., Any] | None = None
    timeout: float | None = None
    retries: int = 0
    requires_approval: bool = False
    signature: CallSignature | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.match(self.name):
            raise ConfigurationError(
                f"A tool cannot be called {self.name!r}: use 1 to 64 letters, digits, '_' or '-'."
            )
        if not isinstance(self.parameters, Mapping):
            raise ConfigurationError(
                f"The parameters of tool {self.name!r} must be a JSON schema (a dict), "
                f"not {type(self.parameters).__name__}."
            )
        if self.function is not None:
            checked_function(f"The function of tool {self.name!r}", self.function)
        if self.timeout is not None:
            checked_seconds(f"The timeout of tool {self.name!r}", self.timeout)
        checked_count_or_zero(f"The retries of tool {self.name!r}", self.retries)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function, as it is."""
        return self._known_function()(*args, **kwargs)

    def bind(self, arguments: Mapping[str, Any], context: ToolContext) -> functools.partial[Any]:
        """Return a call of the function with a model's arguments.

        Args:
            arguments: By name, as decoded from JSON.
            context: For the parameter that wants it.

        Raises:
            ToolArgumentsError: The arguments do not fit; the message is written for the model.
            ToolError: There is no function.
        """
        function = self._known_function()
        if self.signature is None:
            return functools.partial(function, **arguments)
        return self.signature.bind(function, arguments, context)

    def _known_function(self) -> Callable[..., Any]:
        if self.function is None:
            raise ToolError(f"The tool {self.name!r} cannot be run here. Go on without it.")
        return self.function

    @classmethod
    def from_dict(cls, definition: Mapping[str, Any]) -> Tool:
        """Read a tool from the shape OpenAI made common, with or without its outer wrapper.

        Args:
            definition: `{"type": "function", "function": {"name": …, "parameters": …}}`, or the
                inner object alone.

        Raises:
            ConfigurationError: No name, or keys that no tool has.
        """
        function = definition.get("function", definition)
        if not isinstance(function, Mapping) or not function.get("name"):
            raise ConfigurationError(
                'A tool needs a name: {"name": "…", "description": "…", "parameters": {…}}.'
            )
        unknown = set(function) - {"name", "description", "parameters", "strict", "type"}
        if unknown:
            raise ConfigurationError(
                f"Tool {function['name']!r} has unknown keys {sorted(unknown)}: "
                "use name, description, parameters and strict."
            )
        return cls(
            name=function["name"],
            description=function.get("description") or "",
            parameters=function.get("parameters") or _no_parameters(),
            strict=function.get("strict"),
        )


ToolLike: TypeAlias = Tool | Mapping[str, Any] | Callable[..., Any]


@overload
def tool(
    function: Callable[..., Any],
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    timeout: float | None = None,
    retries: int = 0,
    strict: bool | None = None,
    requires_approval: bool = False,
) -> Tool: ...


@overload
def tool(
    *,
    name: str | None = None,
    description: str | None = None,
    timeout: float | None = None,
    retries: int = 0,
    strict: bool | None = None,
    requires_approval: bool = False,
) -> Callable[[Callable[..., Any]], Tool]: ...


def tool(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    timeout: float | None = None,
    retries: int = 0,
    strict: bool | None = None,
    requires_approval: bool = False,
) -> Tool | Callable[[Callable[..., Any]], Tool]:
    """Make a tool of a function.

    ::

        @rxagents.tool
        def add(a: int, b: int) -> int:
            '''Add two numbers.'''
            return a + b

    The function may be synchronous, and then runs on a thread; asynchronous; a generator of
    either kind, or one that returns an Observable: then the items are the tool's progress, and
    the last one is its result. What is not a `str` is given to the model as JSON.

    The schema of the parameters comes from the type hints, and what they are for from the
    docstring (Google, NumPy or reST) or from `Annotated[int, msgspec.Meta(description="…")]`,
    which may also set bounds. A parameter annotated `ToolContext` is filled in.

    Args:
        function: The function; left out in a decorator with other arguments.
        name: The tool's name; the function's by default.
        description: What the model reads; the docstring's text by default.
        timeout: How many seconds one attempt may take.
        retries: How often to call the function again after it raised.
        strict: Ask the provider to enforce the schema, which is made to fit OpenAI's strict
            mode: an argument that may be left out may then be null in its place.
        requires_approval: Somebody has to agree before it runs.

    Returns:
        The tool, which can be called as the function could; or a decorator that makes it.

    Raises:
        ConfigurationError: A model cannot call the function, or an argument is not usable.
    """

    def decorate(function: Callable[..., Any]) -> Tool:
        signature = CallSignature.of(function)
        text, descriptions = _documentation(function)
        return Tool(
            name=function.__name__ if name is None else name,
            description=text if description is None else description,
            parameters=signature.schema(function.__name__, descriptions, strict=bool(strict)),
            strict=strict,
            function=function,
            timeout=timeout,
            retries=retries,
            requires_approval=requires_approval,
            signature=signature,
        )

    return decorate if function is None else decorate(function)


def to_tools(tools: Sequence[ToolLike] | None) -> tuple[Tool, ...]:
    """Read tools, some of which may be dicts or plain functions; their names must differ.

    Raises:
        ConfigurationError: It is not usable.
    """
    if isinstance(tools, (str, bytes, Tool, Mapping)) or not isinstance(tools, Sequence | None):
        raise ConfigurationError(f"tools must be a sequence of tools, not {type(tools).__name__}.")
    read = tuple(_to_tool(tool) for tool in tools or ())
    names = [tool.name for tool in read]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ConfigurationError(f"Two tools are called {sorted(twice)}: names must differ.")
    return read


def _to_tool(given: ToolLike) -> Tool:
    if isinstance(given, Tool):
        return given
    if isinstance(given, Mapping):
        return Tool.from_dict(given)
    if callable(given):
        return tool(given)
    raise ConfigurationError(
        f"A tool must be a Tool, a dict or a function, not {type(given).__name__}."
    )


def _documentation(function: Callable[..., Any]) -> tuple[str, dict[str, str]]:
    """Return what the docstring says of the function and of its parameters."""
    import docstring_parser  # its import takes 19 ms, which only who makes tools shall pay

    text = inspect.getdoc(function) or ""
    try:
        parsed = docstring_parser.parse(text)
    except docstring_parser.ParseError:
        return text, {}
    told = {part.arg_name: part.description for part in parsed.params if part.description}
    return (parsed.description or "").strip(), told
