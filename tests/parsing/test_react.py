"""The ReAct text protocol: labels, sections, every form of an action, and where a turn ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from rxagents.core.events import Answer, Thought, Token
from rxagents.core.messages import ToolCall
from rxagents.parsing.react import ReActParser, Step

PARAMETERS = {"search": ["query", "limit"], "calculator": ["expression"], "now": []}


def parse(text: str, parameters: Mapping[str, Sequence[str]] = PARAMETERS) -> list[Step]:
    parser = ReActParser(parameters)
    return parser.feed(text, 1.0) + parser.flush(1.0)


def calls(text: str, parameters: Mapping[str, Sequence[str]] = PARAMETERS) -> list[Any]:
    """Return the calls of a text as pairs of name and arguments."""
    steps = parse(text, parameters)
    return [(step.name, step.parse()) for step in steps if isinstance(step, ToolCall)]


def arguments(text: str) -> dict[str, Any]:
    ((_, found),) = calls(text)
    return dict(found)


def thoughts(text: str) -> list[str]:
    return [step.content for step in parse(text) if isinstance(step, Thought)]


def answers(text: str) -> list[str]:
    return [step.content for step in parse(text) if isinstance(step, Answer)]


def told(steps: list[Step]) -> list[tuple[str, str]]:
    return [(step.section, step.content) for step in steps if isinstance(step, Token)]


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
     "Final: x", "Observations: x", "1. Answer: x", "Answer\n: x", "**Answer", "Re-Action: x",
     "Actio", "Thought" + " " * 50 + ": x", "an\u017fwer: x"],
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
    assert answers("**Answer: Paris**") == ["Paris**"]
    assert answers("**Answer:*") == ["*"]


def test_text_before_first_label_is_thought() -> None:
    assert thoughts("Let me see.\n\nThought: more\nAnswer: x") == ["Let me see.", "more"]


def test_possible_label_is_held_back_briefly() -> None:
    parser = ReActParser()
    assert told(parser.feed("Well\nact", 1.0)) == [("thought", "Well")]
    assert told(parser.feed("ing", 1.0)) == [("thought", "\nacting")]
    assert told(parser.feed("\nFinal", 1.0)) == []
    assert told(parser.flush(1.0)) == [("thought", "\nFinal")]


# Thoughts and answers


@pytest.mark.parametrize("label", ["Thought:", "Answer:"])
def test_go_fault_multiline_text_is_cut(label: str) -> None:
    text = "one, two\n\n  - three\n\tfour:\n```python\nprint(1)\n```\n\nfive"
    steps = parse(f"{label} \n {text} \n\n")
    assert "".join(content for _, content in told(steps)) == text
    closing = steps[-1]
    assert isinstance(closing, Thought | Answer)
    assert closing.content == text


def test_go_fault_invented_text() -> None:
    """The original told "Thinking…" whatever the model wrote."""
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


# Actions


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ('"Paris"', "Paris"),
        ("'Paris'", "Paris"),
        ("Paris", "Paris"),
        ("New York", "New York"),
        ('"a, b) (c"', "a, b) (c"),
        (r'"say \"hi\", ok"', 'say "hi", ok'),
        (r"'it\'s'", "it's"),
        ("what's up", "what's up"),
        (r'"a\nb\t\\ \d \u00e9 \ud83d\ude00 \x41"', "a\nb\t\\ \\d é 😀 A"),
        (r'"\ud83d"', "\ufffd"),
        ('"""two\nlines, "quoted" ""\nend"""', 'two\nlines, "quoted" ""\nend'),
        ("'''a'b'''", "a'b"),
        ('"raw\nline"', "raw\nline"),
        ('""', ""),
        ("", ""),
        ("42", 42),
        ("-7", -7),
        ("1.5", 1.5),
        ("2e3", 2000.0),
        ("007", "007"),
        ("1e999", "1e999"),
        ("9" * 5000, "9" * 5000),
        ("true", True),
        ("True", True),
        ("false", False),
        ("null", None),
        ("None", None),
        ("NaN", "NaN"),
        ("12:30", "12:30"),
        ("https://x.org/?a=b&c=d", "https://x.org/?a=b&c=d"),
        ("[1, 'two', true, null]", [1, "two", True, None]),
        ("[red, dark blue,]", ["red", "dark blue"]),
        ('["]", ")"]', ["]", ")"]),
        ('{"a": {"b": [1, 2]}, \'c\': None, d: x}', {"a": {"b": [1, 2]}, "c": None, "d": "x"}),
        ("[]", []),
        ("{}", {}),
        ('["a" b]', '["a" b]'),
        ("{a}", "{a}"),
        ("[,]", "[,]"),
        ("x] y", "x] y"),
        ("(1 + 2) * 3", "(1 + 2) * 3"),
        ("max(1, 2)", "max(1, 2)"),
        ("Paris, France", "Paris, France"),
        ('"a" + "b, c"', '"a" + "b, c"'),
        ("a == b", "a == b"),
    ],
)
def test_go_fault_argument_values_are_mangled(written: str, value: object) -> None:
    """The original handed every argument over as a string, and cut at quoted commas."""
    found = arguments(f"Action: tool(first=1, value={written}, last-one = 2 )")
    assert found == {"first": 1, "value": value, "last-one": 2}
    assert type(found["value"]) is type(value)


@pytest.mark.parametrize(
    ("inside", "expected"),
    [
        ("", {}),
        (" \n ", {}),
        ('{"query": "a", "limit": 3}', {"query": "a", "limit": 3}),
        ("\n  query='a',\n  limit=3,\n", {"query": "a", "limit": 3}),
        ('"a, b"', {"query": "a, b"}),
        ('"a", 3', {"query": "a", "limit": 3}),
        ('"a", limit=3', {"query": "a", "limit": 3}),
        ("3, query=a", {"limit": 3, "query": "a"}),
        ("query=a, query=b", {"query": "b"}),
        ("red, green, blue", {"query": "red, green, blue"}),
        ('{"a": 1}, 2', {"query": {"a": 1}, "limit": 2}),
    ],
)
def test_named_and_positional_arguments(inside: str, expected: object) -> None:
    assert calls(f"Action: search({inside})") == [("search", expected)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tool(5)", {"input": 5}),
        ("tool(a, b)", {"input": "a, b"}),
        ("tool[a, b]", {"input": "a, b"}),
        ("now(x)", {"input": "x"}),
        ("tool\nAction Input: x", {"input": "x"}),
    ],
)
def test_unknown_parameter_is_named_input(text: str, expected: object) -> None:
    assert arguments(f"Action: {text}") == expected


@pytest.mark.parametrize(
    ("inside", "value"),
    [("it's [1], ok", "it's [1], ok"), (' "quoted" ', "quoted"), ("2024", "2024"), ("(a", "(a")],
)
def test_square_brackets_contain_one_text(inside: str, value: str) -> None:
    assert calls(f"Action: search[{inside}] and so on") == [("search", {"query": value})]


@pytest.mark.parametrize(
    "action",
    ["get-weather.v2_b(x=1)", "`get-weather.v2_b`(x=1)", "`get-weather.v2_b(x=1)`",
     '"get-weather.v2_b" (x=1)', "**get-weather.v2_b**(x=1)", "\nget-weather.v2_b(x=1)",
     "\n```python\nget-weather.v2_b(x=1)\n```", "get-weather.v2_b(x=1). Then I wait (a bit)."],
)  # fmt: skip
def test_tool_name_with_hyphens_and_marks(action: str) -> None:
    assert calls(f"Action: {action}") == [("get-weather.v2_b", {"x": 1})]


def test_call_is_emitted_at_closing_bracket() -> None:
    parser = ReActParser(PARAMETERS)
    steps = parser.feed("Action: now().\nI wait.\n", 1.0)
    assert [type(step) for step in steps] == [Token, ToolCall, Token]
    assert told(steps) == [("action", "now()"), ("action", ".\nI wait.")]


# Action Input


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ('{"query": "a}", "limit": 3}', {"query": "a}", "limit": 3}),
        ("{'query': 'a', 'all': True}", {"query": "a", "all": True}),
        ('\n{\n  "query": "a"\n}\n', {"query": "a"}),
        ('\n```json\n{"query": "a"}\n```\n', {"query": "a"}),
        ('```\n{"query": "a"}\n```', {"query": "a"}),
        ("cats and dogs", {"query": "cats and dogs"}),
        ("cats\n\n  and dogs\n", {"query": "cats\n\n  and dogs"}),
        ('"cats"', {"query": "cats"}),
        ('["a", "b"]', {"query": ["a", "b"]}),
        ("2024", {"query": "2024"}),
        ('"cats', {"query": '"cats'}),
        ("x = {1}\nprint(x)", {"query": "x = {1}\nprint(x)"}),
        ("{x} is a set", {"query": "{x} is a set"}),
        ("```python\nprint(1)\n```", {"query": "print(1)"}),
        ("[" * 1000 + "]" * 1000, {"query": "[" * 1000 + "]" * 1000}),
        ("`cats`\nand dogs", {"query": "`cats`\nand dogs"}),
        ("`cats`\n{}", {"query": "`cats`\n{}"}),
        ("", {}),
        ("None", {}),
        ("N/A", {}),
    ],
)
def test_action_input_is_object_or_text(written: str, expected: object) -> None:
    for end in ("", "\nThought: next", "\nObservation: x"):
        assert calls(f"Action: search\nAction Input: {written}{end}") == [("search", expected)]


def test_json_input_ends_at_brace() -> None:
    parser = ReActParser()
    parser.feed('Action: search\nAction Input: {"a": {"b": 1}', 1.0)
    call = parser.feed("}", 1.0)[-1]
    assert isinstance(call, ToolCall)
    assert call.arguments == '{"a":{"b":1}}'


def test_input_without_action_is_ignored() -> None:
    assert calls('Action Input: {"a": 1}') == []
    assert calls('Action: now()\nAction Input: {"a": 1}') == [("now", {})]
    assert calls('Action: now\nThought: x\nAction Input: {"a": 1}') == [("now", {})]


@pytest.mark.parametrize("end", ["", "\n", "\nThought: x", "\nAction: None", "\nObservation: x"])
def test_name_alone_is_a_call(end: str) -> None:
    assert calls(f"Action: now{end}") == [("now", {})]
    assert calls(f"Action: `now`.{end}") == [("now", {})]


# No call


@pytest.mark.parametrize(
    "action",
    ["None", "none", "N/A", "None (I know it)", "", "\n\n", "None\nAction Input: None",
     "I will look it up", "Finish, then rest", "(x)", "[x](y)", "..."],
)  # fmt: skip
def test_action_without_tool_is_ignored(action: str) -> None:
    assert calls(f"Action: {action}") == []
    assert answers(f"Action: {action}\nAnswer: 42") == ["42"]


@pytest.mark.parametrize(
    "action",
    ['search(query="cats"', 'search("cats)', 'search("cats" [', "search[cats", 'search("""cats")',
     'search\nAction Input: {"query": "a"', "search(" * 1000,
     "search(" + "[" * 200 + "]" * 200 + ")"],
)  # fmt: skip
def test_incomplete_action_is_ignored(action: str) -> None:
    assert calls(f"Action: {action}") == []


def test_label_ends_incomplete_action() -> None:
    text = 'Action: search("cats)\nThought: again\nAction: search("cats")'
    assert calls(text) == [("search", {"query": "cats"})]
    assert thoughts(text) == ["again"]


def test_label_in_triple_quotes_is_text() -> None:
    text = "a\n  **Thought:** b\nObservation: c\nAnswer: d\n"
    assert arguments(f'Action: search("""{text}""")') == {"query": text}


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
