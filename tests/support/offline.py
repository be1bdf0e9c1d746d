"""Run the README, docs and examples with a provider that answers as a model would."""

from __future__ import annotations

import asyncio
import re
import sys
from typing import Any

import msgspec
from child import SECONDS
from pages import ROOT

from rxagents import ToolCall, Usage
from rxagents.testing import Reply, ScriptedServer
from rxagents.testing.scripted_server import ReceivedRequest

TEXT = "Hello from the script. " * 5
USAGE = Usage(1, 2, 3)
_VALUES: dict[str, object] = {"integer": 2, "number": 2.5, "boolean": True, "string": "2 + 2"}
_SLOW_CALLBACK = re.compile(r"^Executing <.+> took [\d.]+ seconds\n", re.MULTILINE)
"""A warning of asyncio's debug mode, which `-X dev` turns on: the machine was busy."""


def answer(request: ReceivedRequest) -> Reply:
    """Call the first tool, if there is one, and then answer with its result."""
    body = request.json()
    last, tools = body["messages"][-1], body.get("tools")
    if last["role"] == "tool":
        return Reply(f"It is {last['content']}.", usage=USAGE)
    return Reply(tool_calls=[_call(tools[0]["function"])]) if tools else Reply(TEXT, usage=USAGE)


def _call(tool: dict[str, Any]) -> ToolCall:
    properties = tool["parameters"]["properties"]
    arguments = {name: _VALUES[schema["type"]] for name, schema in properties.items()}
    return ToolCall("call_1", tool["name"], msgspec.json.encode(arguments).decode())


_RUN = """
import ast, asyncio, logging, sys
name, code = sys.argv[1:]
# Debug mode warns of a busy machine, and a page may show what is logged.
logging.getLogger("asyncio").addFilter(lambda record: not record.msg.startswith("Executing "))
flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
if coroutine := eval(compile(code, name, "exec", flags, dont_inherit=True), globals()):
    asyncio.run(coroutine)
"""


async def run_page_offline(name: str, code: str, warnings: str = "error") -> str:
    """Run the code of a page, as `run_offline` does; `await` may stand outside of functions.

    With such an `await`, all of the code runs on one loop, as in a notebook.

    Args:
        name: The page, for tracebacks.
        code: The code, with the page's line numbers.
        warnings: As for `run_offline`.
    """
    return await run_offline("-c", _RUN, name, code, warnings=warnings)


async def run_offline(*arguments: str, typed: str = "", warnings: str = "error") -> str:
    """Run Python with the environment of a user whose providers are a scripted server.

    Args:
        *arguments: The interpreter's.
        typed: The standard input.
        warnings: What a warning does, as the interpreter's option `-W` takes it. Whatever is
            written to the standard error fails the test, if it is "error".
    """
    async with ScriptedServer(answer) as server:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-X",
            "dev",
            "-W",
            warnings,
            *arguments,
            env={
                "OPENAI_API_KEY": "any",
                "OPENAI_BASE_URL": server.url,
                "ANTHROPIC_API_KEY": "any",
                # the vendors' own clients add the version to these two
                "ANTHROPIC_BASE_URL": server.url.removesuffix("/v1"),
                "OLLAMA_HOST": server.url.removesuffix("/v1"),
            },
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            output, errors = await asyncio.wait_for(process.communicate(typed.encode()), SECONDS)
        except TimeoutError:
            process.kill()
            raise
        assert process.returncode == 0, errors.decode()
        assert warnings != "error" or _SLOW_CALLBACK.sub("", errors.decode()) == "", errors.decode()
        return output.decode()
