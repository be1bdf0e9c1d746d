"""Call OpenAI's Responses API, or a host that is compatible with it."""

from __future__ import annotations

from typing import ClassVar

from rxagents.providers.openai import OpenAI
from rxagents.wire.parser import StreamInfo, WireParser
from rxagents.wire.request import ChatRequest
from rxagents.wire.responses import ResponsesParser, render_response


class OpenAIResponses(OpenAI):
    """A model behind the Responses API; arguments, keys and hosts are as for `OpenAI`.

    The provider stores nothing: each request sends the whole conversation.
    """

    name: ClassVar[str] = "openai-responses"
    takes_stop: ClassVar[bool] = False

    @property
    def _path(self) -> str:
        return "responses"

    def _render(self, request: ChatRequest) -> dict[str, object]:
        return render_response(request)

    def _parser(self, info: StreamInfo) -> WireParser:
        return ResponsesParser(info)
