"""Define tools: functions that a model may call."""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, overload

from msgspec import Struct, field, structs

from rxagents.core.call_signature import CallSignature
from rxagents.core.checks import (
    checked_count,
    checked_count_or_zero,
    checked_function,
    checked_seconds,
)
from rxagents.core.errors import ConfigurationError, ToolError
from rxagents.core.live_tools import LiveTools, with_live_tools
from rxagents.core.schema_check import SchemaCheck
from rxagents.core.tool_context import ToolContext
from rxagents.core.tool_documentation import documentation_of

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")


def _no_parameters() -> dict[str, Any]:
    return {"type": "object", "properties": {}}


class Tool(Struct, frozen=True, kw_only=True):
    """A tool that a model may call. `rxagents.tool` makes one from a function.

    A tool that has a function can be called like that function.

    Attributes:
        name: 1 to 64 letters, digits, `_` or `-`, which all providers accept.
        description: What the tool does and when to use it, written for the model.
        parameters: The JSON schema of the arguments: an object schema.
        strict: Whether the provider enforces the schema; `None` for its default.
        function: The function to call; `None` if the tool is only announced to the model and
            executed elsewhere.
        timeout: Seconds that one attempt may take; `None` for no limit.
        retries: How many times to call the function again after it raised. Invalid arguments are
            not retried, nor is a timeout, after which the first call may still be running.
        requires_approval: Whether a call needs approval before it runs.
        max_result_length: How many characters of a result, or of an error, the model sees at most;
            a sentence after them says how many were left out. `None` for the agent's limit.
        returns_directly: Whether the result is the run's answer, so that the model is not asked
            again; see `tool`.
        idempotent: Whether a call may run again after the process that ran it was lost. By default
            it is not run again, and the model sees that its outcome is unknown.
        check: Whether a tool that is made of a schema and a function checks the arguments against
            the schema, with the library `jsonschema` (the extra `schema`).
        signature: Converts the arguments to a call; without it they are passed by name, unchanged.

    Raises:
        ConfigurationError: A value is out of range or of the wrong type, `parameters` are no JSON
            schema, or `jsonschema` is not installed and `check` is true.
    """

    name: str
    description: str = ""
    parameters: dict[str, Any] = field(default_factory=_no_parameters)
    strict: bool | None = None
    function: Callable[..., Any] | None = None
    timeout: float | None = None
    retries: int = 0
    requires_approval: bool = False
    max_result_length: int | None = None
    returns_directly: bool = False
    idempotent: bool = False
    check: bool = True
    signature: CallSignature | SchemaCheck | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.match(self.name):
            raise ConfigurationError(
                f"Invalid tool name {self.name!r}: use 1 to 64 letters, digits, '_' or '-'."
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
        if self.max_result_length is not None:
            checked_count(f"The max_result_length of tool {self.name!r}", self.max_result_length)
        has_schema = self.parameters != _no_parameters()
        if self.function is not None and self.signature is None and self.check and has_schema:
            check = SchemaCheck.of(self.name, self.parameters)
            structs.force_setattr(self, "signature", check)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function with the same arguments."""
        return self._known_function()(*args, **kwargs)

    def bind(self, arguments: Mapping[str, Any], context: ToolContext) -> functools.partial[Any]:
        """Return a partial that calls the function with a model's arguments.

        Args:
            arguments: The arguments by name, decoded from JSON.
            context: The value for the function's `ToolContext` parameter, if it has one.

        Raises:
            ToolArgumentsError: The arguments do not match; the message is written for the model.
            ToolError: The tool has no function.
        """
        function = self._known_function()
        if self.signature is None:
            return functools.partial(function, **arguments)
        return self.signature.bind(function, arguments, context)

    def _known_function(self) -> Callable[..., Any]:
        if self.function is None:
            raise ToolError(f"The tool {self.name!r} cannot be run here. Continue without it.")
        return self.function

    @classmethod
    def from_dict(cls, definition: Mapping[str, Any]) -> Tool:
        """Make a tool from OpenAI's dict format, with or without its outer object.

        Args:
            definition: `{"type": "function", "function": {"name": …, "parameters": …}}`, or the
                inner object alone.

        Raises:
            ConfigurationError: The name is missing, or a key is unknown.
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


ToolLike: TypeAlias = Tool | LiveTools | Mapping[str, Any] | Callable[..., Any]


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
    max_result_length: int | None = None,
    returns_directly: bool = False,
    idempotent: bool = False,
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
    max_result_length: int | None = None,
    returns_directly: bool = False,
    idempotent: bool = False,
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
    max_result_length: int | None = None,
    returns_directly: bool = False,
    idempotent: bool = False,
) -> Tool | Callable[[Callable[..., Any]], Tool]:
    """Make a tool from a function.

    A synchronous function runs on a thread. The function may also be asynchronous, a generator
    of either kind, or return an Observable: then the items are the tool's progress, and the last
    item is its result. A result that is not a `str` is rendered as JSON for the model.

    The schema of the parameters comes from the type hints. Their descriptions come from the
    docstring (Google, NumPy or reST) or from `Annotated[int, msgspec.Meta(description="…")]`,
    which may also set bounds. A parameter annotated `ToolContext` receives the context of the
    call.

    Args:
        function: The function; omitted when the decorator has other arguments.
        name: The tool's name; the function's name by default.
        description: The description for the model; the docstring's text by default.
        timeout: Seconds that one attempt may take.
        retries: How many times to call the function again after it raised.
        strict: Ask the provider to enforce the schema, which then has the form that OpenAI's
            strict mode requires: an optional argument becomes nullable instead.
        requires_approval: Whether a call needs approval before it runs.
        max_result_length: How many characters of a result the model sees at most.
        returns_directly: Whether the result is the answer of an agent's run. Other calls of the
            same turn run to their end first. If the tool fails, the model sees the error instead.
        idempotent: Whether a call may run again after the process that ran it was lost.

    Returns:
        The tool, which can be called like the function; or a decorator that makes it.

    Raises:
        ConfigurationError: A model cannot call the function, or an argument is invalid.

    Example:
        >>> import rxagents
        >>> @rxagents.tool
        ... def add(a: int, b: int) -> int:
        ...     "Add two numbers."
        ...     return a + b
        >>> add.description, add(a=1, b=2)
        ('Add two numbers.', 3)
    """

    def decorate(function: Callable[..., Any]) -> Tool:
        signature = CallSignature.of(function)
        text, descriptions = documentation_of(function)
        return Tool(
            name=function.__name__ if name is None else name,
            description=text if description is None else description,
            parameters=signature.schema(function.__name__, descriptions, strict=bool(strict)),
            strict=strict,
            function=function,
            timeout=timeout,
            retries=retries,
            requires_approval=requires_approval,
            max_result_length=max_result_length,
            returns_directly=returns_directly,
            idempotent=idempotent,
            signature=signature,
        )

    return decorate if function is None else decorate(function)


def to_tools(tools: Sequence[ToolLike] | None) -> tuple[Tool, ...]:
    """Convert tools, dicts and plain functions to tools with distinct names.

    Raises:
        ConfigurationError: An item is not a tool, or two tools have the same name.
    """
    if isinstance(tools, (str, bytes, Tool, Mapping)) or not isinstance(tools, Sequence | None):
        raise ConfigurationError(f"tools must be a sequence of tools, not {type(tools).__name__}.")
    read = tuple(_to_tool(tool) for tool in with_live_tools(tools or ()))
    counts = Counter(tool.name for tool in read)
    twice = [name for name, count in counts.items() if count > 1]
    if twice:
        raise ConfigurationError(
            f"Several tools have the name {sorted(twice)}: give each tool a distinct name."
        )
    return read


def _to_tool(given: object) -> Tool:
    if isinstance(given, Tool):
        return given
    if isinstance(given, Mapping):
        return Tool.from_dict(given)
    if callable(given):
        return tool(given)
    raise ConfigurationError(
        f"A tool must be a Tool, a dict or a function, not {type(given).__name__}."
    )
