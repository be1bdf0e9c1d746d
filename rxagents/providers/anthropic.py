"""Call Anthropic's Messages API, or a host that is compatible with it."""

from __future__ import annotations

import os
from typing import Any, ClassVar, Unpack

from rxagents.core.errors import ConfigurationError
from rxagents.core.header_text import checked_text
from rxagents.providers.api_key import ApiKey
from rxagents.providers.checks import checked_url, is_origin, key_of_environment
from rxagents.providers.provider import Provider, ProviderOptions
from rxagents.wire.anthropic import AnthropicParser, render_messages
from rxagents.wire.anthropic.render import CURRENT_VERSION
from rxagents.wire.parser import StreamInfo
from rxagents.wire.request import ChatRequest

DEFAULT_BASE_URL = "https://api.anthropic.com"


class Anthropic(Provider):
    """A model at Anthropic, or at any host that speaks its Messages API.

    Args:
        model: The model's name.
        api_key: The key, or a function that returns it for each attempt; by default
            `ANTHROPIC_API_KEY`, or `ANTHROPIC_AUTH_TOKEN` as a bearer token. A key from the
            environment goes only to Anthropic or `ANTHROPIC_BASE_URL`, and never to another
            `base_url`.
        base_url: By default `ANTHROPIC_BASE_URL`, or Anthropic's own. A query in it is kept.
        api_version: The header `anthropic-version`. Many compatible hosts know only
            `"2023-06-01"`, which also takes `temperature`, `top_p` and `top_k`.
        **options: See `Provider`. `max_tokens` is 4096 unless set.

    Raises:
        ConfigurationError: An argument is not usable, or Anthropic's own host lacks a key.
    """

    name: ClassVar[str] = "anthropic"
    takes_prefill: ClassVar[bool] = True

    def __init__(
        self,
        model: str,
        *,
        api_key: ApiKey | None = None,
        base_url: str | None = None,
        api_version: str = CURRENT_VERSION,
        **options: Unpack[ProviderOptions],
    ) -> None:
        own_url = os.environ.get("ANTHROPIC_BASE_URL") or DEFAULT_BASE_URL
        url = checked_url(own_url if base_url is None else base_url)
        takes_own_key = base_url is None or is_origin(own_url, url)
        token = None
        if api_key is None and takes_own_key:
            api_key = key_of_environment("ANTHROPIC_API_KEY")
            token = key_of_environment("ANTHROPIC_AUTH_TOKEN") if api_key is None else None
        super().__init__(model, api_key=api_key or token, base_url=url, **options)
        self.api_version = checked_text("api_version", api_version)
        self._is_token = token is not None
        if self._api_key is None and is_origin(DEFAULT_BASE_URL, url):
            raise ConfigurationError(
                "Anthropic needs a key: set ANTHROPIC_API_KEY, or pass api_key. For another host "
                "pass its base_url."
            )

    @property
    def _is_own_host(self) -> bool:
        return is_origin(DEFAULT_BASE_URL, self.base_url)

    @property
    def _path(self) -> str:
        return "v1/messages"

    @property
    def _models_path(self) -> str:
        return "v1/models"

    def _next_page(self, body: dict[str, Any]) -> dict[str, str] | None:
        more = body.get("has_more") and body.get("last_id")
        return {"after_id": str(body["last_id"])} if more else None

    def _auth_headers(self, key: str | None) -> dict[str, str]:
        version = {"anthropic-version": self.api_version}
        if key is None:
            return version
        if self._is_token:
            return {**version, "authorization": f"Bearer {key}"}
        return {**version, "x-api-key": key}

    def _render(self, request: ChatRequest) -> dict[str, object]:
        return render_messages(request, self.api_version)

    def _parser(self, info: StreamInfo) -> AnthropicParser:
        return AnthropicParser(info)
