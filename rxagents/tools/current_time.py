"""Return the current date and time."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from rxagents.core.errors import ToolError
from rxagents.core.tools import tool


@tool
def current_time(timezone: str = "UTC") -> str:
    """Return the current date and time, as ISO 8601 with the offset from UTC.

    Args:
        timezone: An IANA time zone, such as "UTC", "Europe/Berlin" or "America/New_York".
    """
    try:
        zone = UTC if timezone.upper() == "UTC" else ZoneInfo(timezone)
    except (LookupError, ValueError, OSError) as error:
        raise ToolError(
            f"Unknown time zone {timezone[:80]!r}. Use an IANA name such as 'UTC' or "
            "'Europe/Berlin'."
        ) from error
    return datetime.now(zone).isoformat(timespec="seconds")
