"""The chat page in Chromium, driven by clicks and keys; skipped where no browser is."""

from __future__ import annotations

import asyncio

import pytest
from agent_runs import Calls, HeldTool
from browser import chat_page
from msgspec.structs import replace

from rxagents import FunctionAgent, ServerError, ToolCall, Usage
from rxagents.testing import Reply, ScriptedLLM

pytestmark = pytest.mark.real_time

HELD = Reply("I look. ", tool_calls=[ToolCall("c1", "held", '{"note": "slow"}')])
WEATHER = ToolCall("c2", "weather", '{"city": "Oslo", "days": 3}')
MARKDOWN = """# Cold

**Very** <img src=x onerror=alert(1)>

```python
x = 1
```

- [a](javascript:alert)
"""
COUNT = [f"w{number} " for number in range(100)]


async def test_page_shows_tools_and_markdown() -> None:
    held = HeldTool()
    both = replace(HELD, tool_calls=[*HELD.tool_calls, WEATHER], reasoning="Two tools.")
    llm = ScriptedLLM(both, Reply(MARKDOWN, usage=Usage(1200, 7, 1207)))
    async with chat_page(FunctionAgent(llm, [held.tool, Calls().weather()])) as page:
        await page.send("Oslo?")
        await page.shows("Running", ".tool >> nth=0")
        held.release.set()
        await page.shows("1,200 tokens in, 7 out")
        tab = page.tab
        assert await tab.locator(".tool").count() == 2
        await tab.click(".tool summary >> nth=1")
        await page.shows("Oslo is cold", ".tool >> nth=1")
        assert await tab.locator(".think").get_attribute("open") is None
        assert await tab.locator(".prose h2, .prose strong, .prose .code, .prose li").count() == 4
        assert await tab.locator("#log img, #log li a").count() == 0
        assert not await tab.evaluate("document.scrollingElement.scrollWidth > innerWidth")
        assert page.errors == []


async def test_arguments_are_edited_and_approved() -> None:
    calls = Calls()
    weather = replace(calls.weather(), requires_approval=True)
    llm = ScriptedLLM(Reply(tool_calls=[WEATHER]), "Rain.")
    async with chat_page(FunctionAgent(llm, [weather], approve="defer")) as page:
        await page.send("Oslo?")
        await page.tab.get_by_label("city").fill("Bergen")
        await page.tab.reload()
        await page.tab.get_by_label("city").fill("Bergen")
        await page.tab.get_by_label("days").fill("many")
        await page.tab.get_by_role("button", name="Approve").click()
        await page.shows("days must be a number.")
        await page.tab.get_by_label("days").fill("2")
        await page.tab.get_by_role("button", name="Approve").click()
        await page.shows("Rain.")
        assert calls.made == [("weather", {"city": "Bergen", "days": 2})]


async def test_call_is_denied_with_a_reason() -> None:
    calls = Calls()
    weather = replace(calls.weather(), requires_approval=True)
    llm = ScriptedLLM(Reply(tool_calls=[WEATHER]), "Then not.")
    async with chat_page(FunctionAgent(llm, [weather], approve="defer")) as page:
        await page.send("Oslo?")
        await page.tab.get_by_role("button", name="Deny…").click()
        await page.tab.keyboard.type("too far")
        await page.tab.keyboard.press("Enter")
        await page.shows("Then not.")
        await page.tab.click(".tool summary")
        await page.shows("too far", ".tool pre >> visible=true >> nth=-1")
        assert "too far" in str(llm.requests[1].messages)
        assert calls.made == []


async def test_answer_is_stopped_by_a_key() -> None:
    held = HeldTool()
    async with chat_page(FunctionAgent(ScriptedLLM(HELD, "Done."), [held.tool])) as page:
        await page.send("hi")
        await held.running.wait()
        await page.shows("Running")
        await page.tab.keyboard.press("Escape")
        await held.cancelled.wait()
        await page.shows("Stopped")


@pytest.mark.parametrize(("key", "is_cancelled"), [("Enter", False), ("Control+Enter", True)])
async def test_running_answer_takes_a_message(key: str, is_cancelled: bool) -> None:
    held = HeldTool()
    llm = ScriptedLLM(HELD, "Wet.", "Bye.")
    async with chat_page(FunctionAgent(llm, [held.tool])) as page:
        await page.send("Oslo?")
        await held.running.wait()
        await page.shows("Running")
        await page.send("No, Bergen.", key)
        await page.shows("No, Bergen.", ".answer .bubble")
        if not is_cancelled:
            held.release.set()
        await page.shows("Wet.")
        assert held.cancelled.is_set() is is_cancelled
        await page.ends()
        await page.send("Thanks.")
        await page.shows("Bye.")
        texts = [message.text for message in llm.requests[2].messages]
        assert texts == ["Oslo?", "I look.", "No, Bergen.", "Wet.", "Thanks."]


async def test_page_reads_on_after_reload() -> None:
    llm = ScriptedLLM(Reply(COUNT, interval=0.02))
    async with chat_page(FunctionAgent(llm)) as page:
        await page.send("Count.")
        await page.shows("w10 ")
        await page.tab.reload()
        await page.shows("w20 ")
        await page.tab.reload()
        await page.ends()
        assert " ".join(await page.words()) == "".join(COUNT).strip()
        assert len(llm.requests) == 1


async def test_page_reads_on_when_network_is_back() -> None:
    llm = ScriptedLLM(Reply(COUNT, interval=0.02))
    async with chat_page(FunctionAgent(llm)) as page:
        await page.send("Count.")
        await page.shows("w10 ")
        await page.tab.context.set_offline(True)
        # Chromium's offline mode lets responses that have begun go on: this one is cut by hand.
        await page.tab.evaluate("[...jobs.values()].forEach(job => job.abort.abort())")
        await page.shows("No connection", "#net")
        await asyncio.sleep(0.3)
        seen = await page.words()
        await page.tab.context.set_offline(False)
        await page.ends()
        assert len(seen) < len(COUNT)
        assert " ".join(await page.words()) == "".join(COUNT).strip()
        assert await page.tab.locator("#net").is_hidden()


async def test_failed_answer_is_tried_again() -> None:
    failing = Reply("Half", error=ServerError("It is overloaded.", status=500))
    async with chat_page(FunctionAgent(ScriptedLLM(failing, "Whole."))) as page:
        await page.send("hi")
        await page.shows("It is overloaded.", "[role=alert]")
        await page.tab.get_by_role("button", name="Try again").click()
        await page.shows("Whole.")
        assert "Half" not in await page.words()


async def test_token_is_asked_for_once() -> None:
    async with chat_page(FunctionAgent(ScriptedLLM("Hi.")), token="secret-token") as page:
        await page.tab.fill("#ask-input", "wrong")
        await page.tab.keyboard.press("Enter")
        await page.shows("does not accept this token", "dialog")
        await page.tab.fill("#ask-input", "secret-token")
        await page.tab.keyboard.press("Enter")
        await page.send("hi")
        await page.shows("Hi.")
        await page.tab.reload()
        await page.shows("Hi.")
        assert not await page.tab.locator("dialog").is_visible()


async def test_conversations_are_apart() -> None:
    llm = ScriptedLLM("One.", "Two.")
    async with chat_page(FunctionAgent(llm)) as page:
        await page.send("first")
        await page.shows("One.")
        await page.tab.click("#menu")
        await page.tab.click("#new")
        await page.send("second")
        await page.shows("Two.")
        assert [message.text for message in llm.requests[1].messages] == ["second"]
        await page.tab.click("#menu")
        await page.tab.get_by_role("button", name="first", exact=True).click()
        await page.shows("One.")
