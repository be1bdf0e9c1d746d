"""Test the live picture, with a stand-in for IPython, and in a kernel."""

from __future__ import annotations

import asyncio
import sys
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
import reactivex as rx
from matrix import only_full
from observing import in_thread
from pages import ROOT, blocks
from reactivex.subject import Subject

import rxagents
from rxagents.testing import Reply, ScriptedLLM


class Screen:
    """Stands for IPython: keeps the time and the summary of each update."""

    def __init__(self) -> None:
        self.updates: list[tuple[float, str]] = []
        self.seconds = 0.0  # that an update takes
        self.display = SimpleNamespace(display=self._display)

    def get_ipython(self) -> object:
        return self

    @property
    def last(self) -> str:
        return self.updates[-1][1]

    @property
    def times(self) -> list[float]:
        return [time for time, _ in self.updates]

    def _display(self, picture: rxagents.RunPicture, *, display_id: bool) -> Any:
        assert display_id
        self._update(picture)
        return SimpleNamespace(update=self._update)

    def _update(self, picture: rxagents.RunPicture) -> None:
        loop: Any = asyncio.get_running_loop()
        self.updates.append((loop.time(), picture.summary))
        if self.seconds:
            loop._selector.now += self.seconds


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    screen = Screen()
    monkeypatch.setitem(sys.modules, "IPython", screen)
    return screen


async def test_picture_ends_with_the_stream(screen: Screen) -> None:
    agent = rxagents.FunctionAgent(ScriptedLLM(Reply("Hello there", interval=0.5)))
    complete = await rxagents.display(agent.run_stream("Hi"))
    assert isinstance(complete, rxagents.Complete)
    assert screen.updates[0][1] == "no items in 0 ms, running"
    assert screen.last.startswith("2 tokens in ")
    assert screen.last.endswith(" completed")


async def test_updates_are_at_most_15_a_second(screen: Screen) -> None:
    subject: Subject[str] = Subject()
    live = rxagents.display(subject)
    for _ in range(400):
        subject.on_next("a")
        await asyncio.sleep(0.005)
    live.dispose()
    times = screen.times[:-1]  # the end is drawn at once
    assert 25 <= len(times) <= 31
    assert min(b - a for a, b in pairwise(times)) >= 1 / 15 - 1e-9
    assert screen.last == "400 items in 2.0 s, disposed"


async def test_drawing_takes_a_tenth_of_the_time(screen: Screen) -> None:
    screen.seconds = 0.05
    subject: Subject[str] = Subject()
    live = rxagents.display(subject)
    for _ in range(1000):
        subject.on_next("a")
        await asyncio.sleep(0.005)
    live.dispose()
    assert 8 <= len(screen.times) <= 12


async def test_gap_grows_while_nothing_comes(screen: Screen) -> None:
    live = rxagents.display(rx.never())
    await asyncio.sleep(2.1)
    assert screen.times == pytest.approx([0, 0.5, 1.0, 1.5, 2.0])
    assert screen.last == "no items in 2.0 s, running"
    live.dispose()


async def test_item_after_a_gap_is_shown_soon(screen: Screen) -> None:
    subject: Subject[str] = Subject()
    live = rxagents.display(subject)
    await asyncio.sleep(0.6)
    subject.on_next("a")
    await asyncio.sleep(0.01)
    assert screen.last == "1 item in 600 ms, running"
    live.dispose()


async def test_failure_is_shown_and_raised(screen: Screen) -> None:
    live = rxagents.display(rx.throw(OSError("cut")))
    assert screen.last == "no items in 0 ms, failed: OSError"
    with pytest.raises(OSError, match="cut"):
        await live


async def test_failure_that_nobody_awaits_is_only_shown(screen: Screen) -> None:
    rxagents.display(rx.throw(OSError("cut")))
    await asyncio.sleep(1)
    assert len(screen.updates) == 2


