"""The diagrams of docs/concepts.md; docs/draw_marbles.py draws them."""

from __future__ import annotations

PICTURES = {
    "stream": """
--(The)--(sky)--(is)--(blue.)-|
""",
    "failed_stream": """
--(The)--(sky)--#
""",
    "cold": """
--(The)--(sky)--(is)--(blue.)-|
                --(Blue)--(light)--(scatters.)-|
legend: two subscriptions to one stream: two requests, two answers
""",
    "dispose": """
--(The)--(sky)--(is)--(blue.)-|
[ dispose() after the second chunk ]
--(The)--(sky)
""",
    "pipe": """
--(Hel)--(lo. How)--( are)--( you?)-|
[ text(), split_sentences(), map(str.upper) ]
---------(HELLO. )------------------(HOW ARE YOU?|)
""",
    "backpressure": """
--1-2-3-4-------5-------6-------7-------8-|
[ to_aiter(capacity=2) ]
--1-------2-------3-------4-------5-------6-------7-------8|
legend: the reader takes 8 steps an item; the stream waits while two items wait for the reader
""",
    "agent": """
--(I)--(add)--S----E--(It)--(is)--(42.)--A--(C|)
legend: S = ToolStart, E = ToolEnd, A = Answer, C = Complete, other = Token
""",
    "merge": """
--a-----b-----c---|
----1-----2-----3---|
[ merge() ]
--a-1---b-2---c-3---|
""",
}
"""The diagrams by name, in the form that docstrings of operators have."""
