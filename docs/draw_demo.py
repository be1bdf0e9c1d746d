"""Draw docs/demo.svg: what `rxagents demo` shows in a terminal.

    python docs/draw_demo.py

Runs the demo, so that the times in the picture are measured ones.
"""

from __future__ import annotations

import asyncio
import io
import re
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console

from rxagents.cli.demo import show_demo
from rxagents.cli.signals import StopSignals
from rxagents.cli.terminal import drawn

FILE = Path(__file__).parent / "demo.svg"

WIDTH = 84

_OWN_FONTS = re.sub(r"@font-face \{\{.*?\}\}\n", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
"""rich's frame, without the fonts that a reader's browser would load from another host."""


def recorded() -> Console:
    """Return a console that has recorded a run of the demo."""
    console = Console(
        record=True, file=io.StringIO(), width=WIDTH, height=40, color_system="truecolor"
    )
    stop = StopSignals()
    asyncio.run(show_demo(console, lambda: drawn(console, markdown=True), stop))
    return console


def picture(console: Console) -> str:
    """Return what a console has recorded as SVG."""
    return console.export_svg(title="rxagents demo", code_format=_OWN_FONTS, unique_id="demo")


if __name__ == "__main__":
    FILE.write_text(picture(recorded()), encoding="utf-8")
