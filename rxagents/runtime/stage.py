"""Describe one stage of a pipe: what was called, where in the user's code, and what comes before.

A stage keeps no item and no subscription. Its texts are made when somebody asks for them: when the
stage fails, or for a picture of the pipe.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Final, Literal, NamedTuple, TypeAlias

from rxagents.runtime.short_repr import Verbatim, one_line, short_call

StageKind: TypeAlias = Literal["source", "operator", "checkpoint", "unknown"]
"""`unknown`: a source or an operator that is not of this library."""

_serials = count(1)


class Location(NamedTuple):
    """A line of the user's code."""

    file: str
    line: int

    def __str__(self) -> str:
        path = Path(self.file)
        with suppress(ValueError, OSError):  # elsewhere, or the working directory is gone
            path = path.relative_to(Path.cwd())
        return f"{path}:{self.line}"


class Call:
    """A call of an operator or of a source by the user.

    Args:
        kind: What was called.
        name: Its name, or a function that returns it.
        arguments: The positional arguments.
        named: The named arguments.
        location: Where it was called; `None` if that is not known.

    Attributes:
        serial: A number that no other call of the process has.
    """

    __slots__ = ("_arguments", "_name", "_named", "kind", "location", "serial")

    def __init__(
        self,
        kind: StageKind,
        name: str | Callable[[], str],
        arguments: Sequence[object] = (),
        named: Mapping[str, object] | None = None,
        location: Location | None = None,
    ) -> None:
        self.kind: Final = kind
        self.location: Final = location
        self.serial: Final = next(_serials)
        self._name = name
        self._arguments = arguments
        self._named = named

    @property
    def name(self) -> str:
        """The name of what was called."""
        return self._name if isinstance(self._name, str) else self._name()

    @property
    def label(self) -> str:
        """The call as text, such as `timeout_idle(5)`."""
        if self.kind == "checkpoint":
            return f'checkpoint "{one_line(self.name)}"'
        if self._named is None:
            return self.name
        named = {key: _shown(value) for key, value in self._named.items()}
        return short_call(self.name, [_shown(value) for value in self._arguments], named)

    def __str__(self) -> str:
        return self.label if self.location is None else f"{self.label} at {self.location}"


def _shown(argument: object) -> object:
    return Verbatim(argument.label) if isinstance(argument, Call) else argument


class Stage(NamedTuple):
    """A call and the stages that it reads from.

    Attributes:
        call: What was called.
        upstream: The stage before it; `None` for a source.
        others: Further streams among the arguments, such as that of `fallback_to`.
    """

    call: Call
    upstream: Stage | None = None
    others: tuple[Stage, ...] = ()


def chain_of(stage: Stage) -> list[Stage]:
    """Return the stages from the source to `stage`."""
    chain: list[Stage] = []
    link: Stage | None = stage
    while link is not None:
        chain.append(link)
        link = link.upstream
    return chain[::-1]


UNKNOWN_SOURCE: Final = Stage(Call("unknown", "Observable"))
"""A source that was not made by this library."""


def unknown_operator(operator: object, upstream: Stage) -> Stage:
    """Return the stage of an operator that is not of this library; a user's function has a name."""
    name = getattr(operator, "__name__", "")
    module = str(getattr(operator, "__module__", ""))
    if not name or module.partition(".")[0] in {"reactivex", "functools"}:
        name = "reactivex operator"
    return Stage(Call("unknown", "lambda" if name == "<lambda>" else name), upstream)


def user_location(depth: int) -> Location | Literal["library"] | None:
    """Return the line of the user's code that called.

    Args:
        depth: The number of frames between this one and the caller's: 1 for a factory.

    Returns:
        The line; `None` if the call comes from reactivex while the library emits, as from
        `flat_map(llm.chat_stream)`; `"library"` if the library itself calls.
    """
    frame = sys._getframe(depth + 1)  # noqa: SLF001 - a traceback or `inspect` would read the source
    module = frame.f_globals.get("__name__", "")
    if module.startswith("rxagents."):
        return "library"
    if module.startswith("reactivex."):
        while module.startswith("reactivex.") and frame.f_back is not None:
            frame = frame.f_back
            module = frame.f_globals.get("__name__", "")
        if module.startswith(("rxagents.", "reactivex.", "asyncio.")):
            return None
    return Location(frame.f_code.co_filename, frame.f_lineno)
