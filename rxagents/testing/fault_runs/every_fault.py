"""Replay a run with each fault at each of its events."""

from __future__ import annotations

from collections.abc import Iterator

from rxagents.core.checks import checked_count
from rxagents.core.errors import ConfigurationError, RxAgentsError
from rxagents.runtime.loop import is_loop_running
from rxagents.testing.cassettes.cassette import Cassette
from rxagents.testing.fault_runs.fault import BrokenRule, BrokenRulesError, Fault, FaultKind
from rxagents.testing.fault_runs.judge import Rules, TextOf, text_of
from rxagents.testing.fault_runs.run import Pipe, Run
from rxagents.testing.virtual_time import run_in_virtual_time, running_loop_error

_MOST_LINES = 20
"""Broken rules that a message lists."""


def every_fault(
    cassette: Cassette,
    pipe: Pipe,
    *,
    text: TextOf | None = text_of,
    recovers: bool = False,
    errors: type[Exception] | tuple[type[Exception], ...] = RxAgentsError,
    read_ahead: int = 64,
) -> list[Fault]:
    """Replay a recorded run with each fault at each event, and check the rules of every stream.

    The faults are: the connection is cut after an event or inside of it; the server falls silent;
    the body breaks; the subscriber disposes; an `async for` loop pauses for an hour. Each run has
    one of them, in virtual time. The rules are those that every stream of the library keeps: one
    end, and nothing after it or after `dispose`; a failure is a typed error, never a completion
    with a part of the answer; nothing is lost, repeated or reordered; the source stops while its
    reader pauses; no task, timer or response is left.

    Args:
        cassette: The recorded run, in mode `"replay"`.
        pipe: Makes the stream of a session, which it passes to its models:
            `lambda session: OpenAI(…, session=session).chat_stream("Hi").pipe(…)`.
        text: Returns the text of an item. By default that of a `str`, a chunk or a token. The texts
            of all items must be the text of the answers. `None` if the pipe changes the text.
        recovers: Whether the pipe replaces what was lost, as with `fallback_to`. Then it may
            complete with something else.
        errors: The types of the errors that the pipe may fail with.
        read_ahead: The most events that the pipe may read while its reader pauses: what its
            operators buffer. A run with fewer events cannot show that a pipe ignores its reader.

    Returns:
        The faults of the runs.

    Raises:
        BrokenRulesError: A rule was broken; the message has the fault, the event and the rule. It
            is an `AssertionError`.
        ConfigurationError: An argument is not valid, or a loop is already running, as in an
            `async def` test.
    """
    if not isinstance(cassette, Cassette):
        raise ConfigurationError(f"every_fault takes a Cassette, not {type(cassette).__name__}.")
    checked_count("read_ahead", read_ahead)
    if is_loop_running():
        raise running_loop_error("every_fault")
    clean = _run(cassette, pipe, None)
    types = errors if isinstance(errors, tuple) else (errors,)
    rules = Rules(clean, text, recovers, types, read_ahead)
    broken = [BrokenRule(None, *each) for each in rules.check_clean()]
    faults = list(_faults(clean))
    if not broken:  # or else each run would break the same rules
        for fault in faults:
            run = _run(cassette, pipe, fault)
            broken += [BrokenRule(fault, *each) for each in rules.check(run)]
    if broken:
        raise _broken_rules(broken, len(faults))
    return faults


def _run(cassette: Cassette, pipe: Pipe, fault: Fault | None) -> Run:
    run = Run(cassette, pipe, fault)
    run_in_virtual_time(run.run())
    return run


def _faults(clean: Run) -> Iterator[Fault]:
    """Yield the faults of all runs."""
    for request, size in enumerate(clean.session.sizes, start=1):
        for place in range(size + 1):
            for kind in (FaultKind.CUT, FaultKind.STALL, FaultKind.ERROR):
                yield Fault(kind, request, place)
            if place < size:
                yield Fault(FaultKind.CUT, request, place, is_inside=True)
            if place > 0:
                yield Fault(FaultKind.DISPOSE, request, place)
    for place in range(len(clean.items) + 1):
        yield Fault(FaultKind.DISPOSE, 0, place)
        if place > 0:
            yield Fault(FaultKind.SLOW_READER, 0, place)


def _broken_rules(broken: list[BrokenRule], count: int) -> BrokenRulesError:
    runs = len({each.fault for each in broken})
    lines = [f"  {each}" for each in broken[:_MOST_LINES]]
    if len(broken) > _MOST_LINES:
        lines.append(f"  … and {len(broken) - _MOST_LINES} more")
    which = "The run without a fault" if broken[0].fault is None else f"{runs} of {count} runs"
    return BrokenRulesError(f"{which} broke a rule of every stream:\n" + "\n".join(lines), broken)