async def test_cancelled_cell_disposes(screen: Screen) -> None:
    llm = ScriptedLLM(Reply("a b", interval=60))

    async def cell() -> None:
        await rxagents.display(llm.chat_stream("Hi"))

    task = asyncio.create_task(cell())
    await asyncio.sleep(0.2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert screen.last.endswith("disposed")


async def test_dispose_works_from_another_thread(screen: Screen) -> None:
    live = rxagents.display(rx.never())
    in_thread(live.dispose)
    live.dispose()
    await asyncio.sleep(0)
    assert live.has_ended
    assert [told for _, told in screen.updates].count("no items in 0 ms, disposed") == 1
    with pytest.raises(rxagents.StreamCancelledError, match="display"):
        await live


async def test_result_of_cell_is_not_shown_twice(screen: Screen) -> None:
    live = rxagents.display(rx.of("a"))
    live._ipython_display_()
    assert len(screen.updates) == 2
    assert live.picture.summary == screen.last


async def test_picture_of_a_moment_does_not_change(screen: Screen) -> None:
    subject: Subject[str] = Subject()
    live = rxagents.display(subject)
    subject.on_next("a")
    picture = live.picture
    text = picture.text(60)
    subject.on_next("b")
    live.dispose()
    assert picture.text(60) == text
    assert live.picture.text(60) != text


async def test_wrong_arguments_are_refused(screen: Screen) -> None:
    with pytest.raises(rxagents.ConfigurationError, match="use draw_run"):
        rxagents.display([rxagents.Token("a")])  # type: ignore[arg-type]  # that is the point
    with pytest.raises(rxagents.ConfigurationError, match="width"):
        rxagents.display(rx.never(), width=1)
    assert screen.updates == []


def test_missing_loop_is_named(screen: Screen) -> None:
    with pytest.raises(rxagents.ConfigurationError, match="no running event loop"):
        rxagents.display(rx.never())


async def test_missing_ipython_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "IPython", None)
    with pytest.raises(rxagents.ConfigurationError, match="pip install ipython"):
        rxagents.display(rx.never())


async def test_plain_program_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    plain: Any = SimpleNamespace(get_ipython=lambda: None)
    monkeypatch.setitem(sys.modules, "IPython", plain)
    with pytest.raises(rxagents.ConfigurationError, match=r"record.*draw_run"):
        rxagents.display(rx.never())


CELLS = (
    """
import rxagents, signal
from rxagents.testing import Reply, ScriptedLLM
agent = rxagents.FunctionAgent(ScriptedLLM(Reply("It is cold in Oslo.", interval=0.05)))
""",
    "(await rxagents.display(agent.run_stream('Hi'))).finish_reason",
    "live = rxagents.display(agent.run_stream('Hi'))\nlive",
    "live.dispose()\nprint(live.has_ended)",
    """
llm = ScriptedLLM(Reply("a b c", interval=60))
stopped = rxagents.display(llm.chat_stream("Hi"))
import asyncio
asyncio.get_running_loop().call_later(0.2, signal.raise_signal, signal.SIGINT)
await stopped
""",
    "print(stopped.has_ended)\nstopped.picture",
)


def page_cell() -> str:
    """Return the cell of docs/pictures.md."""
    (cell,) = (
        block.code
        for block in blocks((ROOT / "docs" / "pictures.md").read_text())
        if block.title == "In a notebook"
    )
    return cell


@only_full
def test_notebook_shows_and_interrupts() -> None:
    """Run the cells in a kernel of its own, as a notebook does."""
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    code = [nbformat.v4.new_code_cell(cell) for cell in (*CELLS, page_cell())]
    notebook = nbformat.v4.new_notebook(cells=code)
    nbclient.NotebookClient(notebook, timeout=60, allow_errors=True).execute()
    _, awaited, shown, later, interrupted, after, page = (cell.outputs for cell in notebook.cells)
    picture, result = awaited
    assert picture.data["image/svg+xml"].startswith("<svg ")
    assert "completed" in picture.data["text/plain"]
    assert result.data["text/plain"] == "'stop'"
    assert [output.output_type for output in shown] == ["display_data"]
    assert "disposed" in shown[0].data["text/plain"]
    assert later[0].text == "True\n"
    assert "disposed" in interrupted[0].data["text/plain"]
    assert interrupted[1].ename == "CancelledError"
    assert after[0].text == "True\n"
    assert "disposed" in after[1].data["image/svg+xml"]
    assert "completed" in page[0].data["text/plain"]
