"""The fields of a request body that depend on the user's own ones."""

from __future__ import annotations

from typing import Any

from rxagents.core.settings import Settings


def with_extra_body(body: dict[str, Any], settings: Settings, merged: str = "") -> dict[str, Any]:
    """Return `body` with `Settings.extra_body`, without the fields that are `None`.

    Args:
        body: The rendered body.
        settings: The settings; their `extra_body` overrides fields of `body`, or removes them with
            `None`.
        merged: The name of a field whose two objects are merged.
    """
    extra = dict(settings.extra_body or {})
    if isinstance(extra.get(merged), dict):
        extra[merged] = {**(body.get(merged) or {}), **extra[merged]}
    return {name: value for name, value in {**body, **extra}.items() if value is not None}


_TOOL_SETTINGS = ("tool_choice", "parallel_tool_calls", "toolConfig")


def without_idle_tool_settings(body: dict[str, Any], settings: Settings) -> dict[str, Any]:
    """Return `body` without settings of tools if it sends no tools: APIs refuse them then.

    A model may have such settings while a request, such as a summary, needs no tools. Fields of
    `extra_body` stay.
    """
    if body.get("tools"):
        return body
    given = settings.extra_body or {}
    idle = [name for name in _TOOL_SETTINGS if name not in given]
    return {name: value for name, value in body.items() if name not in idle}
