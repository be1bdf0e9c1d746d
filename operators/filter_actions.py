"""The actions among the steps of an agent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reactivex import Observable
from reactivex import operators as ops

from rxagents.core.errors import ConfigurationError
from rxagents.core.messages import ToolCall


def filter_actions(*names: str) -> Callable[[Observable[Any]], Observable[ToolCall]]:
    """Keep the tool calls, all of them or those of the named tools.

    .. marble::
        --Token--Thought--add(1, 2)--search("x")--Answer--|
        [ filter_actions("add") ]
        ------------------add(1, 2)-----------------------|

    Emits when: the source emits a `ToolCall`, of one of the tools if some are named.
    Backpressures when: downstream does.
    Completes when: the source completes.

    Args:
        names: The names of the tools; none for all tools.

    Returns:
        An operator from steps, or any other items, to the tool calls among them.

    Raises:
        ConfigurationError: At once, if a name is not a text or empty. The source's errors pass.

    Example:
        >>> import reactivex as rx
        >>> from rxagents import Thought, ToolCall, operators as ops
        >>> steps = rx.of(Thought("I must add."), ToolCall("call_1", "add", '{"a": 1}'))
        >>> steps.pipe(ops.filter_actions()).subscribe(lambda call: print(call.name))
        add
        <...>
    """
    for name in names:
        if not isinstance(name, str) or not name:
            raise ConfigurationError(f"filter_actions takes the names of tools, not {name!r}.")
    wanted = frozenset(names)

    def is_wanted(item: object) -> bool:
        return isinstance(item, ToolCall) and (not wanted or item.name in wanted)

    return ops.filter(is_wanted)
