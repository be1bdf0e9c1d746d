"""Define the generation settings, which are validated when they are created."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from types import UnionType
from typing import Any, TypeAlias, TypedDict, Unpack

from msgspec import Struct, structs

from rxagents.core.argument_names import check_names
from rxagents.core.errors import ConfigurationError
from rxagents.core.header_text import checked_headers
from rxagents.core.output_type import is_output_type
from rxagents.core.timeouts import Timeouts

ResponseFormat: TypeAlias = str | dict[str, Any] | type | UnionType
"""`"text"`, `"json_object"`, a dict in the provider's own format, or the type of the answer."""


_FORMATS = {"text", "json_object"}


class GenerationArguments(TypedDict, total=False):
    """The settings without `response_format`, as keyword arguments; `Settings` documents them."""

    temperature: float | None
    top_p: float | None
    max_tokens: int | None
    stop: str | Sequence[str] | None
    seed: int | None
    tool_choice: str | None
    parallel_tool_calls: bool | None
    extra_body: dict[str, Any] | None
    raw: bool | None
    headers: Mapping[str, str] | None
    timeout: Timeouts | float | None


class SettingsArguments(GenerationArguments, total=False):
    """The settings as keyword arguments; `Settings` documents them."""

    response_format: ResponseFormat | None


class Settings(Struct, frozen=True, kw_only=True):
    """Generation settings; `None` leaves a setting to the provider.

    Attributes:
        temperature: 0 or more.
        top_p: Between 0 and 1.
        max_tokens: The largest number of tokens of the answer; 1 or more.
        stop: Stop sequences; the provider limits their number.
        seed: Makes answers repeatable, as far as the provider supports it.
        tool_choice: `"auto"`, `"none"`, `"required"`, or the name of the tool to call.
        parallel_tool_calls: Whether the model may call several tools in one turn.
        response_format: The format of the answer: `"text"`, `"json_object"`, a dict in the
            provider's own format, or a type such as `City` or `list[City]`. A type that is no JSON
            object is asked for as an object with one field, `value`.
        extra_body: Fields that are added unchanged to the request's body; they override the
            fields that the library renders, and the value `None` removes a field.
        raw: Whether each chunk keeps the bytes of its event in `StreamChunk.raw`; not sent.
        headers: More HTTP headers of the request; they replace those of the model of the same name.
            Models in process ignore them.
        timeout: The time limits of the request, in place of the model's: `Timeouts`, or seconds
            for the first event and for each further one. Models in process ignore them.

    Raises:
        ConfigurationError: A value is out of its range or of the wrong type.
    """

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] | None = None
    seed: int | None = None
    tool_choice: str | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    extra_body: dict[str, Any] | None = None
    raw: bool | None = None
    headers: Mapping[str, str] | None = None
    timeout: Timeouts | float | None = None

    def __post_init__(self) -> None:
        _check_number("temperature", self.temperature, upper=sys.float_info.max)
        _check_number("top_p", self.top_p, upper=1)
        _check_type("max_tokens", self.max_tokens, int, "a whole number of tokens")
        if self.max_tokens is not None and self.max_tokens < 1:
            raise ConfigurationError(f"max_tokens must be 1 or more, not {self.max_tokens}.")
        _check_type("seed", self.seed, int, "a whole number")
        _check_type("tool_choice", self.tool_choice, str, "'auto', 'none', 'required' or a name")
        _check_type("parallel_tool_calls", self.parallel_tool_calls, bool, "True or False")
        _check_type("extra_body", self.extra_body, dict, "a dict")
        _check_type("raw", self.raw, bool, "True or False")
        if self.headers is not None:
            checked_headers(self.headers)
        if self.timeout is not None:
            Timeouts.of(self.timeout)
        _check_type("stop", self.stop, tuple, "a str or a sequence of str")
        if self.stop is not None and not all(isinstance(s, str) and s for s in self.stop):
            raise ConfigurationError(
                f"stop must contain only non-empty strings, not {self.stop!r}."
            )
        if not is_output_type(self.response_format):
            _check_type(
                "response_format",
                self.response_format,
                (str, dict),
                "'text', 'json_object', a dict or a type",
            )
        if isinstance(self.response_format, str) and self.response_format not in _FORMATS:
            raise ConfigurationError(
                f"response_format must be 'text', 'json_object', a dict or a type, not "
                f"{self.response_format!r}."
            )

    def __repr__(self) -> str:
        """Show the settings that are set, and of the headers only the names."""
        values = {name: getattr(self, name) for name in self.__struct_fields__}
        values["headers"] = None if self.headers is None else dict.fromkeys(self.headers, "***")
        shown = (f"{name}={value!r}" for name, value in values.items() if value is not None)
        return f"Settings({', '.join(shown)})"

    def override(self, **changes: Unpack[SettingsArguments]) -> Settings:
        """Return a copy with the values of `changes` that are not `None`.

        Raises:
            ConfigurationError: A name is unknown, or a value is out of range or of the wrong type.
        """
        check_names("A call of the model", changes, self.__struct_fields__)
        given: dict[str, object] = {n: value for n, value in changes.items() if value is not None}
        if "stop" in given:
            given["stop"] = _to_tuple(given["stop"])
        return structs.replace(self, **given) if given else self


def _to_tuple(stop: object) -> object:
    if isinstance(stop, str):
        return (stop,)
    return tuple(stop) if isinstance(stop, Sequence) else stop


def _check_number(name: str, value: object, upper: float) -> None:
    _check_type(name, value, (int, float), "a number")
    if isinstance(value, (int, float)) and not 0 <= value <= upper:
        limit = "between 0 and 1" if upper == 1 else "0 or more"
        raise ConfigurationError(f"{name} must be {limit}, not {value}.")


def _check_type(name: str, value: object, types: type | tuple[type, ...], wanted: str) -> None:
    if value is None:
        return
    bool_for_number = isinstance(value, bool) and types is not bool
    if bool_for_number or not isinstance(value, types):
        raise ConfigurationError(f"{name} must be {wanted}, not {value!r}.")
