"""Results of the usual Python types reach the model as JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path, PureWindowsPath
from typing import Any
from uuid import UUID

import pytest
from agent_runs import AgentKind, each_agent, seen_to_end, served
from wires import SpokenWire, any_wire_of

from rxagents import ToolEnd, tool

two_wires = any_wire_of("anthropic", "openai responses")


class PydanticModel:
    """Dumps its fields as a pydantic model does."""

    def __init__(self, **fields: Any) -> None:
        self._fields = fields

    def model_dump(self, mode: str = "python") -> dict[str, Any]:
        if mode == "python":
            return self._fields
        return {name: _in_json(value) for name, value in self._fields.items()}

    def __repr__(self) -> str:
        return "PydanticModel(…)"


def _in_json(value: Any) -> Any:
    return value.model_dump("json") if isinstance(value, PydanticModel) else str(value)


class NumpyFloat(float):
    """A number as `numpy.float64` is one, with its own repr."""

    def tolist(self) -> float:
        return float(self)

    def __repr__(self) -> str:
        return f"np.float64({float(self)})"


class NumpyArray:
    """Prints the middle of its numbers as dots, as a long array does."""

    def __init__(self, items: list[Any]) -> None:
        self._items = items

    def tolist(self) -> list[Any]:
        return self._items

    def __repr__(self) -> str:
        return "array([0, ..., 9])"


@dataclasses.dataclass
class Order:
    when: datetime
    price: Decimal
    invoice: Path
    seal: bytes
    weights: Any


NOON = datetime(2024, 1, 31, 12, tzinfo=UTC)
ORDER = Order(NOON, Decimal("1.10"), Path("/a/é.pdf"), b"\xff\x00", NumpyArray([NumpyFloat(0.5)]))
ORDER_IN_JSON = {
    "when": "2024-01-31T12:00:00Z",
    "price": "1.10",
    "invoice": "/a/é.pdf",
    "seal": "/wA=",
    "weights": [0.5],
}

each_value = pytest.mark.parametrize(
    ("value", "read"),
    [
        pytest.param(NOON, "2024-01-31T12:00:00Z", id="datetime"),
        pytest.param(datetime(2024, 1, 31), "2024-01-31T00:00:00", id="naive datetime"),
        pytest.param(date(2024, 1, 31), "2024-01-31", id="date"),
        pytest.param(timedelta(minutes=90), "PT5400S", id="timedelta"),
        pytest.param(Path("/a/é"), "/a/é", id="path"),
        pytest.param(PureWindowsPath("c:\\a"), "c:\\a", id="windows path"),
        pytest.param({Path("a"): [Path("b")]}, {"a": ["b"]}, id="path as key"),
        pytest.param(b"\xff\x00", "/wA=", id="bytes"),
        pytest.param(bytearray(b"\xff\x00"), "/wA=", id="bytearray"),
        pytest.param(Decimal("1.10"), "1.10", id="decimal"),
        pytest.param(UUID(int=1), str(UUID(int=1)), id="uuid"),
        pytest.param(ORDER, ORDER_IN_JSON, id="dataclass"),
        pytest.param([ORDER, None], [ORDER_IN_JSON, None], id="list of dataclasses"),
        pytest.param(
            PydanticModel(when=NOON, inner=PydanticModel(a="b")),
            {"when": str(NOON), "inner": {"a": "b"}},
            id="pydantic model",
        ),
        pytest.param(
            {"model": [PydanticModel(a=1)]}, {"model": [{"a": "1"}]}, id="models in a dict"
        ),
        pytest.param(NumpyFloat(0.5), 0.5, id="numpy scalar"),
        pytest.param(NumpyArray([NumpyFloat(1), NOON]), [1.0, NOON.isoformat()[:-6] + "Z"],
                     id="numpy array"),
        pytest.param({"rows": NumpyArray([[1, 2], [3, 4]])}, {"rows": [[1, 2], [3, 4]]},
                     id="arrays in a dict"),
    ],
)  # fmt: skip


def texts_in(body: Any) -> list[str]:
    """Return all texts in a request's body."""
    match body:
        case dict():
            return [text for value in body.values() for text in texts_in(value)]
        case list():
            return [text for value in body for text in texts_in(value)]
        case str():
            return [body]
    return []


@each_value
@each_agent
@two_wires
async def test_result_is_json_for_the_model(
    value: Any, read: Any, agent: AgentKind, wire: SpokenWire
) -> None:
    give: Callable[[], Any] = lambda: value  # noqa: E731 - without an annotation of its result
    async with served(wire, agent.calls(("it", {})), agent.answers("ab")) as (server, llm):
        seen = await seen_to_end(agent.make(llm, [tool(give, name="it")]).run_stream("hi"))
        (end,) = seen.all(ToolEnd)
        assert end.error is None
        assert json.loads(end.result) == read
        shown = end.result if agent.name == "function" else f"Observation: {end.result}"
        assert shown in texts_in(json.loads(server.requests[1].body))
