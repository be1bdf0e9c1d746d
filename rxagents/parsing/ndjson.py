"""Parses newline-delimited JSON: one value a line."""

from __future__ import annotations

from typing import Any

import msgspec

from rxagents.core.errors import LimitExceededError, ProviderError, StreamDecodeError
from rxagents.core.json_depth import is_deeper
from rxagents.core.json_text import JSON_ERRORS
from rxagents.core.limits import DEFAULT_LIMITS

JSON_SPACE = b" \t\r\n"
"""The white space of JSON; `bytes.strip()` also removes other characters."""


class LineFramer:
    """Cuts a byte stream after each LF.

    Bytes without an LF wait in a list that is joined once, when their line is complete: joining
    them at every read would be quadratic.

    Args:
        max_line_bytes: A line longer than this is a `LimitExceededError`.

    Attributes:
        error: The error that ended the framer, or `None`.
    """

    def __init__(self, max_line_bytes: int = DEFAULT_LIMITS.event_bytes) -> None:
        self.error: LimitExceededError | None = None
        self._limit = max_line_bytes
        self._pending: list[bytes] = []
        self._pending_size = 0

    def feed(self, data: bytes) -> list[bytes]:
        """Return the lines that `data` completes, without their LF.

        Empty lines are left out. Other white space around a line is kept, since a JSON decoder
        skips it; a line may consist of white space only.
        """
        if self.error is not None:
            return []
        whole, newline, rest = data.rpartition(b"\n")
        lines: list[bytes] = []
        if newline:
            if self._pending:
                self._pending.append(whole)
                whole = b"".join(self._pending)
                self._pending, self._pending_size = [], 0
            # Stripped first: a flood of blank lines would become a list of empty ones.
            lines = self._within_limit(whole.strip(b"\n"))
        if rest:
            self._keep(rest)
        return lines

    def flush(self) -> list[bytes]:
        """Return the last line, if it has no LF."""
        rest, self._pending = b"".join(self._pending).strip(JSON_SPACE), []
        return [rest] if rest and self.error is None else []

    def _keep(self, data: bytes) -> None:
        self._pending.append(data)
        self._pending_size += len(data)
        if self._pending_size > self._limit:
            self._set_error()

    def _within_limit(self, whole: bytes) -> list[bytes]:
        lines = whole.split(b"\n")
        if len(lines) == 1 and 0 < len(whole) <= self._limit:  # most reads of a live stream
            return lines
        if len(whole) > self._limit and max(map(len, lines)) > self._limit:
            first = next(n for n, line in enumerate(lines) if len(line) > self._limit)
            self._set_error()
            del lines[first:]
        return list(filter(None, lines))

    def _set_error(self) -> None:
        self._pending = []
        self.error = LimitExceededError(
            f"The stream has a line of more than {self._limit} bytes. Raise max_line_bytes if such "
            "lines are expected."
        )


class NDJSONDecoder:
    """Decodes a stream of JSON values; blank lines are skipped.

    Args:
        max_line_bytes: A line longer than this is a `LimitExceededError`.
        max_json_depth: A line whose objects and arrays are nested more deeply than this is one
            too.

    Attributes:
        error: The error that ended the decoder, or `None`.
    """

    def __init__(
        self,
        max_line_bytes: int = DEFAULT_LIMITS.event_bytes,
        max_json_depth: int = DEFAULT_LIMITS.json_depth,
    ) -> None:
        self.error: ProviderError | None = None
        self._max_json_depth = max_json_depth
        self._framer = LineFramer(max_line_bytes)

    def feed(self, data: bytes) -> list[Any]:
        """Return the values that `data` completes."""
        return self._decode(self._framer.feed(data))

    def flush(self) -> list[Any]:
        """Return the value of the last line, if it has no LF."""
        return self._decode(self._framer.flush())

    def _decode(self, lines: list[bytes]) -> list[Any]:
        values: list[Any] = []
        if self.error is not None:
            return values
        for stretch in lines:
            line = stretch.strip(JSON_SPACE)
            if not line:
                continue
            if is_deeper(line, self._max_json_depth):
                self.error = LimitExceededError(
                    f"The stream has a line nested more than {self._max_json_depth} levels deep. "
                    "Raise max_json_depth if such lines are expected."
                )
                return values
            try:
                values.append(msgspec.json.decode(line))
            except JSON_ERRORS as error:
                self.error = StreamDecodeError(
                    f"The stream has a line that is not JSON ({error}): {line[:200]!r}. Check "
                    "that the server sends one JSON value a line."
                )
                return values
        self.error = self._framer.error
        return values
