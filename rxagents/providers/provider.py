"""Check a provider's arguments, and make requests of conversations."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, Unpack, cast

import aiohttp
import msgspec
from reactivex import Observable
from yarl import URL

from rxagents._version import __version__
from rxagents.core.argument_names import check_names, names_taken_by
from rxagents.core.chunks import StreamChunk
from rxagents.core.errors import ConfigurationError
from rxagents.core.header_text import checked_headers, checked_text
from rxagents.core.limits import Limits
from rxagents.core.message_input import to_messages
from rxagents.core.output_request import StructuredOutput
from rxagents.core.protocols import Messages
from rxagents.core.settings import Settings, SettingsArguments
from rxagents.core.timeouts import Timeouts
from rxagents.core.tools import ToolLike, to_tools
from rxagents.providers.api_key import ApiKey, checked_api_key
from rxagents.providers.base_llm import BaseLLM
from rxagents.providers.checks import (
    checked_limits,
    checked_mode,
    checked_retries,
    checked_session,
)
from rxagents.providers.fetch import fetch_json
from rxagents.providers.prepared_request import PreparedRequest
from rxagents.providers.redaction import redacted
from rxagents.providers.stream import chunk_stream
from rxagents.runtime.factories import source_factory
from rxagents.runtime.limiting.protocol import RequestLimiter
from rxagents.runtime.metering.attempt import ModelRequest
from rxagents.runtime.metering.metering import checked_budget, checked_limiter
from rxagents.runtime.spending.budget import Budget
from rxagents.transport import Interceptor, Transport
from rxagents.wire.parser import StreamInfo, WireParser
from rxagents.wire.request import ChatRequest
from rxagents.wire.think_tags import DEFAULT_TAGS, ThinkTags, checked_think_tags


class ProviderOptions(SettingsArguments, total=False):
    """The arguments of every provider besides its model, key and host.

    Attributes:
        timeout: `Timeouts`, or seconds for the first event and for each further one.
        max_retries: The most retries of a request while nothing has been delivered; 2 by default.
        headers: More headers; they replace the library's own of the same name.
        session: Your own aiohttp session, which is never closed here; or, in a test, a
            `rxagents.testing.Cassette`.
        limits: The most that an answer may hold; `None` for the defaults of `Limits`.
        think_tags: The tags around thinking at the beginning of an answer's text, which becomes
            the chunks' `reasoning`. `("<think>", "</think>")` by default, except at the vendor's
            own host; `(None, "</think>")` where every answer begins with thinking and no first
            tag; `None` leaves the text as it is.
        limiter: Lets the model's requests wait, so that the provider's rate limits are kept.
        budget: Limits what the model's requests use and cost, with all that share it.
        structured_output: How the model is asked for an answer of a type: `"native"` by the API's
            own structured output, the default; `"tool"` by a tool call; `"prompt"` by the JSON
            schema in the system prompt.
    """

    max_retries: int
    session: aiohttp.ClientSession | Interceptor | None
    limits: Limits | None
    think_tags: ThinkTags | None
    limiter: RequestLimiter | None
    budget: Budget | None
    structured_output: StructuredOutput


_NO_SETTINGS = Settings()
_USER_AGENT = f"rxagents/{__version__}"


class Provider(BaseLLM):
    """A model at a provider; a `StreamingLLM`.

    Args:
        model: The provider's name of the model.
        api_key: The key, or a function or coroutine function that returns it for each attempt, such
            as a token that expires soon; `None` sends none. A plain function runs on the loop's
            thread, so it must return at once.
        base_url: The API's URL, to which paths are added; a query in it is kept.
        **options: `timeout`, `max_retries`, `headers`, `session`, `limits`, `think_tags`,
            `limiter`, `budget` and `structured_output`, see `ProviderOptions`; and generation
            settings, see `Settings`, which a call may override.

    Raises:
        ConfigurationError: An argument is invalid.
    """

    name: ClassVar[str]
    is_metered: ClassVar[bool] = True

    def __init__(
        self,
        model: str,
        *,
        api_key: ApiKey | None,
        base_url: URL,
        **options: Unpack[ProviderOptions],
    ) -> None:
        if not ProviderOptions.__optional_keys__.issuperset(options):
            taken = names_taken_by(type(self), ProviderOptions.__optional_keys__)
            check_names(type(self).__name__, options, taken)
        self.model = checked_text("model", model)
        self.base_url = base_url
        self.timeouts = Timeouts.of(options.pop("timeout", None))
        self.max_retries = checked_retries(options.pop("max_retries", 2))
        self.limits = checked_limits(options.pop("limits", None))
        default_tags = None if self._is_own_host else DEFAULT_TAGS
        self.think_tags = checked_think_tags(options.pop("think_tags", default_tags))
        self.structured_output = checked_mode(options.pop("structured_output", "native"))
        self.limiter = checked_limiter(options.pop("limiter", None))
        self.budget = checked_budget(options.pop("budget", None))
        self._api_key = checked_api_key(api_key)
        self._extra_headers = checked_headers(options.pop("headers", None) or {})
        self._transport = Transport(self.name, checked_session(options.pop("session", None)))
        self.settings = Settings().override(**cast("SettingsArguments", options))

    @source_factory
    def chat_stream(
        self,
        messages: Messages,
        tools: Sequence[ToolLike] | None = None,
        **settings: Unpack[SettingsArguments],
    ) -> Observable[StreamChunk]:
        """Stream the answer to a conversation; see `BaseLLM.chat_stream`."""
        chosen = self.settings.override(**settings)
        request = ChatRequest(self.model, to_messages(messages), to_tools(tools), chosen)
        body, metered = self._render(request), self._metered(request)
        prepared = self._prepare(self._path, body, settings=chosen, metered=metered)
        return chunk_stream(prepared, request)

    async def list_models(self) -> list[str]:
        """Return the names of the host's models, in the host's order.

        Raises:
            ProviderError: The host refuses, or has no list of models.
        """
        names: list[str] = []
        page: dict[str, str] | None = {}
        while page is not None:
            body = await fetch_json(self._prepare(self._models_path, None, page))
            names += self._model_names(body)
            page = self._next_page(body)
        return names

    async def aclose(self) -> None:
        """Close the running loop's session; the next request makes a new one."""
        await self._transport.aclose()

    def __repr__(self) -> str:
        known = vars(self)  # what prints the frames of a failed `__init__` gets a part of them
        shown = [f"model={known['model']!r}"] if "model" in known else []
        if "base_url" in known:
            shown.append(f"base_url={str(self.base_url.with_query(None))!r}")
        if known.get("_api_key") is not None:
            shown.append("api_key='***'")
        return f"{type(self).__name__}({', '.join(shown)})"

    @property
    def _response_format(self) -> object:
        return self.settings.response_format

    @property
    def _is_own_host(self) -> bool:
        """Whether the base URL is that of the vendor, who sends thinking apart from the text."""
        return False

    @property
    @abstractmethod
    def _path(self) -> str:
        """The path of the chat request, below the base URL."""

    @property
    @abstractmethod
    def _models_path(self) -> str:
        """The path of the list of models, below the base URL."""

    @property
    def _model_list(self) -> tuple[str, str]:
        """The field that holds the list of models, and the field of a model's name."""
        return "data", "id"

    def _model_names(self, body: dict[str, Any]) -> list[str]:
        field, name = self._model_list
        models = body.get(field)
        listed = models if isinstance(models, list) else []
        return [str(model[name]) for model in listed if isinstance(model, dict) and name in model]

    def _next_page(self, body: dict[str, Any]) -> dict[str, str] | None:
        """The query of the next page of models; `None` if `body` is the last page."""
        return None

    @property
    def _query(self) -> dict[str, str]:
        """The query of the chat request, added to that of the base URL."""
        return {}

    @property
    def _accept(self) -> str:
        """The content type of the stream to ask for."""
        return "text/event-stream"

    @abstractmethod
    def _auth_headers(self, key: str | None) -> dict[str, str]:
        """The headers that authenticate the request with a key; `None` is no key."""

    @abstractmethod
    def _render(self, request: ChatRequest) -> object:
        """Return the body of the request, to be encoded as JSON."""

    @abstractmethod
    def _parser(self, info: StreamInfo) -> WireParser:
        """Return a parser for one answer."""

    def _prepare(
        self,
        path: str,
        content: object,
        query: Mapping[str, str] | None = None,
        *,
        settings: Settings = _NO_SETTINGS,
        metered: ModelRequest | None = None,
    ) -> PreparedRequest:
        """Return a POST of `content`, or a GET if it is `None`."""
        try:
            body = None if content is None else msgspec.json.encode(content)
        except (TypeError, ValueError, RecursionError) as error:
            if isinstance(error, ConfigurationError):
                raise
            raise ConfigurationError(
                f"The request cannot be encoded as JSON ({error}). Use only JSON values in "
                "messages, tools and extra_body."
            ) from error
        own = {
            "content-type": "application/json",
            "accept": "application/json" if content is None else self._accept,
            "user-agent": _USER_AGENT,
        }
        more = {**self._extra_headers, **checked_headers(settings.headers or {})}
        key = self._api_key
        function = key if callable(key) else None
        if not callable(key):
            own |= self._auth_headers(key)
        return PreparedRequest(
            provider=self.name,
            url=_join(self.base_url, path).update_query(self._query if query is None else query),
            headers={**own, **more},
            body=body,
            parser=self._parser,
            transport=self._transport,
            timeouts=self.timeouts if settings.timeout is None else Timeouts.of(settings.timeout),
            limits=self.limits,
            max_retries=self.max_retries,
            redact=partial(self._redact, tuple(more.values())),
            think_tags=self.think_tags,
            raw=bool(settings.raw),
            metered=metered,
            key_function=function,
            authorize=None if function is None else self._auth_headers,
        )

    def _metered(self, request: ChatRequest) -> ModelRequest:
        return ModelRequest(
            self.name,
            request.model,
            str(self.base_url.with_query(None).with_user(None)),
            request.messages,
            request.tools,
            request.settings.max_tokens,
            self.limiter,
            self.budget,
        )

    def _redact(self, headers: tuple[str, ...], text: str) -> str:
        words = [word for value in headers for word in value.split()]
        key = self._api_key if isinstance(self._api_key, str) else None
        return redacted(text, key, [*words, *self.base_url.query.values()])


def _join(base: URL, path: str) -> URL:
    return base.with_path(f"{base.raw_path.rstrip('/')}/{path}", encoded=True, keep_query=True)
