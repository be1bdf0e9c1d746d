"""Define the decisions about a tool call that requires approval."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from msgspec import Struct


class Approve(Struct, frozen=True, tag="approve"):
    """Let a tool call run.

    Attributes:
        arguments: The arguments to run it with, in place of the model's; `None` keeps those. They
            are checked as the model's are.
    """

    arguments: dict[str, Any] | None = None


class Deny(Struct, frozen=True, tag="deny"):
    """Refuse a tool call.

    Attributes:
        reason: Why, for the model; may be empty.
    """

    reason: str = ""


Decision: TypeAlias = bool | Approve | Deny
"""`True` is `Approve()`, and `False` is `Deny()`."""

Decisions: TypeAlias = Mapping[str, Decision]
"""Decisions about calls that wait, by call id."""
