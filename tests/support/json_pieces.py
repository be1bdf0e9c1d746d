"""Feed pieces of JSON to the partial JSON parser."""

from __future__ import annotations

from rxagents.parsing.json_snapshots import PartialJson
from rxagents.parsing.partial_json import PartialJsonParser


def fed(*pieces: str, max_depth: int = 128) -> tuple[list[PartialJson], PartialJsonParser]:
    parser = PartialJsonParser(max_depth)
    return [snapshot for piece in pieces for snapshot in parser.feed(piece)], parser
