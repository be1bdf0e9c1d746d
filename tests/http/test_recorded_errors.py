"""Recorded error bodies of real hosts become errors of the right class, without secrets.

The recordings are not part of the project: `RXAGENTS_RECORDINGS` names their folder.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from recorded import FOLDER, READERS, needs_recordings

import rxagents
from rxagents.core.errors import class_of_status
from rxagents.testing import ScriptedServer, StatusReply

KEY = "sk-secret-0123456789abcdef"
_HOP_BY_HOP = {"content-length", "content-encoding", "transfer-encoding", "connection"}


def _message(body: bytes) -> str | None:
    """Return the provider's message, if it is in the usual place."""
    try:
        error = json.loads(body)
    except ValueError:
        return None
    error = error[0] if isinstance(error, list) else error
    error = error.get("error", error)
    message = error if isinstance(error, str) else error.get("message")
    return message if isinstance(message, str) else None


def _asked_wait(header: str | None, body: bytes) -> float | None:
    """Return the seconds of the header, or else of Google's `retryDelay` in the body."""
    delay = re.search(rb'"retryDelay": "(\d+)s"', body)
    seconds = header or (delay and delay[1])
    return None if seconds is None else float(seconds)


def _errors() -> list[Any]:
    if not FOLDER:
        return [pytest.param({}, marks=needs_recordings)]
    manifest = json.loads((Path(FOLDER) / "manifest.json").read_text())
    return [
        pytest.param(entry, id=entry["file"])
        for entry in manifest
        if entry.get("error_body") and _is_error(entry)
    ]


def _is_error(entry: dict[str, Any]) -> bool:
    """Return whether the entry is an error: one is a stream without status and error."""
    body = (Path(FOLDER) / entry["file"]).read_bytes()
    return entry["status"] is not None or _message(body) is not None


@pytest.mark.parametrize("recording", _errors())
async def test_recorded_error_is_typed(recording: dict[str, Any]) -> None:
    body = (Path(FOLDER) / recording["file"]).read_bytes()
    kept = {k: v for k, v in recording["headers"].items() if k.lower() not in _HOP_BY_HOP}
    status = recording["status"]
    error = _message(body)

    async with ScriptedServer(StatusReply(status or 200, body, kept)) as server:
        make = READERS[recording["provider"]].model
        url = f"http://127.0.0.1:{server.port}"
        async with make("m", api_key=KEY, base_url=url, max_retries=0) as llm:
            with pytest.raises(rxagents.ProviderError) as raised:
                await llm.chat("my secret prompt")
    caught = raised.value
    expected = status or json.loads(body)["error"]["code"]
    assert type(caught) is class_of_status(expected)
    assert caught.status == expected
    assert error is None or error[:200] in str(caught)
    lower = {name.lower(): value for name, value in recording["headers"].items()}
    assert caught.request_id == (lower.get("x-request-id") or lower.get("request-id"))
    assert caught.retry_after == _asked_wait(lower.get("retry-after"), body)
    shown = f"{caught!r} {caught} {vars(caught)}"
    assert KEY not in shown
    assert "my secret prompt" not in shown
