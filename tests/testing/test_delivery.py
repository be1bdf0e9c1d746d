"""Incompatible options of replies are refused."""

from __future__ import annotations

from typing import Any

import pytest

import rxagents
from rxagents.testing import (
    Ending,
    Framing,
    NoReply,
    RawReply,
    Reply,
    ScriptedLLM,
    StatusReply,
    gzip_bomb,
)


@pytest.mark.parametrize(
    ("kind", "arguments", "words"),
    [
        (Reply, {"write_size": 0}, "at least 1"),
        (Reply, {"ending": Ending.BAD_CHUNK, "framing": Framing.CLOSE}, r"Framing\.CHUNKED"),
        (Reply, {"ending": Ending.COMMENTS, "framing": Framing.LENGTH}, "no length"),
        (Reply, {"ending": Ending.ENDLESS, "cut_after": 0}, "last event"),
        (RawReply, {"pieces": [], "ending": Ending.ENDLESS}, "last piece"),
        (RawReply, {"pieces": [b"a", b""], "ending": Ending.ENDLESS}, "last piece"),
        (RawReply, {"pieces": [b"a"], "ending": Ending.COMMENTS}, "'endless'"),
        (StatusReply, {"status": 500, "ending": Ending.ENDLESS}, "pass a body"),
        (StatusReply, {"status": 500, "ending": Ending.COMMENTS}, "'endless'"),
        (NoReply, {"ending": Ending.CLOSE}, "FIN, RESET and STALL"),
    ],
)
def test_incompatible_options_are_refused(
    kind: type[Any], arguments: dict[str, Any], words: str
) -> None:
    with pytest.raises(rxagents.ConfigurationError, match=words):
        kind(**arguments)


@pytest.mark.parametrize("ending", [each for each in Ending if not each.ends_body])
def test_scripted_llm_refuses_connection_faults(ending: Ending) -> None:
    with pytest.raises(rxagents.ConfigurationError, match="ScriptedServer"):
        ScriptedLLM(Reply("x", ending=ending))


def test_gzip_bomb_has_given_size() -> None:
    bomb = gzip_bomb(1000, block=b"x" * 300)
    assert b"".join(bomb.pieces) == b"x" * 1000
