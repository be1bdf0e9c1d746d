"""The package `mcp` takes seconds to import."""

from __future__ import annotations

from child import run_program


def test_mcp_is_imported_when_first_used() -> None:
    program = """
        import sys
        import rxagents, rxagents.mcp
        from rxagents.serve import make_app
        from rxagents.cli import commands
        assert rxagents.mcp_server and rxagents.mcp_tools("http://127.0.0.1/mcp")
        make_app(rxagents.FunctionAgent(rxagents.testing.ScriptedLLM("Hi")))
        heavy = {"mcp", "mcp_types", "httpx2", "starlette", "pydantic"}
        assert not heavy & set(sys.modules), heavy & set(sys.modules)
    """
    run_program(program)
