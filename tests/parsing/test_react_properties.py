"""The ReAct parser at every split of any text, and its cost for hostile texts."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import pytest
from cpu_time import cpu_seconds
from hypothesis import example, given, settings
from hypothesis import strategies as st
from matrix import only_full

from rxagents.core.errors import ToolError
from rxagents.core.events import Answer, Thought, Token
from rxagents.core.messages import ToolCall
from rxagents.parsing.react import ReActParser, Step

PARAMETERS = {"f": ["a", "b"], "g-h": []}

FRAGMENTS = st.sampled_from(
    ["Thought:", "**Action:**", "Action", "Action:", "Action Input:", "Observation:", "Answer:",
     "Final Answer:", "Fin", " Thought", "\n", "\n\n", " ", "\t", "**", "*", ":", "f", "g-h", "f(",
     "f[", "(", ")", "[", "]", "{", "}", ",", "=", "a=", '"', "'", '"""', "'''", "\\", '\\"', "1",
     "true", "None", "```json\n", "```", "\n```", "`", '{"a": 1}', '{"a":',
     "a:", '"a"', "word", "é😀", ".", "\u2028", "\ud800", "> ", "- ", "1. ", "### ", "\n### Action",
     "Thought 1", "Action：", "（", "）", "【", "】", "，", "Finish[", "Final Answer", "<answer>",
     "</answer>", "<action>", "</action>", "<", "</", '{"action": "f", "action_input": ']
)  # fmt: skip
TEXTS = st.lists(FRAGMENTS | st.text(max_size=3), max_size=25).map("".join)


def run(feeds: Iterable[str]) -> tuple[list[Any], bool]:
    """Return the steps with adjacent tokens joined and without ids, and `done`."""
    parser = ReActParser(PARAMETERS)
    steps = [step for text in feeds for step in parser.feed(text, 0.0)] + parser.flush(0.0)
    return joined(steps), parser.done


def joined(steps: list[Step]) -> list[Any]:
    found: list[Any] = []
    for step in steps:
        if isinstance(step, ToolCall):
            found.append((step.name, step.arguments))
        elif isinstance(step, Token) and found and found[-1][0] == f"{step.section} token":
            found[-1] = (found[-1][0], found[-1][1] + step.content)
        elif isinstance(step, Token):
            found.append((f"{step.section} token", step.content))
        else:
            found.append((step.type, step.content))
    return found


@settings(deadline=None)
@given(TEXTS, st.data())
@example('Action: f("""\nThought: """, b="")\n**Answer:** x', None)
@example('**Thought:** x\nAction: f\nAction Input: ```json\n{"a": "\\""}\n```\nThought: y', None)
@example("**Thought:*", None)
@example("The answer: 1\nThe answer: 2\n", None)
@example("Action: f(it's, b=it's)", None)
@example("Action: f\nAction Input: `x`\n{}", None)
@example("```\nThought: `x`\n``\nAction: f\nAction Input: a: 1\nb=2\n```", None)
@example("Answer: x\n```\ny\n``` \n```\n", None)
@example("> ### Thought 1\nx\n**Action: Finish[4]**\nObservation: x\n", None)
@example("<thought>x</thought> y<action>f</action><action_input>1</action_input>z", None)
@example('- Action: {"action": "Final Answer", "action_input": "4"} x\nThought: y', None)
@example("Answer: x\n<answer>y</answer>\nThought: z", None)
@example("**Action: f Action Input: 1**\n<final_answer>\nThought: x</final_answer>\ny", None)
def test_every_split_gives_same_steps(text: str, data: st.DataObject | None) -> None:
    expected = run([text])
    assert run(text) == expected
    for cut in range(len(text)):
        assert run([text[:cut], text[cut:]]) == expected
    if data is not None:
        size = data.draw(st.integers(2, 7))
        assert run(text[i : i + size] for i in range(0, len(text), size)) == expected


@settings(deadline=None)
@given(TEXTS)
def test_tokens_join_to_section_text(text: str) -> None:
    parser = ReActParser(PARAMETERS)
    tokens: dict[str, str] = {"thought": "", "answer": ""}
    for step in [step for c in text for step in parser.feed(c, 0.0)] + parser.flush(0.0):
        if isinstance(step, Token) and step.section != "action":
            tokens[step.section] += step.content
        elif isinstance(step, Thought | Answer):
            assert tokens[step.type] == step.content == step.content.strip() != ""
            tokens[step.type] = ""
        elif isinstance(step, ToolCall):
            with suppress(ToolError):  # an object that is not readable
                assert isinstance(step.parse(), dict)
    assert tokens == {"thought": "", "answer": ""}


WORDS = st.text('ab,:()[]{}"=\n \\é', max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(-1e9, 1e9) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=5,
)
ARGUMENTS = st.dictionaries(st.sampled_from(["a", "b-c", "d_1"]), VALUES)


@settings(deadline=None)
@given(
    st.lists(st.tuples(WORDS, ARGUMENTS, st.sampled_from(["named", "object", "input"]))),
    WORDS,
)
def test_written_arguments_are_parsed_back(
    turns: list[tuple[str, dict[str, Any], str]], last: str
) -> None:
    text = ""
    expected: list[tuple[str, Any]] = []
    for thought, arguments, form in turns:
        text += f"Thought: {thought}\nAction: {written(arguments, form)}\n"
        expected += [("thought", thought.strip())] if thought.strip() else []
        expected += [("g-h", arguments)]
    steps = [step for step in run(text + f"Thought: {last}")[0] if not step[0].endswith(" token")]
    found = [(kind, json.loads(what) if kind == "g-h" else what) for kind, what in steps]
    assert found == expected + ([("thought", last.strip())] if last.strip() else [])


