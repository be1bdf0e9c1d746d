"""Joins the streamed fragments of `reasoning_details`, a field of OpenRouter, into whole blocks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

_TEXTS = ("text", "summary")
"""The fields that are streamed in pieces; others, such as a signature, come whole."""


def join_details(details: Iterable[Any]) -> list[dict[str, Any]]:
    """Return one block for all fragments of a block: a signature is valid for the whole block.

    Fragments belong to one block if they have the same type and `index`, and no different ids.
    Without an index a fragment continues the block before it, unless that has its signature
    already. Encrypted data comes whole, so each fragment with `data` is a block.
    """
    blocks: list[dict[str, Any]] = []
    pieces: list[dict[str, list[str]]] = []
    open_blocks: dict[tuple[str, str], int] = {}
    for detail in details:
        if not isinstance(detail, dict):
            continue
        key = str(detail.get("type")), str(detail.get("index"))
        number = open_blocks.get(key)
        if number is None or not _continues(detail, blocks[number], number == len(blocks) - 1):
            number = open_blocks[key] = len(blocks)
            blocks.append({})
            pieces.append({})
        for name, value in detail.items():
            if name in _TEXTS and isinstance(value, str):
                pieces[number].setdefault(name, []).append(value)
            if value is not None or name not in blocks[number]:
                blocks[number][name] = value
    for block, texts in zip(blocks, pieces, strict=True):
        block.update({name: "".join(parts) for name, parts in texts.items()})
    return blocks


def _continues(detail: dict[str, Any], block: dict[str, Any], is_last: bool) -> bool:
    if "data" in detail or "data" in block:
        return False
    ids = {str(each["id"]) for each in (detail, block) if each.get("id") is not None}
    if len(ids) > 1:
        return False
    return detail.get("index") is not None or (is_last and not block.get("signature"))
