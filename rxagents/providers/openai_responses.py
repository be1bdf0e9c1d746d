"""OpenAI's Responses API, and every host that is compatible with it."""

from __future__ import annotations

from typing import ClassVar

from rxagents.providers.openai import OpenAI
from rxagents.wire.parser import StreamInfo, WireParser
from rxagents.wire.request import ChatRequest
from rxagents.wire.responses import ResponsesParser, render_response


class OpenAIResponses(OpenAI):
    """A model behind the Responses API; keys, hosts and arguments are those of `OpenAI`.

    Nothing is stored at the provider: the whole conversation is sent each time.
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
