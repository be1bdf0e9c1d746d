"""Convert a model's arguments to the call of a Python function."""

from __future__ import annotations

import functools
import inspect
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from types import NoneType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import UNSET, Struct, UnsetType
from reactivex import Observable

from rxagents.core.argument_schema import Schema, schema_of, strict_schema
from rxagents.core.errors import ConfigurationError, ToolArgumentsError
from rxagents.core.json_text import JSON_ERRORS, is_json
from rxagents.core.model_types import convert_model
from rxagents.core.tool_context import ToolContext

_PATH = re.compile(r"at `\$\.(\w+)")


class CallSignature(Struct, frozen=True, kw_only=True):
    """The signature of a tool's function, as Python and as the model see it.

    Attributes:
        python: The function's Python signature.
        arguments: A Struct type with one field for each argument of the model.
        optional: The optional arguments, by name; the value is true if null means "omitted",
            and false if the argument's type accepts null itself.
        context: The name of the parameter that takes the `ToolContext`; empty for none.
        returns_observable: Whether the return annotation is an Observable.
    """

    python: inspect.Signature
    arguments: type[Struct]
    optional: dict[str, bool]
    context: str
    returns_observable: bool

    @classmethod
    def of(cls, function: Callable[..., Any]) -> CallSignature:
        """Read the signature of `function`.

        Raises:
            ConfigurationError: A model cannot call the function.
        """
        hints, python = _read(function)
        fields: list[tuple[str, Any, Any]] = []
        optional: dict[str, bool] = {}
        context = ""
        for name, parameter in python.parameters.items():
            _check(function, parameter)
            hint = hints.get(name, Any)
            if _is_context(hint):
                _check_single(function, context, name)
                context = name
            elif parameter.default is parameter.empty:
                fields.append((name, hint, msgspec.NODEFAULT))
            else:
                if parameter.default is None and not _takes_none(hint):
                    hint = Union[hint, None]  # noqa: UP007 - of a type, known at run time
                fields.append((name, Union[hint, UnsetType], UNSET))  # noqa: UP007 - as above
                optional[name] = not _takes_none(hint)
        return cls(
            python=python,
            arguments=msgspec.defstruct(
                "Arguments", fields, kw_only=True, forbid_unknown_fields=True
            ),
            optional=optional,
            context=context,
            returns_observable=_is_observable(hints.get("return")),
        )

    def schema(self, function: str, descriptions: Mapping[str, str], *, strict: bool) -> Schema:
        """Return the JSON schema of the arguments.

        Args:
            function: The function's name, for error messages.
            descriptions: The descriptions of the parameters; one in `Meta` takes precedence.
            strict: Whether to produce the form that OpenAI's strict mode requires.

        Raises:
            ConfigurationError: A parameter's type has no schema, or no strict one.
        """
        try:
            schema = schema_of(self.arguments)
        except (TypeError, ValueError) as error:
            raise ConfigurationError(
                f"A parameter of {function!r} has a type without a JSON schema: "
                f"{str(error).splitlines()[-1]}. Use str, "
                "int, float, bool, list, dict, Literal, an Enum, a dataclass or a msgspec.Struct."
            ) from error
        for name, argument in schema["properties"].items():
            if name in descriptions:
                argument.setdefault("description", descriptions[name])
            default = self.python.parameters[name].default
            if name in self.optional and _is_plain(default):
                argument["default"] = default
        return strict_schema(schema, self.optional) if strict else schema

    def bind(
        self,
        function: Callable[..., Any],
        arguments: Mapping[str, Any],
        context: ToolContext,
    ) -> functools.partial[Any]:
        """Return a partial that calls `function` with `arguments`.

        Raises:
            ToolArgumentsError: The arguments do not match; the message is written for the model.
        """
        values = self._converted(arguments, context.name)
        if self.context:
            values[self.context] = context
        bound = inspect.BoundArguments(self.python, values)
        bound.apply_defaults()
        return functools.partial(function, *bound.args, **bound.kwargs)

    def _converted(self, arguments: Mapping[str, Any], tool: str) -> OrderedDict[str, Any]:
        known = self.arguments.__struct_fields__
        unknown = sorted(arguments.keys() - set(known))
        missing = [name for name in known if name not in {*arguments, *self.optional}]
        if unknown or missing:
            names = [f"no argument {name!r}" for name in unknown]
            names += [f"{name!r} is missing" for name in missing]
            raise self._refusal(tool, ", ".join(names))
        given = {
            name: value
            for name, value in arguments.items()
            if value is not None or not self.optional.get(name, False)
        }
        try:
            converted = self._convert(given)
        except JSON_ERRORS as error:
            raise self._refusal(tool, self._explained(str(error))) from error
        return OrderedDict((name, getattr(converted, name)) for name in given)

    def _convert(self, given: dict[str, Any]) -> Struct:
        """Convert the arguments; read one that is JSON text where its type is no text.

        Models write lists and objects as texts, such as `{"names": "[1, 2]"}`. A text that its
        type accepts stays a text.
        """
        read: set[str] = set()
        while True:
            try:
                return msgspec.convert(given, self.arguments, strict=False, dec_hook=convert_model)
            except JSON_ERRORS as error:
                path = _PATH.search(str(error))
                name = path[1] if path else ""
                text = given.get(name)
                if name in read or not isinstance(text, str) or not is_json(text):
                    raise
                read.add(name)
                given = {**given, name: msgspec.json.decode(text)}

    def _explained(self, message: str) -> str:
        """Return msgspec's message with the schema of the argument that it names."""
        path = _PATH.search(message)
        properties = schema_of(self.arguments)["properties"]
        if path is None or path[1] not in properties:
            return message
        return f"{message}, whose schema is {msgspec.json.encode(properties[path[1]]).decode()}"

    def _refusal(self, tool: str, why: str) -> ToolArgumentsError:
        names = [
            f"{name} (optional)" if name in self.optional else name
            for name in self.arguments.__struct_fields__
        ]
        takes = ", ".join(names) or "no arguments"
        return ToolArgumentsError(
            f"The arguments of {tool!r} are not valid: {why}. It takes {takes}. Correct them and "
            "call it again."
        )


