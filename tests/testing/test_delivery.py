"""Replies that cannot be had are refused, with what to do."""

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
        (StatusReply, {"status": 500, "ending": Ending.ENDLESS}, "give it a body"),
        (StatusReply, {"status": 500, "ending": Ending.COMMENTS}, "'endless'"),
        (NoReply, {"ending": Ending.CLOSE}, "FIN, RESET or STALL"),
    ],
)
def test_what_cannot_be_had_together_is_refused(
    kind: type[Any], arguments: dict[str, Any], words: str
) -> None:
    with pytest.raises(rxagents.ConfigurationError, match=words):
        kind(**arguments)


@pytest.mark.parametrize("ending", [each for each in Ending if not each.ends_body])
def test_a_model_in_process_refuses_what_needs_a_connection(ending: Ending) -> None:
    with pytest.raises(rxagents.ConfigurationError, match="ScriptedServer"):
        ScriptedLLM(Reply("x", ending=ending))


def test_a_bomb_has_the_size_it_was_given() -> None:
    bomb = gzip_bomb(1000, block=b"x" * 300)
    assert b"".join(bomb.pieces) == b"x" * 1000
