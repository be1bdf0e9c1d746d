"""The tool returns the time in the zone of the argument."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from rxagents import ToolError
from rxagents.tools import current_time


@pytest.mark.parametrize(
    ("timezone", "offset"),
    [("UTC", 0), ("utc", 0), ("Asia/Tokyo", 9), ("Etc/GMT+5", -5), ("Asia/Kolkata", 5.5)],
)
def test_time_has_offset_of_zone(timezone: str, offset: float) -> None:
    now = datetime.fromisoformat(current_time(timezone))
    assert now.utcoffset() == timedelta(hours=offset)
    assert abs(now - datetime.now(UTC)) < timedelta(seconds=10)


def test_default_zone_is_utc() -> None:
    assert current_time().endswith("+00:00")
    assert current_time.parameters["properties"]["timezone"]["default"] == "UTC"


@pytest.mark.parametrize(
    "timezone",
    ["", "Nowhere", "../../etc/passwd", "/etc/passwd", "Europe", "a\0b", "\ud800", "x" * 5000, "."],
)
def test_unknown_zone_is_refused(timezone: str) -> None:
    with pytest.raises(ToolError, match=r"Unknown time zone .* Use an IANA name") as failure:
        current_time(timezone)
    assert len(str(failure.value)) < 300
