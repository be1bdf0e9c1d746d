"""Ask a model for an answer of a type, and have it corrected."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from rxagents.core.checks import checked_count_or_zero
from rxagents.core.errors import BadRequestError, OutputError
from rxagents.core.message_input import to_messages
from rxagents.core.output_request import OutputRequest, ParsedResponse, may_correct
from rxagents.core.output_type import OutputType
from rxagents.core.protocols import Messages, StreamingLLM
from rxagents.core.response import ResponseBuilder
from rxagents.core.settings import SettingsArguments
from rxagents.core.tools import ToolLike
from rxagents.core.usage import Usage, add_usage
from rxagents.runtime.last_value import last_value
from rxagents.runtime.stream import in_bursts

T = TypeVar("T")


async def structured_chat(
    llm: StreamingLLM,
    messages: Messages,
    tools: Sequence[ToolLike],
    settings: SettingsArguments,
    output: OutputType[T],
    corrections: int,
) -> ParsedResponse[T]:
    """Return the response to a conversation, with the answer as a value of a type.

    An answer that does not match goes back to the model with the reason, `corrections` times at
    most.

    Raises:
        OutputError: The last answer does not match the type, is incomplete, or is a refusal.
    """
    checked_count_or_zero("corrections", corrections)
    request = OutputRequest(output, llm, has_tools=bool(tools))
    conversation = to_messages(messages)
    usage: Usage | None = None
    while True:
        builder = ResponseBuilder()
        stream = llm.chat_stream(
            request.messages(conversation), request.tools(tools), **request.settings(settings)
        )
        try:
            await last_value(in_bursts(stream), builder.add)
        except BadRequestError as refusal:
            other = request.after(refusal)
            if other is None:
                raise
            request = other
            continue
        request.remember()
        response = builder.response()
        usage = add_usage(usage, response.usage)
        try:
            return ParsedResponse(builder, usage, request.read(response))
        except OutputError as error:
            if not corrections or not may_correct(response):
                raise
            corrections -= 1
            conversation = (*conversation, *request.correction(response, error))
