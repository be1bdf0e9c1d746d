"""The user's own fields of a request body."""

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
