"""Call Ollama's own API."""

from __future__ import annotations

import os
from typing import Any, ClassVar, Unpack

from reactivex import Observable
from yarl import URL

from rxagents.core.chunks import StreamChunk
from rxagents.core.errors import ConfigurationError
from rxagents.core.message_input import to_messages
from rxagents.core.settings import SettingsArguments
from rxagents.providers.api_key import ApiKey
from rxagents.providers.checks import checked_url, is_origin, key_of_environment
from rxagents.providers.provider import Provider, ProviderOptions
from rxagents.providers.stream import chunk_stream
from rxagents.runtime.factories import source_factory
from rxagents.wire.ollama import OllamaParser, render_chat, render_generate
from rxagents.wire.parser import StreamInfo
from rxagents.wire.request import ChatRequest

DEFAULT_PORT = 11434


class Ollama(Provider):
    """A model that Ollama serves, on this machine or another.

    Args:
        model: The model's name, as `ollama list` shows it.
        api_key: The key, which only hosted servers need, or a function that
            returns it for each attempt; by default `OLLAMA_API_KEY`. A key from
            the environment goes only to `OLLAMA_HOST` or this machine, and never to another
            `base_url`.
        base_url: By default `OLLAMA_HOST`, where a bare host means HTTP and port 11434, or this
            machine.
        **options: See `Provider`.

    Raises:
        ConfigurationError: An argument is invalid.
    """

    name: ClassVar[str] = "ollama"
    takes_tool_choice: ClassVar[bool] = False
    takes_prefill: ClassVar[bool] = True
    takes_format_with_tools: ClassVar[bool] = False  # the format's grammar admits no tool call

    def __init__(
        self,
        model: str,
        *,
        api_key: ApiKey | None = None,
        base_url: str | None = None,
        **options: Unpack[ProviderOptions],
    ) -> None:
        own_url = host_url(os.environ.get("OLLAMA_HOST", ""))
        url = checked_url(own_url if base_url is None else base_url)
        if api_key is None and (base_url is None or is_origin(own_url, url)):
            api_key = key_of_environment("OLLAMA_API_KEY")
        super().__init__(model, api_key=api_key, base_url=url, **options)

    @source_factory
    def complete_stream(
        self, prompt: str, **settings: Unpack[SettingsArguments]
    ) -> Observable[StreamChunk]:
        """Continue a text with `/api/generate`."""
        if not isinstance(prompt, str):
            raise ConfigurationError(f"prompt must be a str, not {type(prompt).__name__}.")
        chosen = self.settings.override(**settings)
        body = render_generate(self.model, prompt, chosen)
        request = ChatRequest(self.model, to_messages(prompt), (), chosen)
        metered = self._metered(request)
        prepared = self._prepare("api/generate", body, settings=chosen, metered=metered)
        return chunk_stream(prepared, request, is_completion=True)

    @property
    def _path(self) -> str:
        return "api/chat"

    @property
    def _accept(self) -> str:
        return "application/x-ndjson"

    @property
    def _models_path(self) -> str:
        return "api/tags"

    @property
    def _model_list(self) -> tuple[str, str]:
        return "models", "name"

    def _auth_headers(self, key: str | None) -> dict[str, str]:
        return {} if key is None else {"authorization": f"Bearer {key}"}

    def _render(self, request: ChatRequest) -> dict[str, Any]:
        return render_chat(request)

    def _parser(self, info: StreamInfo) -> OllamaParser:
        return OllamaParser(info)


def host_url(host: str) -> str:
    """Return the URL of a value of `OLLAMA_HOST`, read as Ollama's own client does.

    A bare host means HTTP and port 11434. 0.0.0.0, on which a server listens to every address,
    means this machine.

    Raises:
        ConfigurationError: `host` is not a host or URL.
    """
    text = host.strip().strip("\"'").strip()
    scheme, _, rest = text.rpartition("://")
    if ":" in rest and rest.count(":") > 1 and not rest.startswith("["):
        rest = f"[{rest}]"  # an IPv6 address without its brackets
    if rest.startswith(":"):
        rest = f"127.0.0.1{rest}"
    url = checked_url(f"{scheme or 'http'}://{rest or '127.0.0.1'}")
    if url.explicit_port is None and not scheme:
        url = url.with_port(DEFAULT_PORT)
    if url.host == "0.0.0.0":
        url = URL(str(url).replace("0.0.0.0", "127.0.0.1", 1))
    return str(url)