def written(arguments: dict[str, Any], form: str) -> str:
    if form == "input":
        return f"g-h\nAction Input: {json.dumps(arguments, indent=1)}"
    if form == "object":
        return f"g-h({json.dumps(arguments)})"
    named = [f"{name}={json.dumps(value)}" for name, value in arguments.items()]
    return f"g-h({', '.join(named)})"


HOSTILE = {
    "blanks": ("", " ", ""),
    "newlines": ("", "\n", ""),
    "blank lines": ("Thought: a", " \n", ""),
    "parentheses": ("Action: f(", "(", ""),
    "brackets": ("Action: f[", "[", ""),
    "braces": ("Action: f\nAction Input: ", "{", ""),
    "closers": ("Action: f(", "(}", ""),
    "quotes": ("Action: f(", '"', ""),
    "spaced quotes": ("Action: f(", " '", ")"),
    "backslashes": ('Action: f("', "\\", ""),
    "quotes in a block": ('Action: f("""', '""a', '""")'),
    "labels in a block": ('Action: f("""', "\nThought: ", '""")'),
    "commas": ("Action: f(", ",", ")"),
    "named values": ("Action: f(", "a=1,", ")"),
    "strings in a list": ("Action: f([", '"a",', "])"),
    "fields": ("Action: f\nAction Input: {", '"a":1,', "}"),
    "digits": ("Action: f(", "9", ")"),
    "invalid objects": ("Action: f\nAction Input: ", "{}x{", ""),
    "fences": ("Action: f\nAction Input: ", "```\n", ""),
    "fenced actions": ("Action: ", "```\n", ""),
    "backticks": ("Action: f\nAction Input: ", "`", ""),
    "backticks in an answer": ("Answer: ", "`", ""),
    "fences in an answer": ("Answer: a", "\n```", ""),
    "half fences in an answer": ("Answer: a", "\n` ", ""),
    "named lines": ("Action: f\nAction Input: ", "a: 1\n", ""),
    "quoted names": ("Action: f\nAction Input: a: ", ',"a"', ""),
    "an object in quotes": ("Action: f\nAction Input: '{", '"a":1,', "}'"),
    "fenced lines": ("Action: f\nAction Input: ```\n", "```\n", ""),
    "text after a name": ("Action: f\n", "{ ", ""),
    "named values in brackets": ("Action: f\nAction Input: (", "a=(", ")"),
    "calls in an input": ("Action: f\nAction Input: ", "f(", ""),
    "a long name": ("Action: ", "a", ""),
    "actions": ("", "Action: f(1)\n", ""),
    "labels on a line": ("", "Action:", ""),
    "labels on lines": ("", "Action:\n", ""),
    "half labels": ("", "Actio\n", ""),
    "half labels with emphasis": ("", "**Action\n", ""),
    "emphasis": ("", "*", ""),
    "a label without its colon": ("Thought", " ", ""),
    "marks before a label": ("", "> - ", ""),
    "headings": ("", "### Action\n", ""),
    "tags": ("", "<action>f</action>", ""),
    "half end tags": ("<thought>", "</thought", ""),
    "less-than signs in a tag": ("<answer>", "<", ""),
    "emphasis that a label opens": ("**Answer: ", "*", ""),
    "objects as actions": ("Action: ", '{"action":', ""),
    "fields of an action": ("Action: {", '"a":1,', "}"),
    "inputs on the line of the name": ("Action: ", "f Action Input: ", ""),
    "text after the answer": ("Action: Finish[4]", "\nx", ""),
    "full-width brackets": ("Action: f（", "（，", ""),
}


def seconds_per_character(case: str, length: int, *, is_whole: bool) -> float:
    start, middle, end = HOSTILE[case]
    text = start + middle * (length // len(middle)) + end
    feeds = [text] if is_whole else list(text)

    def parse() -> None:
        parser = ReActParser(PARAMETERS)
        for feed in feeds:
            parser.feed(feed, 0.0)
        parser.flush(0.0)

    return cpu_seconds(parse, repeats=2) / length


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, marks=() if n % 4 == 0 else only_full) for n, case in enumerate(HOSTILE)],
)
def test_go_fault_text_is_scanned_repeatedly(case: str) -> None:
    """The original scanned all its text at every token. Quadratic would be a ratio of 16."""
    for is_whole, length in ((True, 400_000), (False, 40_000)):
        large = seconds_per_character(case, length, is_whole=is_whole)
        small = seconds_per_character(case, length // 16, is_whole=is_whole)
        assert large < 5 * small


_FURTHER = ("parentheses", "a long name", "braces", "backticks")


@pytest.mark.parametrize(
    "case",
    ["blanks", *(pytest.param(each, marks=only_full) for each in _FURTHER)],
)
def test_kept_text_is_not_copied(case: str) -> None:
    """A copy is fast: only a longer text shows that its cost is quadratic."""
    large = seconds_per_character(case, 600_000, is_whole=False)
    assert large < 5 * seconds_per_character(case, 20_000, is_whole=False)
