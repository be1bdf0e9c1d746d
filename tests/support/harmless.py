"""Checks for the tests of `guard_window`."""

from __future__ import annotations

import asyncio


def is_harmless(text: str) -> bool:
    return "bad" not in text


async def is_harmless_after_a_while(text: str) -> bool:
    await asyncio.sleep(1)
    return is_harmless(text)
