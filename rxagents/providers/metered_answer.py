"""Count an answer for limiters and budgets while it arrives."""

from __future__ import annotations

import sys

from rxagents.core.chunks import StreamChunk
from rxagents.providers.prepared_request import PreparedRequest, RequestContent
from rxagents.providers.received_answer import ReceivedAnswer
from rxagents.runtime.idle_clock import IdleClock
from rxagents.runtime.metering.attempt import Attempt
from rxagents.transport import StreamedResponse
from rxagents.wire.parser import StreamInfo


class MeteredAnswer(ReceivedAnswer):
    """A `ReceivedAnswer` of a metered attempt.

    It is a class of its own, so that answers without a limiter or a budget do not pay for it. A
    `limit` that no body reaches makes `AnswerReader` call `check` for each packet.
    """

    __slots__ = ("_attempt",)

    def __init__(
        self,
        request: PreparedRequest,
        content: RequestContent,
        response: StreamedResponse,
        info: StreamInfo,
        clock: IdleClock,
        attempt: Attempt,
    ) -> None:
        super().__init__(request, content, response, info, clock)
        self._attempt = attempt
        if self.limit is None and attempt.is_limited:
            self.limit = sys.maxsize

    def feed(self, data: bytes) -> list[StreamChunk]:
        """Parse and count the next bytes of the body."""
        chunks = super().feed(data)
        self._attempt.add(chunks)
        self._attempt.is_complete = self.parser.complete
        return chunks

    def check(self) -> None:
        """Raise the error that ends the stream, if there is one.

        Raises:
            ProviderError: See `ReceivedAnswer`.
            RunLimitError: A budget is used up, and the answer is not complete.
        """
        super().check()
        if not self.complete:
            self._attempt.check()
