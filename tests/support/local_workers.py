"""Workers on the loop of the test, which count what they send and can be lost."""

from __future__ import annotations

import asyncio
import pickle
from collections import deque

from rxagents.runtime.many_runs.engine import Job
from rxagents.runtime.many_runs.links import LinkLostError
from rxagents.runtime.many_runs.messages import Batch, decode_answer, decode_order
from rxagents.runtime.many_runs.pool import PoolSession
from rxagents.runtime.many_runs.worker import Worker


class LocalWorkers:
    """An engine for `run_many` whose workers are objects; a worker is a link to itself.

    Attributes:
        links: All workers that were started.
    """

    what = "local worker"

    def __init__(self, count: int) -> None:
        self.count = count
        self.links: list[LocalLink] = []

    async def open(self, job: Job) -> PoolSession:
        return PoolSession(job, self)

    def main_data(self) -> bytes:
        return b""

    def dumps(self, value: object) -> bytes:
        return pickle.dumps(value)

    async def start(self) -> LocalLink:
        self.links.append(LocalLink())
        return self.links[-1]


class LocalLink:
    def __init__(self) -> None:
        self.events_sent = 0
        self.is_lost = False
        self._answers: deque[bytes] = deque()
        self._arrived = asyncio.Event()
        self._worker = Worker(self._on_answer)

    def _on_answer(self, data: bytes) -> None:
        answer = decode_answer(data)
        if isinstance(answer, Batch):
            self.events_sent += len(answer.events)
        self._answers.append(data)
        self._arrived.set()

    def send(self, message: bytes) -> None:
        if not self.is_lost:
            self._worker.on_order(decode_order(message))

    async def receive(self) -> bytes:
        while not self._answers:
            if self.is_lost:
                raise LinkLostError("with exit code 3")
            self._arrived.clear()
            await self._arrived.wait()
        return self._answers.popleft()

    def lose(self) -> None:
        """End the worker, as the death of a process would."""
        self.is_lost = True
        self._worker.dispose()
        self._arrived.set()

    async def aclose(self) -> None:
        await self._worker.aclose()
