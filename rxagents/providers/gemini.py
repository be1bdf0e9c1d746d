"""Call Google's Gemini API."""

from __future__ import annotations

from typing import Any, ClassVar, Unpack
from urllib.parse import quote

from rxagents.core.errors import ConfigurationError
from rxagents.providers.api_key import ApiKey
from rxagents.providers.checks import checked_url, is_origin, key_of_environment
from rxagents.providers.provider import Provider, ProviderOptions
from rxagents.wire.gemini import GeminiParser, render_contents
from rxagents.wire.parser import StreamInfo
from rxagents.wire.request import ChatRequest

DEFAULT_BASE_URL = "https://generativelanguage.googleapis.com"


class Gemini(Provider):
    """A Gemini model.

    Args:
        model: The model's name, with or without `models/` before it.
        api_key: The key, or a function that returns it for each attempt; by default
            `GOOGLE_API_KEY` or else `GEMINI_API_KEY`. A key from the
            environment goes only to Google, and never to another `base_url`.
        base_url: By default Google's own. A query in it is kept.
        **options: See `Provider`.

    Raises:
        ConfigurationError: An argument is not usable, or Google's own host lacks a key.
    """

    name: ClassVar[str] = "gemini"
    takes_format_with_tools: ClassVar[bool] = False  # models before Gemini 3 refuse both together

    def __init__(
        self,
        model: str,
        *,
        api_key: ApiKey | None = None,
        base_url: str | None = None,
        **options: Unpack[ProviderOptions],
    ) -> None:
        url = checked_url(DEFAULT_BASE_URL if base_url is None else base_url)
        is_google = is_origin(DEFAULT_BASE_URL, url)
        if api_key is None and is_google:
            api_key = key_of_environment("GOOGLE_API_KEY") or key_of_environment("GEMINI_API_KEY")
        super().__init__(model, api_key=api_key, base_url=url, **options)
        if self._api_key is None and is_google:
            raise ConfigurationError(
                "Gemini needs a key: set GOOGLE_API_KEY or GEMINI_API_KEY, or pass api_key. For "
                "another host pass its base_url."
            )

    @property
    def _is_own_host(self) -> bool:
        return is_origin(DEFAULT_BASE_URL, self.base_url)

    @property
    def _path(self) -> str:
        model = quote(self.model.removeprefix("models/"), safe="")
        return f"v1beta/models/{model}:streamGenerateContent"

    @property
    def _query(self) -> dict[str, str]:
        return {"alt": "sse"}

    @property
    def _models_path(self) -> str:
        return "v1beta/models"

    @property
    def _model_list(self) -> tuple[str, str]:
        return "models", "name"

    def _model_names(self, body: dict[str, Any]) -> list[str]:
        return [name.removeprefix("models/") for name in super()._model_names(body)]

    def _next_page(self, body: dict[str, Any]) -> dict[str, str] | None:
        token = body.get("nextPageToken")
        return {"pageToken": str(token)} if token else None

    def _auth_headers(self, key: str | None) -> dict[str, str]:
        return {} if key is None else {"x-goog-api-key": key}

    def _render(self, request: ChatRequest) -> dict[str, Any]:
        return render_contents(request)

    def _parser(self, info: StreamInfo) -> GeminiParser:
        return GeminiParser(info)
