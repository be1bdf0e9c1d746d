"""Read the Markdown pages of the repository: code blocks, headings and links."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent.parent
README = ROOT / "README.md"
PAGES = sorted((ROOT / "docs").rglob("*.md"))
ALL_PAGES = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("examples/*.md")), *PAGES]

_FENCE = re.compile(r"```(?P<language>\w*)(?: title=\"(?P<title>[^\"]*)\")?")
_TARGET = re.compile(r"\]\(([^()\s]*(?:\([^()\s]*\)[^()\s]*)*)\)|<(https?://[^>\s]+)>")


class Block(NamedTuple):
    """A code block of a page.

    Attributes:
        line: The line of its opening fence, from 1.
        language: The word after the fence.
        title: The caption, or "".
        code: Its lines.
    """

    line: int
    language: str
    title: str
    code: str


def name_of(page: Path) -> str:
    """Return the path of a page in the repository, as the id of a test."""
    return page.relative_to(ROOT).as_posix()


def blocks(text: str) -> list[Block]:
    """Return the code blocks of a page.

    Raises:
        ValueError: A fence is indented, has another option than a title, or is not closed.
    """
    found: list[Block] = []
    fence, code, start = None, list[str](), 0
    for number, line in enumerate(text.splitlines(), 1):
        if fence is None and line.lstrip().startswith("```"):
            fence, code, start = _FENCE.fullmatch(line), [], number
            if fence is None:
                raise ValueError(f'Line {number}: write ```language or ```language title="…".')
        elif fence is not None and line == "```":
            found.append(
                Block(start, fence["language"], fence["title"] or "", "\n".join(code) + "\n")
            )
            fence = None
        elif fence is not None:
            code.append(line)
    if fence is not None:
        raise ValueError(f"Line {start}: the code block is not closed.")
    return found


def is_before(block: Block) -> bool:
    """Whether it is the Python code of another library, which a guide replaces."""
    return block.language == "python" and block.title.startswith("Before")


class Program(NamedTuple):
    """The Python blocks that run in one process.

    Attributes:
        code: The program; its lines have the numbers of the page. It prints `SEPARATOR` before
            each block.
        outputs: What each block prints, for those followed by a block with the title "Output".
    """

    code: str
    outputs: dict[int, str]


SEPARATOR = "\x1e"


def program(found: list[Block]) -> Program:
    """Return the program that the Python blocks of ours are, one after the other."""
    lines: list[str] = []
    outputs: dict[int, str] = {}
    count = 0
    for block in found:
        if block.language == "python" and not is_before(block):
            lines.extend([""] * (block.line - 1 - len(lines)))
            lines.extend([f"print({SEPARATOR!r}, end='')", *block.code.splitlines()])
            count += 1
        elif block.title == "Output":
            outputs[count] = block.code
    return Program("\n".join(lines) + "\n", outputs)


def anchors(text: str) -> set[str]:
    """Return the anchors that both GitHub and the documentation site give to the headings."""
    used: Counter[str] = Counter()
    found: set[str] = set()
    for line in without_blocks(text).splitlines():
        if heading := re.fullmatch(r"#{1,6} (.+)", line):
            title = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading[1])
            anchor = re.sub(r"[^\w\s-]", "", title.lower()).strip()
            if used[anchor] == 0 and not re.search(r"[\s-]{2}", anchor):
                found.add(re.sub(r"\s", "-", anchor))
            used[anchor] += 1
    return found


def without_blocks(text: str) -> str:
    """Return a page without its code blocks; each line keeps its number."""
    lines = text.splitlines()
    for block in blocks(text):
        end = block.line + block.code.count("\n") + 1
        lines[block.line - 1 : end] = [""] * (end - block.line + 1)
    return "\n".join(lines)


def links(text: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the target of each link and picture of a page."""
    for number, line in enumerate(without_blocks(text).splitlines(), 1):
        for match in _TARGET.finditer(re.sub(r"`[^`]+`", "`code`", line)):
            yield number, match[1] or match[2] or ""
