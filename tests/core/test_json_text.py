"""`is_json`, and the errors of decoding JSON."""

from __future__ import annotations

import msgspec
import pytest

from rxagents.core.json_text import JSON_ERRORS, is_json


@pytest.mark.parametrize("text", ["{}", '{"a": [1, "é"]}', "1", "null", ' "a" '])
def test_one_value_is_json(text: str) -> None:
    assert is_json(text)


@pytest.mark.parametrize("text", ["", " ", '{"a":', "{} {}", "add(1, 2)", '"\ud83d"'])
def test_anything_else_is_not(text: str) -> None:
    assert not is_json(text)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"{", id="cut"),
        pytest.param(b'"\xff"', id="invalid UTF-8"),
        pytest.param(b"[" * 100_000, id="deep"),
    ],
)
def test_json_errors_cover_all_input(data: bytes) -> None:
    with pytest.raises(JSON_ERRORS):
        msgspec.json.decode(data)
