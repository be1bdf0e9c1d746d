"""Halves of characters, joined for each channel."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from rxagents.wire.surrogates import SurrogateJoiner

UNITS = st.text(st.sampled_from("a\ud83d\ude00\ud800\udfffé"), max_size=8)


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from([(0, "delta"), (0, "reasoning"), (1, "delta")]), UNITS)))
def test_pieces_of_each_channel_are_joined(
    pieces: list[tuple[tuple[int, str | int], str]],
) -> None:
    joiner = SurrogateJoiner()
    joined: dict[tuple[int, str | int], str] = {}
    for channel, piece in pieces:
        text = joiner.join(channel, piece)
        text.encode()
        joined[channel] = joined.get(channel, "") + text
    for channel, text in joiner.flush():
        joined[channel] += text
    assert joiner.flush() == []
    for channel, text in joined.items():
        units = "".join(piece for other, piece in pieces if other == channel)
        whole = units.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        assert text == whole


def test_only_first_halves_are_held_back() -> None:
    joiner = SurrogateJoiner()
    assert joiner.join((0, "delta"), "ab\ud83d") == "ab"
    assert joiner.join((0, "delta"), "") == ""
    assert joiner.join((1, "delta"), "\ude00") == "\ufffd"
    assert joiner.join((0, "delta"), "\ude00c") == "😀c"
    assert joiner.flush() == []
