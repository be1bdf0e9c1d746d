"""Run an agent for the rows that have no result yet."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

from msgspec.structs import replace
from reactivex import Observable

from rxagents.cli.batch.progress import BatchProgress
from rxagents.cli.batch.results import Result, Results
from rxagents.cli.batch.rows import Rows
from rxagents.cli.loading import load_served
from rxagents.core.errors import ConfigurationError, RxAgentsError
from rxagents.core.event_base import ErrorInfo
from rxagents.runtime.event_log.event_log import EventLog
from rxagents.runtime.event_log.from_log import from_log
from rxagents.runtime.many_runs.engine import Engine
from rxagents.runtime.many_runs.finished import is_finished
from rxagents.runtime.many_runs.processes import processes
from rxagents.runtime.many_runs.run_many import run_many
from rxagents.runtime.many_runs.run_report import RunReport
from rxagents.runtime.to_aiter import to_aiter

_FAIR_SHARE = 64
"""Rows between two loop turns, at most."""


def make_agent(name: str) -> Any:
    """Return the agent with this name; also in another process."""
    found = load_served(name)
    agent = found if callable(getattr(found, "run_stream", None)) else found()
    if not callable(getattr(agent, "run_stream", None)):
        raise ConfigurationError(f"{name} returned no agent but {type(agent).__name__}.")
    return agent


def engine_of(text: str, actors: int | None = None) -> Engine | None:
    """Return the engine that a text names; `None` for the running loop.

    Raises:
        ConfigurationError: It names none, its extra is missing, or another one than Ray has actors.
    """
    name, _, rest = text.partition(":")
    if actors is not None and name != "ray":
        raise ConfigurationError(f"--actors needs --engine ray, not {text!r}.")
    if text == "loop":
        return None
    if name == "processes" and (not rest or (rest.isdecimal() and int(rest))):
        return processes(int(rest) if rest else None)
    if name == "ray":
        from rxagents.cluster import ray  # needs the extra `ray`

        return ray(rest or None, actors=actors or 2)
    raise ConfigurationError(
        f"--engine must be loop, processes, processes:N, ray or ray:ADDRESS, not {text!r}."
    )


class Batch:
    """A batch.

    Args:
        agent: The name of the agent.
        rows: The rows.
        results: Where results go.
        progress: Shows them.
        log: Keeps the runs, so that one that was killed goes on from its last turn; `None` for no
            log.
        retry_failed: Whether runs that have failed according to the log start again.
        prefix: What the keys of the runs begin with in the log, which other batches may share.
    """

    def __init__(
        self,
        agent: str,
        rows: Rows,
        results: Results,
        progress: BatchProgress,
        log: EventLog | None = None,
        *,
        retry_failed: bool = False,
        prefix: str = "",
    ) -> None:
        self._agent = agent
        self._rows = rows
        self._results = results
        self._progress = progress
        self._log = log
        self._retry_failed = retry_failed
        self._prefix = prefix
        self._failure: asyncio.Future[None] | None = None

    async def run(self, concurrency: int, engine: Engine | None) -> None:
        """Run the rows that have no result.

        Raises:
            RxAgentsError: The batch cannot go on.
            OSError: A file cannot be read or written.
        """
        self._failure = asyncio.get_running_loop().create_future()
        factory = partial(make_agent, self._agent)
        if engine is None:
            agent = _made(factory, self._agent)  # here: else each row would fail with its error
            factory = partial(_same, agent)
        runs: Observable[Any] = run_many(
            factory,
            self._inputs(),
            concurrency=concurrency,
            engine=engine,
            log=self._log,
            retry_failed=self._retry_failed,
            report=self._on_report,
        )
        ended = asyncio.ensure_future(self._drain(runs))
        try:
            await asyncio.wait({ended, self._failure}, return_when=asyncio.FIRST_COMPLETED)
            if self._failure.done():
                self._failure.result()
            await ended
        finally:
            ended.cancel()
            await asyncio.wait({ended})

    async def _drain(self, runs: Observable[Any]) -> None:
        async with to_aiter(runs) as events:
            async for _ in events:
                pass

    async def _inputs(self) -> AsyncIterator[tuple[str, Any]]:
        for position, row in enumerate(self._rows):
            if position % _FAIR_SHARE == 0:  # rows may be skipped or fail without a wait
                await asyncio.sleep(0)
            if row.key in self._results.done:
                continue
            name = self._prefix + row.key
            if row.problem is not None:
                error = ErrorInfo.of(ConfigurationError(row.problem))
                self._on_report(RunReport(name, error=error))
            elif self._log is not None and await self._is_in_log(self._log, name):
                self._on_report(await _report_from(self._log, name))
            else:
                yield name, row.prompt

    async def _is_in_log(self, log: EventLog, key: str) -> bool:
        return await is_finished(
            log, key, retry_failed=self._retry_failed, may_wait=self._progress.note_wait
        )

    def _on_report(self, report: RunReport) -> None:
        assert self._failure is not None
        if self._failure.done():
            return
        result = Result.of(replace(report, key=report.key.removeprefix(self._prefix)))
        try:
            self._results.add(result)
        except OSError as error:
            self._failure.set_exception(error)
            return
        self._progress.add(result)


def _made(factory: Callable[[], Any], name: str) -> Any:
    try:
        return factory()
    except RxAgentsError:
        raise
    except Exception as error:
        raise ConfigurationError(f"{name} raised {type(error).__name__}: {error}.") from error


def _same(agent: Any) -> Any:
    return agent


async def _report_from(log: EventLog, key: str) -> RunReport:
    """Return the report of a run that has ended, but was killed before its result was written."""
    checkpoint = await log.checkpoint(key)
    after = None if checkpoint is None else checkpoint.after or None
    try:
        async with to_aiter(from_log(log, key, after=after)) as entries:
            async for _ in entries:
                pass
    except RxAgentsError as error:
        return RunReport(key, error=ErrorInfo.of(error))
    if checkpoint is None:
        return RunReport(key)
    return RunReport(
        key, checkpoint.output, finish_reason=checkpoint.finish_reason, usage=checkpoint.usage
    )
