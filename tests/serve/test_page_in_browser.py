"""The chat page in Chromium, driven by clicks and keys; skipped where no browser is.

`pytest` runs three of these tests, and `pytest --full` all.
"""

from __future__ import annotations

import asyncio
import json
from random import Random
from typing import Any

import pytest
from agent_runs import Calls, HeldTool
from browser import Page, browser_tab, chat_page
from cutting_proxy import cutting_proxy
from matrix import only_full
from msgspec.structs import replace
from serving import serving

from rxagents import FunctionAgent, ServerError, ToolCall, Usage
from rxagents.serve import ServeLimits
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


@only_full
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


@only_full
async def test_answer_is_stopped_by_a_key() -> None:
    held = HeldTool()
    async with chat_page(FunctionAgent(ScriptedLLM(HELD, "Done."), [held.tool])) as page:
        await page.send("hi")
        await held.running.wait()
        await page.shows("Running")
        await page.tab.keyboard.press("Escape")
        await held.cancelled.wait()
        await page.shows("Stopped")


@only_full
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


@only_full
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


@only_full
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


@only_full
async def test_failed_answer_is_tried_again() -> None:
    failing = Reply("Half", error=ServerError("It is overloaded.", status=500))
    async with chat_page(FunctionAgent(ScriptedLLM(failing, "Whole."))) as page:
        await page.send("hi")
        await page.shows("It is overloaded.", "[role=alert]")
        await page.tab.get_by_role("button", name="Try again").click()
        await page.shows("Whole.")
        assert "Half" not in await page.words()


@only_full
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


@only_full
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


SPOKEN = """First **point** is
this.

- one
- two, and
  1. nested

| city | degrees |
|---|---|
| Oslo | -3 |

```python
x = 1
y = 2
```

Last."""


@only_full
async def test_message_is_edited_and_sent_again() -> None:
    llm = ScriptedLLM("Cold.", "Warm.", "Wet.")
    async with chat_page(FunctionAgent(llm)) as page:
        for city, answer in (("Oslo?", "Cold."), ("Rome?", "Warm.")):
            await page.send(city)
            await page.shows(answer)
            await page.ends()
        edit = page.tab.get_by_role("button", name="Edit the message")
        await edit.nth(1).click()
        await page.tab.keyboard.press("Escape")
        assert await page.tab.input_value("#text") == ""
        await edit.nth(1).click()
        await page.send(" No, Bergen?")
        await page.shows("Wet.")
        assert await page.tab.locator(".user").all_inner_texts() == ["Oslo?", "Rome? No, Bergen?"]
        texts = [message.text for message in llm.requests[2].messages]
        assert texts == ["Oslo?", "Cold.", "Rome? No, Bergen?"]


async def listen(page: Page) -> None:
    """Keep what a screen reader says, which is what is added to the live regions."""
    await page.tab.evaluate(
        """() => {
          window.heard = [];
          const region = document.getElementById("said");
          new MutationObserver((changes) => {
            for (const { addedNodes } of changes)
              for (const node of addedNodes) heard.push(node.textContent);
          }).observe(region, { childList: true, characterData: true, subtree: true });
        }"""
    )


async def heard(page: Page) -> Any:
    return await page.tab.evaluate("window.heard")


async def test_screen_reader_hears_whole_paragraphs() -> None:
    held = HeldTool()
    pieces = [SPOKEN[at : at + 3] for at in range(0, len(SPOKEN), 3)]
    llm = ScriptedLLM(HELD, Reply(pieces, interval=0.002))
    async with chat_page(FunctionAgent(llm, [held.tool])) as page:
        await listen(page)
        await page.send("Oslo?")
        await page.shows("Running")
        held.release.set()
        await page.shows("Last.")
        await page.ends()
        assert await heard(page) == [
            "Sent.",
            "I look.",
            "Running held.",
            "First point is\nthis.",
            "one. two, and. nested.",
            "Table, 1 row, columns city, degrees.",
            "Code, 2 lines.",
            "Last.",
            "The answer is complete.",
        ]


@only_full
async def test_screen_reader_hears_a_question_and_its_answer_once() -> None:
    weather = replace(Calls().weather(), requires_approval=True)
    llm = ScriptedLLM(Reply("I ask.", tool_calls=[WEATHER]), "Rain.")
    async with chat_page(FunctionAgent(llm, [weather], approve="defer")) as page:
        await listen(page)
        await page.send("Oslo?")
        await page.tab.get_by_role("button", name="Approve").click()
        await page.shows("Rain.")
        await page.ends()
        said = [
            text for text in await heard(page) if text != "Running weather."
        ]  # if it takes time
        assert said == [
            *("Sent.", "I ask.", "weather needs your approval."),
            *("Rain.", "The answer is complete."),
        ]
        await page.tab.reload()
        await page.shows("Rain.")
        assert await page.tab.locator("#said p").count() == 0  # a line stays there for 15 s


