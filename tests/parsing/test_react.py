"""Labels, sections and the end of a turn in the ReAct protocol."""

from __future__ import annotations

import pytest
from react_steps import PARAMETERS, answers, calls, parse, thoughts, tokens

from rxagents.core.events import Answer, Thought, Token
from rxagents.core.messages import ToolCall
from rxagents.parsing.react import ReActParser


def is_done(text: str) -> bool:
    parser = ReActParser(PARAMETERS)
    parser.feed(text, 1.0)
    return parser.done


def test_turn_emits_steps_incrementally() -> None:
    parser = ReActParser(PARAMETERS)
    assert parser.feed("Thought: I need", 1.0) == [Token("I need", "thought", 1.0)]
    assert parser.feed(" it.\n", 2.0) == [Token(" it.", "thought", 2.0)]
    assert parser.feed("Action:", 3.0) == [Thought("I need it.", 3.0)]
    assert parser.feed(" search(query=", 4.0) == [Token("search(query=", "action", 4.0)]
    token, call = parser.feed('"cats")', 5.0)
    assert token == Token('"cats")', "action", 5.0)
    assert isinstance(call, ToolCall)
    assert (call.name, call.arguments) == ("search", '{"query":"cats"}')
    assert parser.flush(6.0) == []


def test_answer_is_emitted_at_end() -> None:
    parser = ReActParser()
    assert parser.feed("Final Answer: It is", 1.0) == [Token("It is", "answer", 1.0)]
    assert parser.feed(" 42.\n", 2.0) == [Token(" 42.", "answer", 2.0)]
    assert parser.flush(3.0) == [Answer("It is 42.", 3.0)]
    assert parser.flush(4.0) == []
    assert not parser.done


def test_every_call_has_own_id() -> None:
    steps = parse("Action: now()\nAction: now()")
    first, second = [step.id for step in steps if isinstance(step, ToolCall)]
    assert first.startswith("call_")
    assert first != second


# Fences


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("42\n```", "42"),
        ("42\n  ```  \n", "42"),
        ("run\n```\nls\n```", "run\n```\nls\n```"),
        ("run\n```sh\nls\n```\n```", "run\n```sh\nls\n```"),
        ("```\n42\n```", "```\n42\n```"),
        ("this: ```\n42\n```", "this: ```\n42\n```"),
        ("42\n```\nmore", "42\n```\nmore"),
        ("`a\n`", "`a\n`"),
    ],
)
def test_stray_closing_fence_is_dropped(text: str, answer: str) -> None:
    for size in (1, 4, 100):
        parser = ReActParser()
        text_ = f"```\nThought: t\nFinal Answer: {text}"
        steps = [s for i in range(0, len(text_), size) for s in parser.feed(text_[i : i + size], 1)]
        steps += parser.flush(2)
        assert [step.content for step in steps if isinstance(step, Thought)] == ["t"]
        assert [step.content for step in steps if isinstance(step, Answer)] == [answer]
        streamed = [s.content for s in steps if isinstance(s, Token) and s.section == "answer"]
        assert "".join(streamed) == answer


# Labels


@pytest.mark.parametrize(
    "label",
    ["Answer:", "answer:", "FINAL ANSWER:", "Final Answer :", "  \tAnswer:", "**Answer:**",
     "**Final Answer**:", "*Answer*:", "__Answer:__", "**Answer** :", "Final  Answer:"],
)  # fmt: skip
def test_label_case_blanks_and_emphasis(label: str) -> None:
    for start in ("", "hm\n", "hm\n\n"):
        assert answers(f"{start}{label} **42**") == ["**42**"]


@pytest.mark.parametrize(
    "line",
    ["rethink: it all", "My answer: 42", "Action plan: x", "Thoughts: x", "Answer", "An answer: x",
     "Final: x", "Observations: x", "1.Answer: x", "Answer\n: x", "**Answer", "Re-Action: x",
     "Actio", "Answer 1", "# Answer it", "- - Answer: x", "<answer", "<answer />",
     "Thought" + " " * 50 + ": x", "an\u017fwer: x"],
)  # fmt: skip
def test_near_labels_are_text(line: str) -> None:
    for text in (line, f"First\n{line}", f"First {line}\nand more"):
        assert thoughts(text) == [text]
        assert not is_done(text + "\n")


