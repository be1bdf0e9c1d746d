"""Built-in tools. Their results are untrusted text."""

from rxagents.tools.calculator import calculator
from rxagents.tools.current_time import current_time
from rxagents.tools.file_tools import file_tools
from rxagents.tools.http_request import http_request, http_request_tool
from rxagents.tools.web_search import web_search

__all__ = [
    "calculator",
    "current_time",
    "file_tools",
    "http_request",
    "http_request_tool",
    "web_search",
]
