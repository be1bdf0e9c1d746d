"""Read the elements of a list in a JSON answer, for `items` and `check_items`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rxagents.core.json_text import JSON_ERRORS
from rxagents.core.output_type import mismatch, value_decoder
from rxagents.parsing.closed_values import ClosedValuesParser, path_steps


class ElementType:
    """The place and the type of elements.

    Args:
        path: The path of the elements.
        type: The type of an element.

    Raises:
        ConfigurationError: `path` is no path, or msgspec cannot decode `type`.
    """

    def __init__(self, path: str, type: Any) -> None:
        self.path = path
        self.steps = path_steps(path)
        self.decode: Callable[[bytes], Any] = value_decoder(type)


class ElementReader:
    """Reads the elements of one answer.

    Attributes:
        error: Why the answer cannot be read any more; `None` while it can.
        refused: Why an element was refused, or what the code of its type raised; else `None`.
    """

    def __init__(self, element: ElementType) -> None:
        self.error: Exception | None = None
        self.refused: Exception | None = None
        self._element = element
        self._parser = ClosedValuesParser(element.steps)
        self._position = 0

    def read(self, piece: str) -> list[Any]:
        """Read the next piece of the answer; return the elements that it closes.

        An element that does not match sets `error`; those before it are returned.
        """
        values: list[Any] = []
        for _, text in self._parser.take(piece):
            try:
                values.append(self._element.decode(text.encode("utf-8", "replace")))
            except JSON_ERRORS as error:
                where = f"Element {self._position} of {self._element.path!r}"
                self.error = self.refused = mismatch(where, error)
                return values
            except Exception as error:
                self.error = self.refused = error
                return values
            self._position += 1
        self.error = self._parser.error
        return values

    def finish(self) -> None:
        """End the answer; one that is not complete sets `error`."""
        self._parser.flush()
        self.error = self._parser.error
