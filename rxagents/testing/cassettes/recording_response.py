"""Note what is read of a response while it is read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from rxagents.core.errors import ProviderError
from rxagents.core.events import ErrorInfo
from rxagents.runtime.recording import RecordedLine, Stop
from rxagents.testing.cassettes.exchange import Exchange, Part, RecordedHead
from rxagents.testing.cassettes.secrets import Secrets
from rxagents.transport import StreamedResponse


class Recorder:
    """Notes the parts of one exchange, each with its time.

    Args:
        exchange: Gets the parts.
        secrets: Keeps them out of it.
        on_end: Called when the exchange is over.
    """

    def __init__(self, exchange: Exchange, secrets: Secrets, on_end: Callable[[], None]) -> None:
        self._exchange = exchange
        self._secrets = secrets
        self._on_end = on_end
        self._now = asyncio.get_running_loop().time
        self._start = self._now()

    def head(self, response: StreamedResponse) -> None:
        """Note the head of the response."""
        headers = self._secrets.headers(response.headers)
        reason = self._secrets.hide(response.reason)
        self._exchange.head = self._at(), RecordedHead(response.status, reason, headers)

    def data(self, data: bytes) -> None:
        """Note bytes that were read."""
        self._exchange.pieces.append((self._at(), data))

    def end(self, failure: Exception | None = None, stopped: Stop = "") -> None:
        """Note the end, unless there was one before."""
        exchange = self._exchange
        if exchange.end is not None:
            return
        times, pieces = [at for at, _ in exchange.pieces], [piece for _, piece in exchange.pieces]
        exchange.pieces = list(zip(times, self._secrets.mask(pieces), strict=True))
        info = None
        if failure is not None:
            info = ErrorInfo.of(failure)
            info = ErrorInfo(
                info.kind, self._secrets.hide(info.message), info.provider, info.status,
                info.request_id, info.retryable,
            )  # fmt: skip
        exchange.end = RecordedLine[Part](
            self._at(), completed=info is None and not stopped, error=info, stopped=stopped
        )
        self._on_end()

    def _at(self) -> float:
        return round(self._now() - self._start, 6)


class RecordingResponse:
    """A response that notes what is read of it."""

    def __init__(self, response: StreamedResponse, recorder: Recorder) -> None:
        self._response = response
        self._recorder = recorder
        recorder.head(response)

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self._response.status

    @property
    def reason(self) -> str:
        """The reason phrase beside the status."""
        return self._response.reason

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers."""
        return self._response.headers

    @property
    def failure(self) -> ProviderError | None:
        """Why the body ended."""
        return self._response.failure

    async def read(self) -> bytes:
        """Return the next bytes."""
        return self._note(await self._response.read())

    def read_nowait(self) -> bytes | None:
        """Return the next bytes; `None` if none are there yet."""
        data = self._response.read_nowait()
        return None if data is None else self._note(data)

    def listen(self, on_data: Callable[[], object]) -> bool:
        """Call `on_data` when bytes arrive."""
        return self._response.listen(on_data)

    async def read_head(self, limit: int) -> bytes:
        """Return at most `limit` bytes of the body of an error."""
        head = await self._response.read_head(limit)
        if head:
            self._recorder.data(head)
        self._recorder.end(self._response.failure)
        return head

    def finish(self) -> None:
        """End the response."""
        self._response.finish()
        self._recorder.end()

    def close(self) -> None:
        """End the response, and close its connection."""
        self._response.close()
        self._recorder.end(stopped="disposed")

    def _note(self, data: bytes) -> bytes:
        if data:
            self._recorder.data(data)
        else:
            self._recorder.end(self._response.failure)
        return data
