"""Draw a recorded run."""

from __future__ import annotations

from collections.abc import Iterable
from os import PathLike
from pathlib import Path
from typing import Any

import msgspec
from msgspec import UNSET, convert

from rxagents.core.checks import checked_count
from rxagents.core.chunks import StreamChunk
from rxagents.core.errors import ConfigurationError, StreamDecodeError, TruncatedStreamError
from rxagents.core.events import Complete, ErrorEvent, ErrorInfo, EventType, StreamEvent
from rxagents.pictures import svg, text
from rxagents.pictures.lanes import End
from rxagents.pictures.measures import summary
from rxagents.pictures.timeline import Timeline
from rxagents.runtime.recording import RecordedLine, read_lines

DEFAULT_WIDTH = 960

_NARROWEST = 320

_COLUMNS = 80


class RunPicture:
    """The picture of one run over time; a notebook shows it.

    Attributes:
        svg: The picture as an SVG document. It needs no other file, its texts are texts, and its
            colours follow the reader's dark or light scheme.
        summary: The run in one line.
    """

    def __init__(self, timeline: Timeline, *, width: int, title: str, now: float = 0.0) -> None:
        self.svg = svg.draw(timeline, width=width, title=title, now=now)
        end = timeline.last if timeline.end is not None else max(now, timeline.last)
        self.summary = summary(timeline, end)
        self._timeline = timeline
        self._title = title
        self._now = now
        self._plain = self.text()

    def text(self, width: int = _COLUMNS) -> str:
        """Return the picture as text for a terminal.

        Args:
            width: The width in characters.
        """
        return text.draw(self._timeline, width=width, title=self._title, now=self._now)

    def __repr__(self) -> str:
        return f"<RunPicture: {self.summary}>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """Return the picture for a notebook, and for one without graphics as text."""
        return {"image/svg+xml": self.svg, "text/plain": self._plain}


def draw_run(
    run: str | PathLike[str] | Iterable[object], *, width: int = DEFAULT_WIDTH, title: str = ""
) -> RunPicture:
    """Draw a run: its tokens, thoughts, tools, approvals and sub-agents on a time axis.

    Args:
        run: A recording that `operators.record` or `rxagents record` wrote; or the events or
            chunks of one stream, whose timestamps are the times.
        width: The width of the picture in pixels, 320 or more.
        title: The title; by default the name of the file.

    Returns:
        The picture. Resets, retries, gaps and the end are marked. A recording without an end, as
        of a program that was killed, is drawn as far as it goes.

    Raises:
        ConfigurationError: An argument is of the wrong type, or the file cannot be opened.
        StreamDecodeError: A line of the recording cannot be read.

    Example:
        >>> import rxagents
        >>> agent = rxagents.FunctionAgent(rxagents.get_model("scripted:"))
        >>> events = []
        >>> _ = rxagents.run(agent.run_stream("Hello"), events.append)
        >>> picture = rxagents.draw_run(events)
        >>> picture.svg.startswith("<svg ")
        True
        >>> print(picture.summary)
        15 tokens in ..., completed
    """
    checked_width(width)
    if isinstance(run, (str, PathLike)):
        return RunPicture(_recorded(Path(run)), width=width, title=title or Path(run).name)
    if not isinstance(run, Iterable):
        raise ConfigurationError(
            f"draw_run takes the path of a recording, or the items of a run, not {run!r}. Record a "
            "stream with operators.record, or show it while it runs with rxagents.display."
        )
    return RunPicture(_listed(run), width=width, title=title)


def checked_width(width: int) -> None:
    """Check the width of a picture.

    Raises:
        ConfigurationError: It is no whole number, or too small.
    """
    if checked_count("width", width) < _NARROWEST:
        raise ConfigurationError(f"width must be {_NARROWEST} pixels or more, not {width}.")


def _recorded(path: Path) -> Timeline:
    timeline = Timeline()
    try:
        with path.open("rb") as file:
            for line in read_lines(file, msgspec.json.Decoder(RecordedLine[Any]), str(path)):
                if line.item is UNSET:
                    timeline.finish(_end_of(line))
                    return timeline
                timeline.add(line.at, _read_item(line.item, path))
    except TruncatedStreamError:
        timeline.finish(End(timeline.last, "unknown"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"The recording cannot be read: {error}.") from error
    return timeline


def _read_item(value: Any, path: Path) -> object:
    """Return a recorded event or chunk; any other value as it is."""
    kind = item_type(value)
    if kind is object:
        return value
    try:
        return convert(value, kind)
    except msgspec.ValidationError as error:
        raise StreamDecodeError(
            f"An item of the recording {path} is no event or chunk: {error}. Check that record "
            "wrote the file."
        ) from error


def item_type(value: Any) -> Any:
    """Return the type of a recorded item: `StreamEvent`, `StreamChunk`, or `object` for others."""
    if not isinstance(value, dict):
        return object
    if value.get("type") in _EVENT_TYPES:
        return StreamEvent
    return StreamChunk if "delta" in value and "choice" in value else object


_EVENT_TYPES = frozenset(map(str, EventType))


def _end_of(line: RecordedLine[Any]) -> End:
    if line.error is not None:
        return failed(line.at, line.error)
    if line.stopped:
        return End(line.at, "disposed" if line.stopped == "disposed" else "unknown")
    return End(line.at, "completed")


def failed(at: float, error: ErrorInfo) -> End:
    """Return the end of a run that failed."""
    return End(at, "failed", f"{error.kind}: {error.message}")


def _listed(items: Iterable[object]) -> Timeline:
    timeline = Timeline()
    start: float | None = None
    item: Any = None
    for item in items:
        if not isinstance(timestamp := getattr(item, "timestamp", None), float):
            raise ConfigurationError(
                f"draw_run draws events and chunks, which have a timestamp, not {item!r}. Record "
                "other items with operators.record, which keeps their times."
            )
        start = timestamp if start is None else start
        timeline.add(timestamp - start, item)
    match item:
        case ErrorEvent(error=error, path=()):
            timeline.finish(failed(timeline.last, error))
        case Complete(path=()):
            timeline.finish(End(timeline.last, "completed"))
        case StreamChunk() if timeline.finish_reason:
            timeline.finish(End(timeline.last, "completed"))
        case _:
            timeline.finish(End(timeline.last, "unknown"))
    return timeline
