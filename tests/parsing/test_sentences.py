"""Sentences are the same at every split, and no text is lost."""

from __future__ import annotations

import pytest
from cpu_time import cpu_seconds
from hypothesis import given, settings
from hypothesis import strategies as st

from rxagents.parsing.sentences import SentenceSplitter


def split(*pieces: str) -> list[str]:
    splitter = SentenceSplitter()
    return [sentence for piece in pieces for sentence in splitter.feed(piece)] + splitter.flush()


@pytest.mark.parametrize(
    "sentences",
    [
        ["Hello there. ", "How are you? ", "Fine! ", "Well… ", "Bye."],
        ["No end"],
        ["What?! ", "Wait... ", "Yes."],
        ["  Leading space. ", "And\n", ""],
        ["Pi is 3.14 and not 3. ", "See example.com/a.b for v1.2.3 of it."],
        ["Dr. Smith met Mrs. J. R. Jones (see Fig. 3 and No. 5), i.e. both, etc. ever. ", "So."],
        ["The answer is no. ", "Really."],
        ["J. Smith of the U.S. army and J.R.R. Tolkien. ", "Good."],
        ["1. First thing.\n", "2. Second thing.\n", "10. Tenth."],
        ["It was in 1990. ", "Then came 2000."],
        ['He said "Go." ', "She (his wife.) ", "**Bold.** ", "«Quoted.» ", '"Next one" is open.'],
        ['Hello. ', '"Opens after it."'],
        ["Heading\n\n", "Text without a stop\r\n \r\n", "- item\n- item"],
        ["你好。", "你好吗\uff1f", "「好\uff01」", "再见"],
        ["好。 ", "」好"],
        ['Dr. "Who" and Mr. " Xi. ', "So."],
        ["สวัสดีครับ ", "วันนี้อากาศดีมาก  ", "ไปกันเถอะ"],
        ["ราคา 20 บาท ", "ใช้ Python ได้"],
        ["បាទ។ ", "អរគុណ។"],
        ["はい\uff61", "いいえ\uff61"],
        ["はい。 ", "いいえ。\n", "OK."],
        ["Spaced . . . ", "dots. ", "End"],
        ["\n\n Text.\n\n\n", "More"],
        ["e.g. this, cf. that, approx. 5 vs. 6. ", "Done."],
        [""],
        [" \n\n "],
        ["  \n\n Text. ", "More"],
        ["a!b?c.d"],
        ["Text\n\n", "...more"],
    ],
)  # fmt: skip
def test_text_is_split_into_sentences(sentences: list[str]) -> None:
    expected = [sentence for sentence in sentences if sentence]
    assert split("".join(sentences)) == expected
    assert split(*"".join(sentences)) == expected


def test_sentence_ends_when_next_begins() -> None:
    splitter = SentenceSplitter()
    assert splitter.feed("One.") == []
    assert splitter.feed(" ") == []
    assert splitter.feed("T") == ["One. "]
    assert splitter.feed("wo. Three! Fo") == ["Two. ", "Three! "]
    assert splitter.flush() == ["Fo"]
    assert splitter.flush() == []


TEXT = st.text(
    st.sampled_from(list("aA1 .!?…。\uff01\n\r\t\"')*-")) | st.characters(codec="utf-8"),
    max_size=40,
) | st.lists(
    st.sampled_from(["Dr", ".", " ", "e.g.", "No.", "5", "1.", "\n", "\n\n", "Word", "J.", "”"])
).map("".join)


@settings(deadline=None)
@given(TEXT, st.lists(st.integers(0, 60)))
def test_every_split_gives_same_sentences(text: str, cuts: list[int]) -> None:
    ends = sorted({min(cut, len(text)) for cut in cuts} | {len(text)})
    pieces = [text[a:b] for a, b in zip([0, *ends], ends, strict=False)]
    sentences = split(*pieces)
    assert sentences == split(text)
    assert "".join(sentences) == text
    assert "" not in sentences


@pytest.mark.parametrize("unit", ["word ", "a", ".", " ", "\n", '."', "Dr. ", "Hi. ", "1. "])
@pytest.mark.parametrize("size", [1, 1000])
def test_cost_per_character_is_constant(unit: str, size: int) -> None:
    def seconds_per_character(count: int) -> float:
        text = unit * (count // len(unit))
        pieces = [text[i : i + size] for i in range(0, len(text), size)]
        return cpu_seconds(lambda: split(*pieces)) / count

    assert seconds_per_character(60_000) < 3 * seconds_per_character(6_000)
