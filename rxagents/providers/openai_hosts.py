"""The options of known chat-completions hosts, by host name."""

from __future__ import annotations

import re

from yarl import URL

from rxagents.wire.chat_completions import ChatHost
from rxagents.wire.foreign_signature import needs_signature
from rxagents.wire.sent_calls import ANY_ID, IdRule

_OPENAI = re.compile(r"([a-z]+\.)?api\.openai\.com")
"""OpenAI's own hosts: `eu.` and `us.` keep the data in their region."""

_AZURE_OPENAI = re.compile(r".+\.openai\.azure\.(com|us|cn)")
_AZURE = re.compile(r".+\.(cognitiveservices|services\.ai)\.azure\.(com|us|cn)")
"""Azure's hosts of many services; OpenAI's models are under the path `/openai`."""

_OPENAI_IDS = IdRule(r"\S(.{0,38}\S)?")
"""OpenAI refuses longer ids ("string too long. Expected a string with maximum length 40")."""

_MISTRAL_IDS = IdRule(r"[a-zA-Z0-9]{9}", prefix="", digits=9)
"""Mistral's API and the templates of its models refuse other ids; all hosts accept such ids."""


_HOSTS_OF_THINKING = {"api.groq.com": "reasoning", "api.cerebras.ai": "reasoning"}
"""Hosts that accept thinking in one field only, and refuse a message with other fields."""

_GOOGLE = ("generativelanguage.googleapis.com", "aiplatform.googleapis.com")
"""The hosts of Gemini's OpenAI endpoint, or the ends of their names."""


def host_of(url: URL, model: str) -> ChatHost:
    """Return what the host at `url` accepts for `model`."""
    name = url.host or ""
    if is_openai(url):
        return ChatHost("max_completion_tokens", _OPENAI_IDS, frozenset())
    if name.endswith("mistral.ai"):
        return ChatHost(call_ids=_MISTRAL_IDS, extra_fields=frozenset(), needs_answer_to_tools=True)
    if name in _HOSTS_OF_THINKING:
        return ChatHost(extra_fields=frozenset({_HOSTS_OF_THINKING[name]}))
    is_mistral = "stral" in model.lower()
    return ChatHost(
        call_ids=_MISTRAL_IDS if is_mistral else ANY_ID,
        needs_answer_to_tools=is_mistral,
        signs_calls=name.endswith(_GOOGLE) and needs_signature(model),
    )


def is_openai(url: URL) -> bool:
    """Return whether OpenAI's own service is at `url`, at OpenAI or at Azure."""
    name = url.host or ""
    if _OPENAI.fullmatch(name) or _AZURE_OPENAI.fullmatch(name):
        return True
    return bool(_AZURE.fullmatch(name)) and "openai" in url.parts
