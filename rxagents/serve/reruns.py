"""Ask again the runs whose process was lost.

Theory of operation. A run is lost when it has no end mark, and its writer has not renewed the lease
for 15 s. Who wants to repeat it begins the next attempt, which writes the mark of the lost one in
the same step of the store: of several servers that find the run, one gets it, and the others get
`LeaseError`. Nobody sees the mark alone, so the readers of the run go on with the next attempt.

- Lost runs are looked for when the server starts, every 5 s, and when a reader finds one. A server
  that was killed and starts at once finds the leases of its runs still valid: they are lost later.
- A run without a request was not started by a server, and a run that was lost `_MOST_LOSSES` times
  may be what ends the process. They end as interrupted, and so does one that the agent refuses.
- A server without room leaves a lost run to others, or to its next look.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import Final

from msgspec.structs import replace

from rxagents.core.errors import LeaseError, StorageError
from rxagents.runtime.event_log.log_store import RENEW_SECONDS
from rxagents.serve.kept_request import KeptRequest
from rxagents.serve.runs import Runs

_log = logging.getLogger("rxagents.serve")

_MOST_LOSSES: Final = 3


class Reruns:
    """Looks for lost runs while a server runs.

    Args:
        runs: The server's runs.
    """

    def __init__(self, runs: Runs) -> None:
        self._runs = runs
        self._is_found = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Look for lost runs, and go on looking.

        Raises:
            StorageError: The log's store failed.
        """
        self._runs.log.on_lost = lambda _: self._is_found.set()
        await self.look()
        self._task = asyncio.create_task(self._go_on())

    async def aclose(self) -> None:
        """Look no more; readers mark lost runs as interrupted again."""
        self._runs.log.on_lost = None
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def look(self) -> None:
        """Ask again the runs that are lost now, as far as the server has room.

        Raises:
            StorageError: The log's store failed.
        """
        for run_id in await self._runs.log.lost():
            if not self._runs.has_room:
                return
            await self._ask_again(run_id)

    async def _go_on(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(RENEW_SECONDS):
                    await self._is_found.wait()
            self._is_found.clear()
            try:
                await self.look()
            except StorageError as error:
                _log.warning("Lost runs could not be looked for: %s", error)

    async def _ask_again(self, run_id: str) -> None:
        log = self._runs.log
        try:
            request = KeptRequest.of(await log.checkpoint(run_id))
            if request is None or request.losses >= _MOST_LOSSES:
                await log.mark_interrupted(run_id)
                return
            await self._runs.ask(run_id, replace(request, losses=request.losses + 1))
        except LeaseError:
            pass  # another server has it, or it goes on here after a pause
        except StorageError:
            raise
        except Exception as error:
            _log.error("The run %s cannot be asked again: %s", run_id, type(error).__name__)
            await log.mark_interrupted(run_id)
        else:
            _log.warning("The run %s was lost with its process, and was asked again.", run_id)
