"""Call OpenAI's chat completions, or a host that is compatible with them."""

from __future__ import annotations

import os
from typing import ClassVar, Unpack

from rxagents.core.errors import ConfigurationError
from rxagents.core.header_text import checked_text
from rxagents.providers.api_key import ApiKey
from rxagents.providers.checks import checked_url, is_origin, key_of_environment
from rxagents.providers.openai_hosts import host_of, is_openai
from rxagents.providers.provider import Provider, ProviderOptions
from rxagents.wire.chat_completions import ChatCompletionsParser, render_chat
from rxagents.wire.parser import StreamInfo, WireParser
from rxagents.wire.request import ChatRequest

DEFAULT_BASE_URL = "https://api.openai.com/v1"

_ACCOUNT_HEADERS = {
    "openai-organization": "OPENAI_ORG_ID",
    "openai-project": "OPENAI_PROJECT_ID",
}


class OpenAI(Provider):
    """A model at OpenAI, or at any host that speaks its chat completions.

    Args:
        model: The model's name.
        api_key: The key, or a function that returns it for each attempt; by default
            `OPENAI_API_KEY`. A key from the environment goes only to
            OpenAI or `OPENAI_BASE_URL`, and never to another `base_url`.
        base_url: By default `OPENAI_BASE_URL`, or OpenAI's own. A query in it is kept.
        **options: See `Provider`.

    Raises:
        ConfigurationError: An argument is not usable, or OpenAI's own host lacks a key.
    """

    name: ClassVar[str] = "openai"

    def __init__(
        self,
        model: str,
        *,
        api_key: ApiKey | None = None,
        base_url: str | None = None,
        **options: Unpack[ProviderOptions],
    ) -> None:
        own_url = os.environ.get("OPENAI_BASE_URL") or DEFAULT_BASE_URL
        url = checked_url(own_url if base_url is None else base_url)
        takes_own_key = base_url is None or is_origin(own_url, url)
        if api_key is None and takes_own_key:
            api_key = key_of_environment("OPENAI_API_KEY")
        super().__init__(model, api_key=api_key, base_url=url, **options)
        self._account = _account_of_environment() if takes_own_key else {}
        self._host = host_of(url, model)
        is_own = url.host == checked_url(DEFAULT_BASE_URL).host
        if is_own and self._api_key is None:
            raise ConfigurationError(
                "OpenAI needs a key: set OPENAI_API_KEY, or pass api_key. For another host pass "
                "its base_url."
            )

    @property
    def _is_own_host(self) -> bool:
        return is_openai(self.base_url)

    @property
    def _path(self) -> str:
        return "chat/completions"

    @property
    def _models_path(self) -> str:
        return "models"

    def _auth_headers(self, key: str | None) -> dict[str, str]:
        sent = {} if key is None else {"authorization": f"Bearer {key}"}
        return {**self._account, **sent}

    def _render(self, request: ChatRequest) -> dict[str, object]:
        return render_chat(request, self._host)

    def _parser(self, info: StreamInfo) -> WireParser:
        return ChatCompletionsParser(info)


def _account_of_environment() -> dict[str, str]:
    account = {header: os.environ.get(name, "") for header, name in _ACCOUNT_HEADERS.items()}
    return {
        header: checked_text(_ACCOUNT_HEADERS[header], value)
        for header, value in account.items()
        if value
    }
