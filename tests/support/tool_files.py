"""Call the file tools as a model does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from rxagents import ToolContext
from rxagents.tools import file_tools

SECRET = "the secret outside"


class Files:
    """The tools of a folder as attributes, called as a model calls them."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self._tools = {tool.name: tool for tool in file_tools(folder, writable=True, **options)}

    def __getattr__(self, name: str) -> Callable[..., Any]:
        tool = self._tools[name]
        return lambda **arguments: tool.bind(arguments, ToolContext("1", name))()


ALL = [
    ("read_file", {}),
    ("list_files", {}),
    ("file_exists", {}),
    ("file_info", {}),
    ("write_file", {"content": "x"}),
    ("append_file", {"content": "x"}),
    ("delete_file", {}),
]
