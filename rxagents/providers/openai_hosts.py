"""Differences between the hosts of chat completions that a request depends on."""

from __future__ import annotations

import re

from yarl import URL

from rxagents.wire.tool_calls import ANY_ID, IdRule

_OPENAI = re.compile(r"([a-z]+\.)?api\.openai\.com")
"""OpenAI's own hosts: `eu.` and `us.` keep the data in their region."""

_AZURE_OPENAI = re.compile(r".+\.openai\.azure\.(com|us|cn)")
_AZURE = re.compile(r".+\.(cognitiveservices|services\.ai)\.azure\.(com|us|cn)")
"""Azure's hosts of many services; OpenAI's models are under the path `/openai`."""

_OPENAI_IDS = IdRule(r"\S(.{0,38}\S)?")
"""OpenAI refuses longer ids ("string too long. Expected a string with maximum length 40")."""

_MISTRAL_IDS = IdRule(r"[a-zA-Z0-9]{9}", prefix="", digits=9)
"""Mistral's API and the templates of its models refuse other ids; all hosts accept such ids."""


def is_openai(url: URL) -> bool:
    """Return whether OpenAI's own service is at `url`, at OpenAI or at Azure."""
    host = url.host or ""
    if _OPENAI.fullmatch(host) or _AZURE_OPENAI.fullmatch(host):
        return True
    return bool(_AZURE.fullmatch(host)) and "openai" in url.parts


def call_ids_of(url: URL, model: str) -> IdRule:
    """Return which ids of tool calls the host at `url` accepts for `model`."""
    if is_openai(url):
        return _OPENAI_IDS
    is_mistral = (url.host or "").endswith("mistral.ai") or "stral" in model.lower()
    return _MISTRAL_IDS if is_mistral else ANY_ID
