"""Run the examples, unchanged and offline."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest
from aiohttp.test_utils import TestServer
from matrix import only_full
from offline import run_offline, run_page_offline
from pages import ROOT

FOLDER = ROOT / "examples"
EXAMPLES = sorted(FOLDER.glob("*.py"))
NOTEBOOK = FOLDER / "notebook.ipynb"
SERVERS = ("browser_aiohttp.py", "browser_fastapi.py")
"""The examples that serve until they are stopped; the second one is run by uvicorn."""

PRINTED = {
    "agent_from_operators.py": "It is 56088.",
    "agent_with_approval.py": "call_1: refunded 20 for A1",
    "batch_on_cores.py": "100 completed, 0 failed,",
    "hedged_requests.py": "two requests: ",
    "mcp_tools.py": "tool_progress: asking the satellite\ntool_end: Oslo: rain, 7 degrees.\n",
    "many_agents.py": "Kenya: Nairobi.",
    "moderated_sentences.py": "I cannot say that.",
    "race_providers.py": "late: Blue is scattered most.",
    "record_and_replay.py": "chunks; the first is {",
    "structured_output.py": "City(name='Suva', country='Fiji', inhabitants=93000)",
    "tracing.py": "      execute_tool temperature (",
    "typed_agent.py": "Take a coat. (3 degrees)",
    "testing_a_pipeline.py": "The pipe survived 118 faults.",
    "supersede_on_new_input.py": "(its request is closed)\n> No, about Lima!\nLima is the capital",
}
TYPED = {"agent_with_approval.py": "y\nnot so much\n"}


def name_of(path: Path) -> str:
    return path.name


def _programs() -> list[Any]:
    """Return the programs: every second one, and the others for `--full`."""
    programs = [path for path in EXAMPLES if path.name not in SERVERS]
    return [
        pytest.param(path, id=path.name, marks=() if n % 2 == 0 else only_full)
        for n, path in enumerate(programs)
    ]


@pytest.mark.real_time
@pytest.mark.parametrize("example", _programs())
async def test_example_runs(example: Path) -> None:
    typed = TYPED.get(example.name, "Hi\nMy name is Ada.\n")
    output = await run_offline(str(example), typed=typed)
    assert output.strip()
    assert PRINTED.get(example.name, "") in output


INTERRUPTED = """
import os, runpy, signal, sys

class Interrupting:
    def __init__(self, output):
        self.output, self.is_first = output, True

    def write(self, text):
        self.output.write(text)
        if self.is_first:
            self.is_first = False
            signal.raise_signal(signal.SIGINT)

    def __getattr__(self, name):
        return getattr(self.output, name)

os.environ["PORT"] = "0"
signal.signal(signal.SIGINT, signal.default_int_handler)  # the parent may ignore it
sys.stdout = Interrupting(sys.stdout)
runpy.run_path(sys.argv[1], run_name="__main__")
"""
"""Runs an example, and presses Ctrl-C when it prints for the first time."""


@only_full
@pytest.mark.real_time
@pytest.mark.parametrize(
    "example", [path for path in EXAMPLES if path.name != "browser_fastapi.py"], ids=name_of
)
async def test_ctrl_c_leaves_no_traceback(example: Path) -> None:
    await run_offline("-c", INTERRUPTED, str(example), typed="Hi\n")


def check_answer(body: str) -> None:
    """Check the server-sent events of a run."""
    events = [json.loads(event.removeprefix("data: ")) for event in body.split("\n\n")[:-1]]
    tokens = [event["content"] for event in events if event["type"] == "token"]
    assert len(tokens) > 1
    assert (events[-1]["type"], events[-1]["content"]) == ("complete", "".join(tokens))


async def test_aiohttp_example_streams_to_a_browser() -> None:
    app = runpy.run_path(str(FOLDER / "browser_aiohttp.py"))["make_app"]()
    async with TestServer(app) as server, aiohttp.ClientSession() as client:
        async with client.get(server.make_url("/")) as page:
            assert "new EventSource(" in await page.text()
        async with client.get(server.make_url("/answer?question=Why%3F")) as answer:
            assert answer.content_type == "text/event-stream"
            check_answer(await answer.text())


async def test_fastapi_example_streams_to_a_browser() -> None:
    app = runpy.run_path(str(FOLDER / "browser_fastapi.py"))["app"]
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        assert "new EventSource(" in (await client.get("/")).text
        answer = await client.get("/answer", params={"question": "Why?"})
        assert answer.headers["content-type"].startswith("text/event-stream")
        check_answer(answer.text)


@pytest.mark.real_time
async def test_cells_of_notebook_run() -> None:
    output = await run_page_offline(NOTEBOOK.name, "\n".join(code_cells()))
    assert "['Streams carry values over time.', 'Each is cold.', 'Dispose ends it.']" in output
    assert output.endswith("tool_end 42\nanswer It is 42.\nIt is 42. - 2 turns\n")


def code_cells() -> list[str]:
    notebook = json.loads(NOTEBOOK.read_text())
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]


def test_notebook_is_committed_without_outputs() -> None:
    notebook = json.loads(NOTEBOOK.read_text())
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    for cell in notebook["cells"]:
        assert set(cell) >= {"cell_type", "id", "metadata", "source"}
        assert not cell.get("outputs")


@pytest.mark.parametrize("example", EXAMPLES, ids=name_of)
def test_example_is_short(example: Path) -> None:
    assert len(example.read_text().splitlines()) < 60


def test_notebook_is_short() -> None:
    assert sum(len(cell.splitlines()) for cell in code_cells()) < 60


def test_every_example_is_listed() -> None:
    listed = (FOLDER / "README.md").read_text()
    for example in [*EXAMPLES, NOTEBOOK]:
        assert f"[{example.name}]({example.name})" in listed
