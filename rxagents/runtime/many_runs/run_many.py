"""Run an agent for many inputs as one stream."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable
from typing import Any

from reactivex import Observable

from rxagents.core.checks import checked_count, checked_function
from rxagents.core.errors import ConfigurationError
from rxagents.core.events import StreamEvent
from rxagents.runtime.event_log.event_log import EventLog
from rxagents.runtime.factories import source_factory
from rxagents.runtime.limiting.protocol import RequestLimiter
from rxagents.runtime.many_runs.engine import Engine, LoopEngine
from rxagents.runtime.many_runs.inputs import checked_inputs
from rxagents.runtime.many_runs.run_report import RunReport
from rxagents.runtime.many_runs.running import ManyRuns, Options
from rxagents.runtime.metering.metering import checked_limiter
from rxagents.runtime.source import Emitter, task_source


@source_factory
def run_many(
    factory: Callable[[], Any],
    inputs: Iterable[Any] | AsyncIterable[Any],
    *,
    concurrency: int,
    engine: Engine | None = None,
    log: EventLog | None = None,
    retry_failed: bool = False,
    limiter: RequestLimiter | None = None,
    attempts: int = 3,
    report: Callable[[RunReport], object] | None = None,
) -> Observable[tuple[str, StreamEvent]]:
    """Run an agent for each of many inputs, and stream the events of all runs with their keys.

    The runs are on the running loop, on the cores of this machine (`rxagents.processes`) or on a
    Ray cluster (`rxagents.cluster.ray`): the stream is the same. A run that fails ends with its
    `ErrorEvent`, and the others go on. The last event of each key is `Complete` or `ErrorEvent`.

    .. marble::
        [ run_many(agent, ["A", "B", "C"], concurrency=2) ]
        -(A:1)-(B:1)-(A:2)-(C:1)-(B:2)-(C:2)-|

    Emits when: a run emits. The events of one key are in their order.
    Backpressures when: downstream does. The sockets of all runs are slowed down, also those of
        workers, and no run starts meanwhile.
    Completes when: all inputs are read and their runs have ended.

    Args:
        factory: Makes the agent: called once in each worker, and once on the running loop. It
            returns an agent, or a function that takes an input and returns a stream of events. For
            workers it must be picklable, such as a function of a module.
        inputs: The inputs, or `(key, input)` pairs: an iterable, which may be endless, an
            asynchronous iterable, or a mapping from keys. The next one is read when there is room
            for its run. Without a key, an input has its position, `"0"`, `"1"` and so on. Each
            subscription iterates over it.
        concurrency: How many runs run at a time.
        engine: Where; by default on the running loop.
        log: Keeps each run by its key. A run that the log has to its end is not started again and
            emits nothing. The run of an agent that has lost its worker, or this process, goes on
            from its last turn, and tools that have ended do not run again; see `agent.start`. The
            leases of a program that was killed are waited for, up to 15 s after the start; a run
            that another program writes then fails with `LeaseError`.
        retry_failed: Whether a run that has failed according to the log is started again.
        limiter: What the requests of all runs wait for. `fair_by` gets a request whose `context` is
            the key, unless the run has its own.
        attempts: How often a run may be started whose worker is lost. It starts again, or goes on
            if it has a `log`, behind a `Reset`. Then it fails with `RunInterruptedError`.
        report: Called with a `RunReport` after the last event of each key. What it raises goes to
            the loop's exception handler.

    Returns:
        A cold Observable of keys and events.

    Raises:
        ConfigurationError: On the call, if an argument is of the wrong type; in the stream, if a
            key is not usable or is the key of a run that has not ended, or the factory cannot be
            sent to workers.
        RxAgentsError: In the stream, if workers cannot start.
        Exception: In the stream, what iterating over `inputs` raises.

    Example:
        >>> import rxagents
        >>> from rxagents.testing import ScriptedLLM
        >>> def make():
        ...     return rxagents.FunctionAgent(ScriptedLLM("It rains."))
        >>> runs = rxagents.run_many(
        ...     make, {"Oslo": "How is it?"}, concurrency=8,
        ...     report=lambda report: print(report.key, report.output),
        ... )
        >>> key, last = rxagents.run(runs)
        Oslo It rains.
        >>> last.finish_reason
        'stop'
    """
    checked_function("factory", factory)
    if engine is not None and not isinstance(engine, Engine):
        raise ConfigurationError(
            f"engine must be an engine such as rxagents.processes(), not {type(engine).__name__}."
        )
    if log is not None and not isinstance(log, EventLog):
        raise ConfigurationError(f"log must be an rxagents.EventLog, not {type(log).__name__}.")
    options = Options(
        factory,
        checked_inputs(inputs),
        checked_count("concurrency", concurrency),
        engine or LoopEngine(),
        log,
        retry_failed,
        checked_limiter(limiter),
        checked_count("attempts", attempts),
        None if report is None else checked_function("report", report),
    )

    async def produce(emitter: Emitter[tuple[str, StreamEvent]]) -> None:
        await ManyRuns(options, emitter).run()

    return task_source(produce)
