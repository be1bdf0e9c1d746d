"""Provide the cassette: a session for a model that records its answers, and replays them."""

from __future__ import annotations

import asyncio
from collections import Counter
from os import PathLike
from pathlib import Path
from typing import Literal, get_args

from rxagents.core.errors import ConfigurationError, ProviderError
from rxagents.runtime.reporting import report_harmless
from rxagents.testing.cassettes.exchange import (
    Exchange,
    RecordedRequest,
    read_exchanges,
    write_exchanges,
)
from rxagents.testing.cassettes.misses import miss_error
from rxagents.testing.cassettes.recording_response import Recorder, RecordingResponse
from rxagents.testing.cassettes.replayed_response import Replay, replayed
from rxagents.testing.cassettes.secrets import Secrets, key_of
from rxagents.transport import (
    HttpRequest,
    StaleConnectionError,
    StreamedResponse,
)
from rxagents.transport.interception import Send

Mode = Literal["replay", "record", "once"]
Timing = Literal["instant", "recorded"]


class Cassette:
    """A `session` for models that records their answers in a file, and replays them in tests.

    An answer is found by its request: method, URL and JSON body; headers and keys do not matter.
    The same request sent several times gets the recorded answers in their order. Bytes, pieces and
    times are kept, and the status, and the headers that say something about the answer. API keys,
    the caller's own headers and unknown parts of a query are hidden, also where the body repeats
    them; the conversation itself is kept, so look at it before you commit the file.

    Args:
        path: The file, in a folder that exists.
        mode: `"replay"` sends nothing, and fails with `CassetteMissError` for a request that is not
            in the file; `"record"` sends all requests and replaces the file; `"once"` records if
            there is no file, and else replays.
        timing: `"instant"` replays as fast as it is read; `"recorded"` with the recorded times,
            which take no time under `expect` and `run_in_virtual_time`.

    Raises:
        ConfigurationError: An argument is not valid, or the file cannot be read.

    Example:
        >>> import asyncio, tempfile
        >>> from rxagents import OpenAI
        >>> from rxagents.testing import ScriptedServer
        >>> path = tempfile.mkdtemp() + "/hello.jsonl"
        >>> async def ask(url, mode):
        ...     cassette = Cassette(path, mode)
        ...     async with OpenAI("any", api_key="any", base_url=url, session=cassette) as llm:
        ...         print((await llm.chat("Hi")).content)
        ...     return url
        >>> async def record():
        ...     async with ScriptedServer("Hello there") as server:
        ...         return await ask(server.url, "record")
        >>> url = asyncio.run(record())
        Hello there
        >>> url = asyncio.run(ask(url, "replay"))
        Hello there
    """

    def __init__(
        self, path: str | PathLike[str], mode: Mode = "replay", *, timing: Timing = "instant"
    ) -> None:
        if not isinstance(path, (str, PathLike)):
            raise ConfigurationError(f"path must be a str or a path, not {type(path).__name__}.")
        for name, value, known in (("mode", mode, Mode), ("timing", timing, Timing)):
            if value not in get_args(known):
                names = ", ".join(map(repr, get_args(known)))
                raise ConfigurationError(f"{name} must be one of {names}, not {value!r}.")
        self._path = Path(path)
        self._is_timed = timing == "recorded"
        self._records = mode == "record" or (mode == "once" and not self._path.exists())
        if self._records and not self._path.absolute().parent.is_dir():
            raise ConfigurationError(f"The folder of the cassette {path} does not exist.")
        self._exchanges = [] if self._records else read_exchanges(self._path)
        self._keys = [key_of(exchange.request) for exchange in self._exchanges]
        self._played: Counter[str] = Counter()

    def __repr__(self) -> str:
        mode = "record" if self._records else "replay"
        return f"Cassette({str(self._path)!r}, {mode!r})"

    @property
    def requests(self) -> list[RecordedRequest]:
        """The requests of the file, in their order."""
        return [exchange.request for exchange in self._exchanges]

    @property
    def unplayed(self) -> list[RecordedRequest]:
        """The requests that were recorded, and have not been sent so far."""
        left = self._played.copy()
        unplayed = []
        for exchange, key in zip(self._exchanges, self._keys, strict=True):
            if left[key] <= 0:
                unplayed.append(exchange.request)
            left[key] -= 1
        return unplayed

    async def intercept(self, request: HttpRequest, send: Send) -> StreamedResponse:
        """Answer a request of a model, which calls this method.

        Raises:
            CassetteMissError: The file has no answer for the request.
            ProviderError: The recorded one.
        """
        secrets = Secrets.of(request)
        recorded = secrets.request(request)
        if self._records:
            return await self._record(recorded, secrets, send)
        replay = Replay.of(self.take(recorded), is_timed=self._is_timed)
        return await replayed(replay, request.provider)

    def take(self, request: RecordedRequest) -> Exchange:
        """Return the next exchange with this request.

        Raises:
            CassetteMissError: There is none.
        """
        key = key_of(request)
        same = [
            each for each, known in zip(self._exchanges, self._keys, strict=True) if known == key
        ]
        number = self._played[key]
        if number >= len(same):
            raise miss_error(self._path, request, self.requests, len(same))
        self._played[key] += 1
        return same[number]

    def give_back(self, request: RecordedRequest) -> None:
        """Let the same request get the exchange again that it got last."""
        self._played[key_of(request)] -= 1

    def rewound(self) -> Cassette:
        """Return a cassette of the same file that has played nothing, to replay it once more."""
        if self._records:
            raise ConfigurationError(
                f"The cassette {self._path} records: replay it with mode='replay'."
            )
        copy = Cassette.__new__(Cassette)
        vars(copy).update(vars(self), _played=Counter())
        return copy

    async def _record(
        self, request: RecordedRequest, secrets: Secrets, send: Send
    ) -> StreamedResponse:
        exchange = Exchange(request)
        self._exchanges.append(exchange)  # at the place of its request, whenever it ends
        recorder = Recorder(exchange, secrets, self._save)
        try:
            return RecordingResponse(await send(), recorder)
        except asyncio.CancelledError:
            recorder.end(stopped="disposed")
            raise
        except ProviderError as error:
            if isinstance(error, StaleConnectionError):
                self._exchanges.remove(exchange)  # the server never saw the request
            else:
                recorder.end(error)
            raise

    def _save(self) -> None:
        try:
            write_exchanges(self._path, [each for each in self._exchanges if each.end is not None])
        except OSError as error:
            report_harmless(error, f"The cassette {self._path} could not be written")
