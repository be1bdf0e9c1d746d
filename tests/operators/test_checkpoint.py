"""Test `checkpoint`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import reactivex as rx
from observing import letters
from reactivex import Observable
from reactivex import operators as rx_ops

import rxagents
from rxagents import ConfigurationError
from rxagents import operators as ops


def notes_of(stream: Observable[Any]) -> list[str]:
    """Return the notes of the error of a stream that fails inside of `subscribe`."""
    errors: list[Exception] = []
    stream.subscribe(on_error=errors.append)
    (error,) = errors
    return [note.partition(" at ")[0] for note in getattr(error, "__notes__", [])]


NUMBER: Observable[Any] = rx.of(0)


def divided(number: int) -> float:
    return 1 / number


def line() -> int:
    """Return the line that calls."""
    return sys._getframe(1).f_lineno


def test_note_has_name_and_line() -> None:
    stream = rx.throw(KeyError()).pipe(ops.checkpoint("source"))
    number = line() - 1
    errors: list[Exception] = []
    stream.subscribe(on_error=errors.append)
    (note,) = errors[0].__notes__
    assert note.startswith('checkpoint "source" at ')
    assert note.endswith(f"{Path(__file__).name}:{number}")


def test_every_error_that_passes_gets_a_note() -> None:
    failing = rx.throw(KeyError()).pipe(ops.checkpoint("a"), rx_ops.map(str), ops.checkpoint("b"))
    assert notes_of(failing) == ['checkpoint "a"', 'checkpoint "b"']


def test_error_after_the_checkpoint_gets_no_note() -> None:
    assert notes_of(NUMBER.pipe(ops.checkpoint("a"), ops.text())) == ["text()"]


def test_named_operator_notes_its_own_error() -> None:
    division = ops.checkpoint("division", rx_ops.map(divided))
    assert notes_of(NUMBER.pipe(division, ops.of_type(object))) == ['checkpoint "division"']


def test_named_operator_leaves_other_errors() -> None:
    division = ops.checkpoint("division", rx_ops.map(divided))
    assert notes_of(rx.throw(KeyError()).pipe(division)) == []


def test_named_pipe_notes_the_errors_inside() -> None:
    first: Any = rx_ops.map(str)
    inside: Any = rx.compose(first, ops.text(), ops.of_type(object))
    assert notes_of(NUMBER.pipe(ops.checkpoint("all", inside))) == ["text()", 'checkpoint "all"']
    assert notes_of(rx.throw(KeyError()).pipe(ops.checkpoint("all", inside))) == []


async def test_items_and_end_pass() -> None:
    named = ops.checkpoint("upper", rx_ops.map(str.upper))
    stream = rxagents.from_aiter(letters).pipe(ops.checkpoint("letters"), named)
    async with rxagents.to_aiter(stream) as items:
        assert [item async for item in items] == ["A", "B"]


@pytest.mark.parametrize("arguments", [(1,), ("",), ("a", 5)], ids=["number", "empty", "operator"])
def test_wrong_arguments_are_refused(arguments: tuple[Any, ...]) -> None:
    with pytest.raises(ConfigurationError):
        ops.checkpoint(*arguments)
