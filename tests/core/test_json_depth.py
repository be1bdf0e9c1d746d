"""Nesting of JSON, measured before decoding."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxagents.core.json_depth import is_any_line_deeper, is_deeper

VALUES = st.recursive(
    st.none() | st.text(st.sampled_from('[]{}"\\a'), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("[{"), inner, max_size=3),
    max_leaves=20,
)


def depth(value: Any) -> int:
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


@given(VALUES)
def test_depth_of_any_json_is_measured(value: Any) -> None:
    data = json.dumps(value).encode()
    assert not is_deeper(data, depth(value))
    assert is_deeper(data, depth(value) - 1) or depth(value) == 0


@pytest.mark.parametrize("data", [b"[" * 9, b'{"a":' * 9, b'"' + b"[" * 9, b'["\\"' + b"[" * 9])
def test_depth_of_incomplete_json_is_measured(data: bytes) -> None:
    assert is_deeper(data, 8)


@given(st.lists(st.text('[{}]"a', max_size=9), max_size=9), st.integers(1, 4))
def test_each_line_is_measured_separately(lines: list[str], limit: int) -> None:
    data = "\n".join(lines).encode()
    deeper = [is_deeper(line, limit) for line in data.split(b"\n")]
    assert is_any_line_deeper(data, limit) == any(deeper)
    assert is_any_line_deeper(b"\n" + data + b"\n\n", limit) == any(deeper)
