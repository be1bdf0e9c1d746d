"""Check a model's arguments against a JSON schema that the user wrote, with `jsonschema`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from rxagents.core.errors import ConfigurationError, ToolArgumentsError
from rxagents.core.tool_context import ToolContext


class SchemaCheck(Struct, frozen=True):
    """The check of a tool whose schema the user wrote.

    Attributes:
        validator: A validator of `jsonschema` for the schema.
        returns_observable: Always false: the function's annotations are not read.
    """

    validator: Any
    returns_observable: bool = False

    @classmethod
    def of(cls, tool: str, schema: dict[str, Any]) -> SchemaCheck:
        """Make the check for the schema of `tool`.

        Raises:
            ConfigurationError: `jsonschema` is not installed, or the schema is not valid.
        """
        try:
            import jsonschema  # imported here: it is an extra, and only such tools need it
            import referencing  # a dependency of jsonschema
        except ImportError as error:
            raise ConfigurationError(
                f"Tool {tool!r} has a JSON schema, and the check of its arguments needs the "
                "library jsonschema: pip install 'rxagents[schema]', or pass check=False."
            ) from error
        kind = jsonschema.validators.validator_for(schema, jsonschema.Draft202012Validator)
        try:
            kind.check_schema(schema)
        except jsonschema.SchemaError as error:
            raise ConfigurationError(
                f"The parameters of tool {tool!r} are no valid JSON schema: {error.message}."
            ) from error
        # An empty registry: by default jsonschema fetches a `$ref` to another host.
        return cls(kind(schema, registry=referencing.Registry()))

    def bind(
        self, function: Callable[..., Any], arguments: Mapping[str, Any], context: ToolContext
    ) -> functools.partial[Any]:
        """Return a partial that calls `function` with `arguments` by name.

        Raises:
            ToolArgumentsError: The arguments do not match; the message is written for the model.
        """
        errors = sorted(self.validator.iter_errors(dict(arguments)), key=lambda e: e.json_path)
        if errors:
            why = "; ".join(f"{e.message} (at {e.json_path})" for e in errors[:3])
            raise ToolArgumentsError(
                f"The arguments of {context.name!r} are not valid: {why}. Correct them and call it "
                "again."
            )
        return functools.partial(function, **arguments)
