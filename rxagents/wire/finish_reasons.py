"""Finish reasons that matter for tool calls."""

from __future__ import annotations

WHOLE = frozenset({"stop", "tool_calls"})
"""Unified finish reasons of responses that are whole: only these seal the calls that are open.

The others may end inside a call: `length`, `content_filter`, and every word that is not known, such
as `network_error` or `abort`.
"""