def test_label_inside_line_is_text() -> None:
    assert thoughts("Thought: the Answer: is Action: x Observation: y") == [
        "the Answer: is Action: x Observation: y"
    ]


def test_emphasis_after_label_is_text() -> None:
    assert answers("Answer:**Paris**") == ["**Paris**"]
    assert answers("**Answer:*") == ["*"]


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("**Answer: Paris**", "Paris"),
        ("**Answer: Paris**\nin **France**", "Paris\nin **France**"),
        ("**Answer: the *old* Paris** is", "the *old* Paris** is"),
        ("*Answer: Paris*", "Paris"),
        ("**Answer: Paris*", "Paris*"),
    ],
)
def test_emphasis_ends_with_first_line(text: str, answer: str) -> None:
    assert answers(text) == [answer]
    assert answers(f"**Thought: t**\n{text}") == [answer]
    assert thoughts(f"**Thought: t**\n{text}") == ["t"]


@pytest.mark.parametrize(
    ("action_label", "answer_label"),
    [
        ("Action 1:", "Answer 2:"),
        ("1. Action:", "2) Final Answer:"),
        ("- Action:", "* Answer:"),
        ("> Action:", "> > Answer:"),
        ("### Action:", "> - ## **Answer 1:**"),
        ("### Action\n", "# **Final Answer**\n"),
        ("Action：", "Final Answer ："),
        ("<action>", "<answer>"),
    ],
)
def test_marks_around_label_are_no_text(action_label: str, answer_label: str) -> None:
    label = action_label.replace("Action", "Thought").replace("action", "thought")
    text = f"{label} t\n{action_label} now\n"
    assert (thoughts(text), calls(text)) == (["t"], [("now", {})])
    assert answers(f"{label} t\n{answer_label} 42") == ["42"]


def test_end_tag_ends_section() -> None:
    text = "<thought>a</thought><action>search</action><action_input>b</action_input>c"
    assert (thoughts(text), calls(text)) == (["a"], [("search", {"query": "b"})])
    assert answers("<answer>\nThought: a\n</thought>b</answer>c") == ["Thought: a\n</thought>b"]
    assert thoughts("Thought: a</thought>") == ["a</thought>"]


def test_tag_inside_answer_is_text() -> None:
    text = "see\n<answer>1</answer>\nThought: 2"
    assert answers(f"Answer: {text}") == [text]
    assert answers("Answer:\n<answer>1</answer>2") == ["1"]


def test_line_of_answer_is_not_held_back() -> None:
    parser = ReActParser()
    parser.feed("Answer: 1\n", 1.0)
    assert parser.feed("Tho", 2.0) == [Token("\nTho", "answer", 2.0)]
    parser = ReActParser()
    parser.feed("Answer: 1\nObs", 1.0)
    assert tokens(parser.feed("e", 2.0)) == [("answer", "e")]


def test_text_before_first_label_is_thought() -> None:
    assert thoughts("Let me see.\n\nThought: more\nAnswer: x") == ["Let me see.", "more"]


def test_possible_label_is_held_back_briefly() -> None:
    parser = ReActParser()
    assert tokens(parser.feed("Well\nact", 1.0)) == [("thought", "Well")]
    assert tokens(parser.feed("ing", 1.0)) == [("thought", "\nacting")]
    assert tokens(parser.feed("\nFinal", 1.0)) == []
    assert tokens(parser.flush(1.0)) == [("thought", "\nFinal")]


# Thoughts and answers


@pytest.mark.parametrize("label", ["Thought:", "Answer:"])
def test_go_fault_multiline_text_is_cut(label: str) -> None:
    text = "one, two\n\n  - three\n\tfour:\n```python\nprint(1)\n```\n\nfive"
    steps = parse(f"{label} \n {text} \n\n")
    assert "".join(content for _, content in tokens(steps)) == text
    closing = steps[-1]
    assert isinstance(closing, Thought | Answer)
    assert closing.content == text


def test_go_fault_invented_text() -> None:
    """The original emitted "Thinking…" whatever the model wrote."""
    parser = ReActParser()
    assert parser.feed("Thought:", 1.0) == []
    assert parser.feed(" ", 1.0) == []
    assert parser.feed("\n", 1.0) == []
    assert parser.flush(1.0) == []


