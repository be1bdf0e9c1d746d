"""The environment variable that turns the loggers on."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from rxagents.runtime import logs


@contextmanager
def program_without_logging() -> Iterator[logging.Logger]:
    """Give the parent of the loggers, as in a program that has set up no logging."""
    logger = logging.getLogger("rxagents")
    kept = logger.level, logger.propagate, logger.handlers
    logger.setLevel(logging.NOTSET)
    logger.propagate, logger.handlers = False, []  # pytest has handlers of its own
    logs._read_environment.cache_clear()
    try:
        yield logger
    finally:
        logger.setLevel(kept[0])
        logger.propagate, logger.handlers = kept[1:]
        logs._read_environment.cache_clear()


def test_variable_turns_a_handler_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RXAGENTS_LOG", " Debug ")
    with program_without_logging():
        logs.logger("stream").debug("seen %d", 5)
        logs.logger("http").debug("once")
    printed = capsys.readouterr().err
    assert "rxagents.stream seen 5\n" in printed
    assert printed.count("once") == 1


def test_program_with_handlers_gets_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RXAGENTS_LOG", "info")
    with program_without_logging() as library:
        own = logging.NullHandler()
        library.addHandler(own)
        logs.logger("stream")
        assert library.handlers == [own]
        assert library.level == logging.INFO


def test_no_variable_leaves_logging_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RXAGENTS_LOG", raising=False)
    with program_without_logging() as library:
        assert not logs.logger("stream").isEnabledFor(logging.DEBUG)
        assert library.handlers == []


def test_unknown_level_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RXAGENTS_LOG", "1")
    with program_without_logging() as library:
        logs.logger("stream")
        assert "RXAGENTS_LOG must be one of debug, info, warning, error" in capsys.readouterr().err
        assert library.level == logging.NOTSET
