"""Give permits of a limiter to the requests of a worker."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from rxagents.runtime.limiting.protocol import LimitedRequest, Permit, RequestLimiter
from rxagents.runtime.many_runs.messages import (
    Asked,
    Granted,
    Learned,
    Left,
    LimiterAnswer,
    Refused,
    Settled,
)
from rxagents.runtime.many_runs.remote_limiter import granted


class Permits:
    """The requests of one worker that wait for the limiter, and the permits that it has.

    Args:
        limiter: The limiter.
    """

    def __init__(self, limiter: RequestLimiter | None) -> None:
        self._limiter = limiter
        self._waiting: dict[int, asyncio.Task[None]] = {}
        self._held: dict[int, Permit] = {}

    def on_answer(self, answer: LimiterAnswer, send: Callable[[Granted], None], key: str) -> None:
        """Do what a worker asks for a request of the run with this key."""
        if isinstance(answer, Asked):
            if self._limiter is not None:
                work = self._acquire(self._limiter, answer, send, key)
                self._waiting[answer.permit] = asyncio.create_task(work)
            return
        waiting = self._waiting.get(answer.permit)
        if waiting is not None:
            waiting.cancel()
            return
        match answer:
            case Learned():
                if answer.permit in self._held:
                    self._held[answer.permit].learn(answer.headers)
            case Refused():
                if answer.permit in self._held:
                    self._held[answer.permit].refused(answer.retry_after)
            case Settled():
                permit = self._held.pop(answer.permit, None)
                if permit is not None:
                    permit.settle(answer.tokens)
            case Left():
                permit = self._held.pop(answer.permit, None)
                if permit is not None:
                    permit.give_back()

    def close(self) -> None:
        """Leave the line, and end the requests, whose usage is not known."""
        for task in self._waiting.values():
            task.cancel()
        held, self._held = self._held, {}
        for permit in held.values():
            permit.settle(None)

    async def _acquire(
        self,
        limiter: RequestLimiter,
        asked: Asked,
        send: Callable[[Granted], None],
        key: str,
    ) -> None:
        request = LimitedRequest(
            asked.provider, asked.model, asked.input_tokens, asked.output_tokens, key
        )
        try:
            self._held[asked.permit] = await limiter.acquire(request)
            send(granted(asked.permit))
        except Exception as error:
            send(granted(asked.permit, error))
        finally:
            del self._waiting[asked.permit]