@pytest.mark.parametrize("text", ["", "  \n", "Thought:", "Thought:\nThought: \n", "Answer: \n"])
def test_empty_section_emits_nothing(text: str) -> None:
    assert parse(text) == []


@pytest.mark.parametrize(
    "line", ["Thought: x", "Action: press(button)", "Observation: cold", "Answer: 2", "**Answer:**"]
)
def test_label_in_answer_is_text(line: str) -> None:
    assert answers(f"Answer: Minutes\n  {line}\nend") == [f"Minutes\n  {line}\nend"]
    assert calls(f"Answer: Minutes\n{line}\nend") == []


def test_label_after_empty_answer_counts() -> None:
    assert answers("Final Answer:\nThought: I know.\nFinal Answer: Paris") == ["Paris"]


# An action that is the answer


@pytest.mark.parametrize(
    "action",
    ["Finish[42]", "finish(42)", 'Finish("42")', "Finish(answer=42)",
     "Final Answer\nAction Input: 42", "final_answer\nAction Input: 42\n", "Final Answer: 42",
     "`Finish`[42].", "Finish【42】",
     '{"action": "Final Answer", "action_input": "42"}', '{"tool": "finish", "input": 42}',
     '\n```json\n{"name": "final_answer", "arguments": {"answer": "42"}}\n```'],
)  # fmt: skip
def test_action_may_be_the_answer(action: str) -> None:
    for end in ("", "\nThought: x\nAction: now()", "\nObservation: x\nAnswer: 3"):
        steps = parse(f"Thought: t\nAction: {action}{end}")
        assert [step.content for step in steps if isinstance(step, Answer)] == ["42"]
        assert [content for section, content in tokens(steps) if section == "answer"] == ["42"]
        assert not [step for step in steps if isinstance(step, ToolCall)]
    assert not answers(f"Action: now()\nAction: {action}")
    assert is_done(f"Action: now()\nAction: {action}\nThought: x")


def test_answer_of_action_waits_for_end() -> None:
    parser = ReActParser()
    steps = parser.feed("Action: Finish[42] and\nmore", 1.0)
    assert tokens(steps) == [("action", "Finish[42]"), ("answer", "42")]
    assert parser.flush(2.0) == [Answer("42", 2.0)]
    assert parser.flush(3.0) == []


def test_made_up_observation_after_answer_ends_turn() -> None:
    parser = ReActParser()
    steps = parser.feed("Action: Finish[42]\nObservation: x", 1.0)
    assert steps[-1] == Answer("42", 1.0)
    assert parser.done


@pytest.mark.parametrize("action", ["Finish[]", "Finish", "Final Answer\nAction Input:"])
def test_action_without_answer_is_ignored(action: str) -> None:
    assert answers(f"Action: {action}\nAnswer: 42") == ["42"]


def test_tool_may_have_the_name_finish() -> None:
    assert calls("Action: finish(42)", {"finish": ["code"]}) == [("finish", {"code": 42})]


# The end of the turn


def test_each_action_is_a_call() -> None:
    text = 'Action: search("a")\nThought: and\nAction: search\nAction Input: b\nAction: now'
    assert calls(text) == [("search", {"query": "a"}), ("search", {"query": "b"}), ("now", {})]
    assert thoughts(text) == ["and"]


@pytest.mark.parametrize("action", ["", "Action: now()\n", "Action: now\n", "Action: None\n"])
def test_go_fault_invented_observation_is_accepted(action: str) -> None:
    parser = ReActParser()
    steps = parser.feed(
        f"Thought: x\n{action}Observation: made up\nAction: rm(all)\nAnswer: made up", 1.0
    )
    assert parser.done
    steps += parser.feed("\nAction: rm(all)\n", 1.0) + parser.flush(1.0)
    assert [step.name for step in steps if isinstance(step, ToolCall)] in ([], ["now"])
    assert not [step for step in steps if isinstance(step, Answer) or "made up" in repr(step)]


@pytest.mark.parametrize(
    "action", ["now()", "now", 'search("half', "now\nAction Input: x", 'search\nAction Input: {"a"']
)
def test_answer_after_action_ends_turn(action: str) -> None:
    parser = ReActParser()
    steps = parser.feed(f"Action: {action}\nAnswer: 42", 1.0)
    assert parser.done
    steps += parser.flush(1.0)
    assert not [step for step in steps if isinstance(step, Answer)]
