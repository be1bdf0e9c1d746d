"""Finish reasons that matter for tool calls."""

from __future__ import annotations

CUT = frozenset({"length", "content_filter"})
"""Finish reasons of responses that may end inside a tool call: they seal no call."""
