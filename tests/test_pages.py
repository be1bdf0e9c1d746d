"""Run the Python blocks of all pages, unchanged and offline, and check the links of the pages."""

from __future__ import annotations

import ast
import re
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import pages
import pytest
from offline import run_page_offline
from pages import PAGES, README, ROOT, SEPARATOR, Program

import rxagents
from rxagents import cluster, operators, testing, tools

REPOSITORY = "https://github.com/rxagents/rxagents/blob/main/"


def _programs() -> dict[str, Program]:
    """Return each page of the docs as one program, and each block of the README as its own."""
    found = {pages.name_of(page): pages.program(pages.blocks(page.read_text())) for page in PAGES}
    readme = pages.blocks(README.read_text())
    for block, after in zip(readme, [*readme[1:], None], strict=True):
        if block.language == "python":
            output = [after] if after and after.title == "Output" else []
            found[f"README.md:{block.line}"] = pages.program([block, *output])
    return {name: program for name, program in found.items() if program.code.strip()}


PROGRAMS = _programs()
BEFORE = {
    f"{pages.name_of(page)}:{block.line}": block
    for page in PAGES
    for block in pages.blocks(page.read_text())
    if pages.is_before(block)
}


@pytest.mark.real_time
@pytest.mark.parametrize("name", PROGRAMS)
async def test_blocks_run_and_print_output(name: str) -> None:
    program = PROGRAMS[name]
    printed = (await run_page_offline(name.partition(":")[0], program.code)).split(SEPARATOR)
    assert "".join(printed).strip()
    for number, output in program.outputs.items():
        # "…" stands for any text, where the output depends on time.
        expected = ".*".join(re.escape(part) for part in output.split("…"))
        shown = re.sub(r" +$", "", printed[number], flags=re.MULTILINE)
        assert re.fullmatch(expected, shown, re.DOTALL), shown


@pytest.mark.real_time
@pytest.mark.parametrize("name", BEFORE)
async def test_before_block_runs_or_parses(name: str) -> None:
    """A block of another library is parsed, and runs where the library is installed."""
    code = BEFORE[name].code
    imported = {
        name.split(".")[0]
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else [alias.name for alias in node.names]
        )
    }
    if all(find_spec(module) for module in imported):
        assert (await run_page_offline("before", code, warnings="default")).strip()


@pytest.mark.parametrize("page", pages.ALL_PAGES, ids=pages.name_of)
def test_links_lead_somewhere(page: Path) -> None:
    found = [(line, target, _fault(page, target)) for line, target in pages.links(page.read_text())]
    assert [link for link in found if link[2]] == []


def _fault(page: Path, target: str) -> str | None:
    """Return what is wrong with a link, if anything: external links are checked by form only."""
    if target.startswith(REPOSITORY):
        page, target = ROOT / "README.md", target.removeprefix(REPOSITORY)
    url = urlsplit(target)
    if url.scheme:
        is_good = url.scheme == "https" and re.fullmatch(r"[\w-]+(\.[\w-]+)+", url.netloc)
        return None if is_good else "write https:// and a host"
    file = (page.parent / url.path).resolve() if url.path else page
    if not file.exists():
        return "there is no such file"
    if page in PAGES and not file.is_relative_to(ROOT / "docs"):
        return f"the site has only docs/: write {REPOSITORY}…"
    if url.fragment and url.fragment not in pages.anchors(file.read_text()):
        return "there is no such heading, or GitHub and the site name it differently"
    return None


@pytest.mark.parametrize("page", pages.ALL_PAGES, ids=pages.name_of)
def test_no_code_has_an_escaped_bar(page: Path) -> None:
    r"""The site shows `\|` as it is, and GitHub needs it: write <code>…&#124;…</code> in tables."""
    assert re.findall(r"`[^`\n]*\\\|[^`\n]*`", pages.without_blocks(page.read_text())) == []


def test_each_page_is_in_the_navigation() -> None:
    """The build of the site does not notice a page that the navigation leaves out."""
    listed = re.findall(r'"([\w/]+\.md)"', (ROOT / "zensical.toml").read_text())
    assert sorted(listed) == [page.relative_to(ROOT / "docs").as_posix() for page in PAGES]


def test_reference_has_every_public_name_once() -> None:
    """A decorated tool has the name of its module; its own entry names both."""
    listed = [
        entry.removeprefix("rxagents.")
        for page in (ROOT / "docs" / "reference").glob("*.md")
        for entry in re.findall(r"^::: (.+)$", page.read_text(), re.MULTILINE)
    ]
    types = [name for name in operators.__all__ if name[0].isupper()]
    parts: dict[str, list[str]] = {
        "operators": types,
        "testing": testing.__all__,
        "tools": tools.__all__,
        "mcp.stdio": ["serve_stdio"],
        "cluster": cluster.__all__,
    }
    named = [f"{part}.{name}" for part, names in parts.items() for name in names]
    public = [name for name in rxagents.__all__ if not name.startswith("__")] + named
    short = [re.sub(r"^tools\.\w+\.", "tools.", entry) for entry in listed]
    wrong = sorted(set(public).symmetric_difference(short))
    assert wrong == [], "docs/reference/: write `::: rxagents.<name>` for each public name."
    assert len(short) == len(set(short))
