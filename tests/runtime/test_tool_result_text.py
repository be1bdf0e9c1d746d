"""Results of types that JSON lacks become JSON for the model."""

from __future__ import annotations

import array
import json
import math
import types
from collections import ChainMap, UserString, deque
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from unittest.mock import Mock

import pytest

from rxagents.runtime.tool_execution.text import result_text


class Model:
    """Exports its fields as a pydantic model does."""

    def __init__(self, **fields: object) -> None:
        self.fields = fields

    def model_dump(self, mode: str = "python") -> dict[str, object]:
        if mode == "python":
            return self.fields
        return {name: json.loads(json.dumps(value)) for name, value in self.fields.items()}


class Secretive:
    """Exports other JSON than Python data, as a pydantic model with a serializer does."""

    def model_dump(self, mode: str = "python") -> dict[str, object]:
        return {"key": "***" if mode == "json" else b"secret"}


class OldModel:
    """Exports its fields as a model of pydantic 1 does."""

    def dict(self) -> object:
        return {"name": "n"}


class Table:
    """Exports its data as a pandas table does; a list of it would be only its columns."""

    def __iter__(self) -> object:
        return iter(["column"])

    def to_dict(self) -> object:
        return {"column": {0: 1.5}}


class Numbers:
    """Exports its numbers as a numpy array or scalar does, and prints some of them only."""

    def __init__(self, numbers: object) -> None:
        self.numbers = numbers

    def __str__(self) -> str:
        return "[0 ... 9]"

    def tolist(self) -> object:
        return self.numbers


class Unusable:
    """Fails to export its data."""

    def tolist(self) -> object:
        raise OSError("gone")

    def __str__(self) -> str:
        return "unusable"


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError("no")


class MyInt(int):
    """A number of a class of its own."""


class MyFloat(float):
    """A number of a class of its own."""


@dataclass
class Row:
    day: date
    price: Decimal
    rest: object = None


ROW = Row(date(2024, 1, 31), Decimal("1.10"))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Model(name="n"), '{"name":"n"}'),
        ([Model(name="n")], '[{"name":"n"}]'),
        ({"m": Model(sub=[1])}, '{"m":{"sub":[1]}}'),
        (Model(day=date(2024, 1, 31)), '{"day":"2024-01-31"}'),
        (Model(inner=Model(name="n")), '{"inner":{"name":"n"}}'),
        (Secretive(), '{"key":"***"}'),
        (OldModel(), '{"name":"n"}'),
        (Table(), '{"column":{"0":1.5}}'),
        (Numbers(list(range(2000))), json.dumps(list(range(2000)), separators=(",", ":"))),
        ({"n": Numbers(3), "x": Numbers(0.5)}, '{"n":3,"x":0.5}'),
        (Numbers([1.0, math.nan]), '[1.0,"NaN"]'),
        (array.array("d", [1, 2]), "[1.0,2.0]"),
        (ROW, '{"day":"2024-01-31","price":"1.10","rest":null}'),
        (
            Row(date(2024, 1, 31), Decimal(2), Model(a=1)),
            '{"day":"2024-01-31","price":"2","rest":{"a":1}}',
        ),
        (Unusable(), '"unusable"'),
        (Mock(spec=Model, __str__=lambda self: "a mock"), '"a mock"'),
        ([Unprintable(), 1], '["(a Unprintable that cannot be printed)",1]'),
        ([MyInt(3), MyFloat(0.5)], "[3,0.5]"),
        (deque([1, 2]), "[1,2]"),
        (range(3), "[0,1,2]"),
        ({"a": 1}.keys(), '["a"]'),
        ({"a": 1}.values(), "[1]"),
        ({"a": 1}.items(), '[["a",1]]'),
        (types.MappingProxyType({"a": 1}), '{"a":1}'),
        (ChainMap({"a": 1}), '{"a":1}'),
        (UserString("text"), '"text"'),
    ],
)
def test_exported_data_is_json(value: object, text: str) -> None:
    assert result_text(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (math.nan, '"NaN"'),
        ([math.inf, -math.inf, None, "null"], '["Infinity","-Infinity",null,"null"]'),
        (Row(date(2024, 1, 31), Decimal("NaN"), math.nan), None),
        ({"n": 2**80}, f'{{"n":{2**80}}}'),
        ({"name": "half \ud800"}, '{"name":"half ?"}'),
        ({(1, 2): math.nan, 3: "é"}, '{"(1, 2)":"NaN","3":"é"}'),
        ({frozenset([1]): 1, True: 2}, '{"frozenset({1})":1,"True":2}'),
    ],
)
def test_values_outside_json_stay_readable(value: object, text: str | None) -> None:
    shown = result_text(value)
    json.loads(shown)
    assert shown == (text or '{"day":"2024-01-31","price":"NaN","rest":"NaN"}')


def test_value_without_json_is_printed() -> None:
    circle: list[object] = []
    circle.append(circle)
    assert result_text(circle) == "[[...]]"
