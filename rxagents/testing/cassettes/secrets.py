"""Keep keys out of a cassette, and find the same request again whatever its key is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from rxagents.core.json_text import encode_json
from rxagents.providers.redaction import redacted, secret_places
from rxagents.testing.cassettes.exchange import RecordedRequest
from rxagents.transport import HttpRequest

_PUBLIC_HEADERS = {"accept", "accept-encoding", "anthropic-beta", "anthropic-version",
                   "content-type", "user-agent"}  # fmt: skip
"""The request headers whose values are no secrets."""

_PUBLIC_QUERY = {"after_id", "alt", "api-version", "before_id", "limit", "pagesize", "pagetoken"}
"""The parts of a query whose values are no secrets, in lower case."""

_KEY_HEADERS = {"api-key", "authorization", "x-api-key", "x-goog-api-key"}

_KEPT_HEADERS = {"apim-request-id", "cf-ray", "content-type", "location", "request-id",
                 "retry-after", "retry-after-ms", "x-request-id", "x-should-retry"}  # fmt: skip
_KEPT_PREFIXES = ("anthropic-ratelimit-", "x-ratelimit-")
"""The response headers that say something about the answer: no cookies, no names of accounts."""

_MADE_ID = re.compile(r"call_[0-9a-f]{32}")
"""The ids that we make for tool calls without one, at random."""


class Secrets(Struct, frozen=True):
    """The secrets of one request.

    A value of less than 8 characters is a word and no secret, also as a key: a local host takes
    any, such as `"any"`, and hiding that word would garble the answers.

    Attributes:
        values: The API key, the values of the caller's own headers, and those in the URL.
    """

    values: tuple[str, ...]

    @classmethod
    def of(cls, request: HttpRequest) -> Secrets:
        """Find the secrets in the headers and the query of a request."""
        keys = [
            value.split()[-1]
            for name, value in request.headers.items()
            if name.lower() in _KEY_HEADERS and value.split()
        ]
        words = [
            word
            for name, value in request.headers.items()
            if name.lower() not in _PUBLIC_HEADERS | _KEY_HEADERS
            for word in value.split()
        ]
        query = [value for name, value in request.url.query.items() if _is_secret(name)]
        password = [request.url.password] if request.url.password else []
        return cls((*keys, *words, *query, *password))

    def hide(self, text: str) -> str:
        """Return `text` with `***` for each secret."""
        return redacted(text, None, self.values)

    def hide_all(self, value: Any) -> Any:
        """Return a JSON value with `***` for each secret in its texts and names."""
        match value:
            case str():
                return self.hide(value)
            case list():
                return [self.hide_all(item) for item in value]
            case dict():
                return {self.hide(name): self.hide_all(item) for name, item in value.items()}
        return value

    def mask(self, pieces: list[bytes]) -> list[bytes]:
        """Return the pieces of a body with asterisks for each secret, also one that was cut.

        Each piece keeps its length, so that an event ends where it ended.
        """
        whole = bytearray(b"".join(pieces))
        text = whole.decode("latin-1")  # a character for each byte
        for start, end in secret_places(text, None, self.values):
            whole[start:end] = b"*" * (end - start)
        masked, position = [], 0
        for piece in pieces:
            masked.append(bytes(whole[position : position + len(piece)]))
            position += len(piece)
        return masked

    def request(self, request: HttpRequest) -> RecordedRequest:
        """Return a request as it is recorded."""
        url = request.url.with_user(None).with_password(None)
        query = {name: "***" if _is_secret(name) else value for name, value in url.query.items()}
        body = None if request.body is None else msgspec.json.decode(request.body)
        shown = self.hide(str(url.with_query(None)))
        if query:
            shown += "?" + "&".join(f"{name}={self.hide(value)}" for name, value in query.items())
        return RecordedRequest(request.method, shown, self.hide_all(body))

    def headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Return the headers of a response as they are recorded."""
        kept = {name.lower(): value for name, value in headers.items()}
        return {
            name: self.hide(value)
            for name, value in kept.items()
            if name in _KEPT_HEADERS or name.startswith(_KEPT_PREFIXES)
        }


def _is_secret(name: str) -> bool:
    return name.lower() not in _PUBLIC_QUERY


def key_of(request: RecordedRequest) -> str:
    """Return a text that is the same for the same request.

    Names are sorted, and the random ids of tool calls are numbered in the order of the text.
    """
    text = encode_json([request.method, request.url, request.body], order="sorted")
    ids: dict[str, str] = {}
    return _MADE_ID.sub(lambda found: ids.setdefault(found[0], f"call_{len(ids)}"), text)
