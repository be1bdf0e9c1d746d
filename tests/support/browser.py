"""Drive the chat page in a headless Chromium, by clicks and keys."""

from __future__ import annotations

import importlib
import os
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from serving import serving

CHROMIUM = os.environ.get("RXAGENTS_CHROMIUM") or shutil.which("chromium") or ""
"""The browser's program. Where `RXAGENTS_CHROMIUM` names it, no test is skipped."""


_NAME_OF_FOCUS = """() => {
  const { labels, ariaLabel, innerText } = document.activeElement;
  return (ariaLabel || labels?.[0]?.innerText || innerText).trim();
}"""


def playwright() -> Any:
    """Return playwright's module; skip the test where it or the browser is missing."""
    if "RXAGENTS_CHROMIUM" in os.environ:
        return importlib.import_module("playwright.async_api")
    if not CHROMIUM:
        pytest.skip("chromium is missing (apt install chromium); RXAGENTS_CHROMIUM names another")
    reason = "playwright is missing: pip install playwright"
    return pytest.importorskip("playwright.async_api", reason=reason)


class Page:
    """The chat page of a server.

    Attributes:
        tab: The page, as playwright drives it.
        errors: What the page has reported on its console.
    """

    def __init__(self, tab: Any) -> None:
        self.tab = tab
        self.errors: list[str] = []
        tab.on("pageerror", lambda error: self.errors.append(str(error)))
        tab.on("console", self._on_console)

    def _on_console(self, line: Any) -> None:
        if line.type == "error":
            self.errors.append(line.text)

    async def send(self, text: str, key: str = "Enter") -> None:
        """Write a message and press a key."""
        await self.tab.click("#text")
        await self.tab.keyboard.type(text)
        await self.tab.keyboard.press(key)

    async def shows(self, text: str, where: str = ".answer >> nth=-1") -> None:
        """Wait until a part of the page contains a text."""
        await self.tab.locator(where).filter(has_text=text).wait_for()

    async def ends(self) -> None:
        """Wait until the last answer has ended."""
        await self.tab.wait_for_selector(".answer[aria-busy=false] >> nth=-1")

    async def focus(self) -> Any:
        """Return the name of the element that has the focus, as a screen reader says it."""
        return await self.tab.evaluate(_NAME_OF_FOCUS)

    async def focuses(self, name: str) -> None:
        """Wait until the element of this name has the focus."""
        expect = playwright().expect
        await expect(self.tab.locator(":focus")).to_have_accessible_name(name)

    async def has_roles(self, where: str, tree: str) -> None:
        """Check the roles and names that a screen reader finds; the tree may leave some out."""
        expect = playwright().expect
        await expect(self.tab.locator(where)).to_match_aria_snapshot(tree)

    async def words(self) -> list[str]:
        """Return the words of the last answer's text."""
        texts = await self.tab.locator(".answer >> nth=-1").locator(".prose").all_inner_texts()
        return re.findall(r"\S+", " ".join(texts))


@asynccontextmanager
async def browser_tab(url: str, **options: Any) -> AsyncIterator[Page]:
    """Open a URL in a browser of a phone's size; the options are those of a tab."""
    async with playwright().async_playwright() as driver:
        browser = await driver.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        tab = await browser.new_page(**{"viewport": {"width": 390, "height": 800}, **options})
        tab.set_default_timeout(15_000)
        page = Page(tab)
        await tab.goto(url)
        yield page
        await browser.close()


@asynccontextmanager
async def chat_page(agent: Any, **options: Any) -> AsyncIterator[Page]:
    """Serve an agent, and open its chat page in a browser."""
    async with serving(agent, **options) as server, browser_tab(server.url) as page:
        yield page