def _read(function: Callable[..., Any]) -> tuple[dict[str, Any], inspect.Signature]:
    if not inspect.isroutine(function):
        raise ConfigurationError(
            f"A tool needs a function or a method, not {function!r}: wrap it in a function."
        )
    try:
        return get_type_hints(function, include_extras=True), inspect.signature(function)
    except Exception as error:
        raise ConfigurationError(
            f"Cannot resolve the parameter types of {function.__qualname__} ({error}). Import them "
            "at the top of the module that defines the function, and not only under "
            "TYPE_CHECKING."
        ) from error


def _check(function: Callable[..., Any], parameter: inspect.Parameter) -> None:
    """Reject a parameter that a model cannot pass: it passes each argument by its schema name."""
    name = parameter.name
    if parameter.kind is parameter.VAR_POSITIONAL:
        advice = f"*{name}: take a list instead, such as {name}: list[str]"
    elif parameter.kind is parameter.VAR_KEYWORD:
        advice = f"**{name}: name each parameter, or take a dict, such as {name}: dict[str, str]"
    elif name in {"self", "cls"} and parameter.annotation is parameter.empty:
        advice = f"{name}: make the tool from the bound method, as in tool(instance.method)"
    else:
        return
    raise ConfigurationError(f"A model cannot call {function.__qualname__} with {advice}.")


def _check_single(function: Callable[..., Any], known: str, name: str) -> None:
    """Reject a second parameter for the context."""
    if known:
        raise ConfigurationError(
            f"{function.__qualname__} takes the ToolContext twice, as {known} and as {name}: "
            "remove one of them."
        )


def _is_context(hint: object) -> bool:
    """Return whether a parameter takes the context; it may be optional, and generic."""
    return any(ToolContext in (kind, get_origin(kind)) for kind in (hint, *get_args(hint)))


def _takes_none(hint: object) -> bool:
    if get_origin(hint) is Annotated:
        return _takes_none(get_args(hint)[0])
    return hint in (Any, None, NoneType) or NoneType in get_args(hint)


def _is_observable(hint: object) -> bool:
    kind = get_origin(hint) or hint
    return isinstance(kind, type) and issubclass(kind, Observable)


def _is_plain(default: object) -> bool:
    return isinstance(default, (str, int, float)) and type(default) in {str, int, float, bool}