TREE = """
- main:
  - heading "Oslo?" [level=1]
  - log "Messages":
    - article "You":
      - text: Oslo?
      - button "Edit the message"
    - article "agent":
      - group: Thoughts
      - paragraph: I ask.
      - group: /weather .* Needs your approval/
      - form "Approval of weather":
        - paragraph: Let weather run?
        - textbox "city": Oslo
        - textbox "days": "3"
        - button "Approve"
        - button "Deny…"
  - textbox "Message"
  - button "Send" [disabled]
"""
TREE_OF_SIDE = """
- link "Skip to the message"
- navigation "Conversations":
  - button "New conversation"
  - list:
    - listitem: Today
    - listitem:
      - button "Oslo? , needs your approval"
      - 'button "Rename: Oslo?"'
      - 'button "Delete: Oslo?"'
"""
WIDE = {"viewport": {"width": 1280, "height": 860}}


@only_full
async def test_page_has_roles_and_names() -> None:
    weather = replace(Calls().weather(), requires_approval=True)
    llm = ScriptedLLM(Reply("I ask.", reasoning="hm", tool_calls=[WEATHER]), "Rain.")
    agent = FunctionAgent(llm, [weather], approve="defer")
    async with serving(agent) as server, browser_tab(server.url, **WIDE) as page:
        await page.send("Oslo?")
        await page.shows("Let weather run?")
        await page.has_roles("body", TREE_OF_SIDE)
        await page.has_roles("body", TREE)


@only_full
async def test_page_is_used_by_keys_alone() -> None:
    weather = replace(Calls().weather(), requires_approval=True)
    llm = ScriptedLLM(Reply(tool_calls=[WEATHER]), "Rain.")
    agent = FunctionAgent(llm, [weather], approve="defer")
    async with serving(agent) as server, browser_tab(server.url, **WIDE) as page:
        keys = page.tab.keyboard
        await page.tab.wait_for_selector("#text:focus")
        await keys.type("Oslo?")
        await keys.press("Enter")
        await page.shows("Let weather run?")
        assert await page.focus() == "Message"
        back = []
        for _ in range(4):
            await keys.press("Shift+Tab")
            back.append(await page.focus())
        assert back == ["Deny…", "Approve", "days", "city"]
        await keys.press("Tab")
        await keys.press("Tab")
        await keys.press("Enter")
        await page.shows("Rain.")
        await page.ends()
        await page.focuses("Message")  # and not lost with the form

        await page.tab.focus("#skip")
        order = []
        for _ in range(4):
            await keys.press("Tab")
            order.append(await page.focus())
        assert order == ["New conversation", "Oslo?", "Rename: Oslo?", "Delete: Oslo?"]
        await keys.press("Shift+Tab")
        await keys.press("Enter")
        await page.focuses("Title")
        await keys.type("Rain")
        await keys.press("Enter")
        await page.focuses("Rename: Rain")
        await keys.press("Tab")
        await keys.press("Enter")
        await page.focuses("Cancel")  # what removes is not the first
        await keys.press("Escape")
        await page.focuses("Delete: Rain")


@only_full
async def test_event_source_of_the_browser_reads_each_event_once() -> None:
    words = [f"w{number} " for number in range(400)]
    llm = ScriptedLLM(Reply(words, interval=0.001))
    limits = ServeLimits(retry_seconds=0.01)
    draw = Random(3)
    cuts = [draw.randrange(1, 4000) for _ in range(12)]
    async with serving(FunctionAgent(llm), limits=limits) as server:
        _, run = await server.post("/runs", {"task": "Count."})
        path = f"/runs/{run['id']}/events"
        async with cutting_proxy(server.url, of=b"GET " + path.encode(), after=cuts) as proxy:
            async with browser_tab(proxy.url) as page:
                ids, texts = json.loads(await page.tab.evaluate(EVENT_SOURCE, path))
        _, whole = await server.get(path)
    assert ids == [line[4:] for line in whole.split("\n") if line.startswith("id: ")]
    assert "".join(texts) == "".join(words)
    assert proxy.cuts == len(cuts)


EVENT_SOURCE = """(path) => new Promise((resolve) => {
  const source = new EventSource(path), ids = [], texts = [];
  const finish = () => { source.close(); resolve(JSON.stringify([ids, texts])); };
  source.onmessage = ({ lastEventId, data }) => {
    const event = JSON.parse(data);
    ids.push(lastEventId);
    if (event.type === "token") texts.push(event.content);
  };
  source.addEventListener("end", finish);
  source.onerror = () => { if (source.readyState === EventSource.CLOSED) finish(); };
})"""
