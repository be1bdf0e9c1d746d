"""The recipes of docs/recipes.md do what the page says."""

from __future__ import annotations

import re
from pathlib import Path

from child import run_program

PAGE = Path(__file__).parent.parent / "docs" / "recipes.md"

PRINTED = """\
['OutputError']
['I cannot say that.']
['OutputError']
['Write to (e-mail). ', 'She is in.']
['I will write to them.']
Write to (e-mail), please.
['Hello', ' from', ' the', ' spare', ' model.']
['Hello from an agent.']
['Hell', 'scripted failed in the middle of the stream: broken', 'Hello', ' again.']
"""


def test_recipes_print_what_they_promise() -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert run_program("\n".join(blocks), "-X", "dev", "-W", "error") == PRINTED
