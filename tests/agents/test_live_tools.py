"""Tools that change between the runs of an agent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, overload

import pytest

import rxagents
from rxagents import ConfigurationError, FunctionAgent, Tool
from rxagents.core.live_tools import LiveTools
from rxagents.testing import ScriptedLLM


def named(*names: str) -> list[Tool]:
    return [rxagents.tool(lambda: "", name=name, description="") for name in names]


class Changing(LiveTools):
    def __init__(self, *names: str) -> None:
        self.now: Sequence[Tool] = named(*names)

    def __len__(self) -> int:
        return len(self.now)

    @overload
    def __getitem__(self, index: int) -> Tool: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Tool]: ...
    def __getitem__(self, index: int | slice) -> Tool | Sequence[Tool]:
        return self.now[index]


def names_of(agent: Any) -> list[str]:
    return [tool.name for tool in agent.tools]


@pytest.mark.parametrize("in_list", [False, True], ids=["alone", "in a list"])
async def test_each_run_reads_live_tools_anew(in_list: bool) -> None:
    live = Changing("a")
    model = ScriptedLLM("Hi.")
    agent = FunctionAgent(model, [live, *named("z")] if in_list else live)
    others = ["z"] if in_list else []
    assert sorted(names_of(agent)) == ["a", *others]
    live.now = named("b", "c")
    await agent.run("Hi")
    assert sorted(tool.name for tool in model.requests[-1].tools) == ["b", "c", *others]


async def test_added_tools_stay_beside_live_tools() -> None:
    live = Changing("a")
    agent = FunctionAgent(ScriptedLLM("Hi."), live)
    agent.add_tool(named("z")[0])
    live.now = []
    assert names_of(agent) == ["z"]
    agent.add_tool(Changing("b"))
    assert names_of(agent) == ["z", "b"]


async def test_names_that_clash_later_fail_the_run() -> None:
    live = Changing("a")
    agent = FunctionAgent(ScriptedLLM("Hi."), [live, *named("z")])
    live.now = named("z")
    with pytest.raises(ConfigurationError, match="Several tools have the name"):
        await agent.run("Hi")
