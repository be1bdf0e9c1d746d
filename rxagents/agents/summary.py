"""Have a model summarize the exchanges of a conversation that no longer fit."""

from __future__ import annotations

from collections.abc import Iterable

import reactivex as rx
from reactivex import operators as rx_ops

from rxagents.agents.finish import is_whole
from rxagents.agents.model_stream import model_stream
from rxagents.agents.turns import Events
from rxagents.core.errors import OutputError
from rxagents.core.exchange import Exchange, message_text
from rxagents.core.messages import Message
from rxagents.core.protocols import StreamingLLM
from rxagents.core.response import Response
from rxagents.core.usage import Usage
from rxagents.operators.collect import collect


class Summary:
    """The summary of a conversation's earlier exchanges.

    Args:
        text: The summary so far; empty if there is none.

    Attributes:
        text: The summary.
        usage: The tokens that writing it has used in this run.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.usage: Usage | None = None

    @property
    def messages(self) -> tuple[Message, ...]:
        """The summary as the model sees it; no message if there is no summary.

        It is a user message and not an instruction, because it sums up what others may have
        written.
        """
        if not self.text:
            return ()
        return (Message.user(f"Summary of our conversation so far:\n{self.text}"),)

    def extend(self, llm: StreamingLLM, exchanges: Iterable[Exchange]) -> Events:
        """Have `llm` rewrite the summary so that it covers `exchanges` too.

        Returns:
            A stream without events. It fails with `OutputError` if the model writes no whole
            summary.
        """

        def replace(response: Response) -> Events:
            self.text, self.usage = _checked_text(response), response.usage
            return rx.empty()

        request = _request(self.text, exchanges)
        chunks = model_stream(llm, llm.chat_stream(request), request)
        return chunks.pipe(collect(), rx_ops.flat_map(replace))


_INSTRUCTIONS = (
    "Sum up the conversation that follows, together with the summary so far, for yourself: you "
    "will go on with it and see nothing else of it. Keep names, numbers, decisions, wishes and "
    "open questions. Write the summary and nothing else."
)


def _request(summary: str, exchanges: Iterable[Exchange]) -> list[Message]:
    texts = (f"{m.role}: {message_text(m)}" for exchange in exchanges for m in exchange)
    return [
        Message.system(_INSTRUCTIONS),
        Message.user(f"Summary so far: {summary or 'none'}\n\n" + "\n\n".join(texts)),
    ]


def _checked_text(response: Response) -> str:
    """Return the text of a summary.

    Raises:
        OutputError: It is empty or not whole. It would replace the exchanges that it covers, so
            what it leaves out would be lost.
    """
    if not is_whole(response) or not response.content.strip():
        raise OutputError(
            "The model wrote no whole summary of the conversation: "
            f"{len(response.content)} characters, finish reason {response.finish_reason!r}. Raise "
            "max_tokens if it is 'length', run again, or use another strategy of Memory."
        )
    return response.content
