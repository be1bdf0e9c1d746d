"""Actions of the ReAct protocol: every form of an action and of its input."""

from __future__ import annotations

import pytest
from react_steps import PARAMETERS, answers, arguments, calls, parse, thoughts, tokens

from rxagents.core.errors import ToolError
from rxagents.core.events import Token
from rxagents.core.messages import ToolCall
from rxagents.parsing.react import ReActParser

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
        ("{query='a', limit=3}", {"query": "a", "limit": 3}),
        ('query: "a", limit: 3', {"query": "a", "limit": 3}),
        ('"query": "a", "limit": 3', {"query": "a", "limit": 3}),
        ("limit=`3`, query=`a`", {"query": "a", "limit": 3}),
        ("at 12: now", {"query": "at 12: now"}),
        ('\'{"query": "a"}\'', {"query": "a"}),
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
    assert tokens(steps) == [("action", "now()"), ("action", ".\nI wait.")]


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
        ("`cats`", {"query": "cats"}),
        ("```cats```", {"query": "cats"}),
        ('`{"query": "cats"}`', {"query": "cats"}),
        ('```json {"query": "cats"}```', {"query": "cats"}),
        ("cats\n```", {"query": "cats"}),
        ("a\n```\nb\n```", {"query": "a\n```\nb\n```"}),
        ("a\n```\nb\n```\n```", {"query": "a\n```\nb\n```"}),
        ("```\ncats\n```\n```", {"query": "cats"}),
        ("```\ncats\n```\nI wait.", {"query": "cats"}),
        ("```\na\n```\nand\n```\nb\n```", {"query": "```\na\n```\nand\n```\nb\n```"}),
        (r'"{\"query\": \"cats\"}"', {"query": "cats"}),
        ("""'{"query": "cats"}'""", {"query": "cats"}),
        ('"{}"', {}),
        ('query="cats, dogs", limit=3', {"query": "cats, dogs", "limit": 3}),
        ("query: cats", {"query": "cats"}),
        ("query: cats,\nlimit: 3", {"query": "cats", "limit": 3}),
        ("query: what's (new\nlimit", {"query": "what's (new\nlimit"}),
        ('"query": "cats", "limit": 3', {"query": "cats", "limit": 3}),
        ("https://x.org: a=b", {"query": "https://x.org: a=b"}),
        ('search(query="cats")', {"query": "cats"}),
        ("`search[cats]`", {"query": "cats"}),
        ('{query="cats", limit=3}', {"query": "cats", "limit": 3}),
        ("(query: cats)", {"query": "cats"}),
        ("(query=a) or (b)", {"query": "(query=a) or (b)"}),
        ("(1 + 2)", {"query": "(1 + 2)"}),
        ("search(a) or search(b)", {"query": "search(a) or search(b)"}),
        ("find(a)", {"query": "find(a)"}),
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


@pytest.mark.parametrize(
    "action",
    ['search\nAction Input: {"query": "cats" "limit": 3}', "search('{\"query\": ')",
     'search\nAction Input: `{"query": "cats"', r'search\nAction Input: "{\"query\": \"cats\""',
     'search[{"query": "a" b}]', 'search\nAction Input: search("cats'],
)  # fmt: skip
def test_unreadable_object_is_refused(action: str) -> None:
    action = action.replace(r"search\nAction", "search\nAction")
    (call,) = [step for step in parse(f"Action: {action}") if isinstance(step, ToolCall)]
    with pytest.raises(ToolError):
        call.parse()


@pytest.mark.parametrize(
    "action", ["now", "search\nAction Input: /home/u/pro", "search\nAction Input: `a`", "now\nAct"]
)
def test_cut_turn_completes_no_action(action: str) -> None:
    parser = ReActParser(PARAMETERS)
    steps = parser.feed(f"Action: now()\nAction: {action}", 1.0)
    steps += parser.flush(2.0, is_cut=True)
    assert [step.arguments for step in steps if isinstance(step, ToolCall)] == ["{}"]


def test_input_without_action_is_ignored() -> None:
    assert calls('Action Input: {"a": 1}') == []
    assert calls('Action: now()\nAction Input: {"a": 1}') == [("now", {})]
    assert calls('Action: now\nThought: x\nAction Input: {"a": 1}') == [("now", {})]


@pytest.mark.parametrize("end", ["", "\n", "\nThought: x", "\nAction: None", "\nObservation: x"])
def test_name_alone_is_a_call(end: str) -> None:
    assert calls(f"Action: now{end}") == [("now", {})]
    assert calls(f"Action: `now`.{end}") == [("now", {})]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('\n{"query": "a"}\n', [("search", {"query": "a"})]),
        ('\n```json\n{"query": "a"}\n```', [("search", {"query": "a"})]),
        ('\n`{"query": "a"}`', [("search", {"query": "a"})]),
        ('\n{"query": "a', []),
        ("\nI wait {now}.", [("search", {})]),
        ('\n{"query": "a"}\nAction Input: b', [("search", {"query": "b"})]),
    ],
)
def test_object_after_name_is_input(text: str, expected: object) -> None:
    for size in (1, 100):
        action = f"Action: search{text}"
        parser = ReActParser(PARAMETERS)
        steps = [
            s for i in range(0, len(action), size) for s in parser.feed(action[i : i + size], 1)
        ]
        steps += parser.flush(2)
        assert [(s.name, s.parse()) for s in steps if isinstance(s, ToolCall)] == expected


# The name and the input in one


@pytest.mark.parametrize(
    "action",
    [
        '{"action": "search", "action_input": "cats"}',
        '\n```json\n{"action": "search", "action_input": {"query": "cats"}}\n```\n',
        '```{"name": "search", "arguments": {"query": "cats"}}```',
        r'{"name": "search", "arguments": "{\"query\": \"cats\"}"}',
        '{"tool": "search", "tool_input": "cats"}',
        "{'tool_name': 'search', 'parameters': {'query': 'cats'}}",
        '{"type": "function", "function": {"name": "search", "arguments": {"query": "cats"}}}',
        '{"action": "search", "input": ["cats"]}',
        'search {"query": "cats"}',
        "search Action Input: cats",
        '`search` action input: {"query": "cats"}',
        "search（query=cats）",
        "search（“cats”）",
        "search【cats】",
        "search［cats］",
    ],
)
def test_name_and_input_in_one(action: str) -> None:
    value: object = "“cats”" if "“" in action else ["cats"] if "[" in action else "cats"
    for end in ("", "\nThought: x"):
        assert calls(f"Action: {action}{end}") == [("search", {"query": value})]


def test_full_width_comma_separates_in_full_width_brackets() -> None:
    assert calls("Action: search（query=a，limit=3）") == [("search", {"query": "a", "limit": 3})]
    assert calls('Action: search("a，b")') == [("search", {"query": "a，b"})]
    assert calls("Action: search(a，（b)") == [("search", {"query": "a，（b"})]


def test_object_as_action_ends_at_brace() -> None:
    parser = ReActParser(PARAMETERS)
    parser.feed('Action: {"action": "search", "action_input": {"query": "a"}', 1.0)
    call = parser.feed("} x", 1.0)[1]
    assert isinstance(call, ToolCall)
    assert call.arguments == '{"query":"a"}'


@pytest.mark.parametrize(
    "action", ['{"query": "a"}', '{"action": 1}', '{"action": "search" x}', '{"action": null}', "{"]
)
def test_object_without_tool_is_no_call(action: str) -> None:
    assert calls(f"Action: {action}") == []
    assert answers(f"Action: {action}\nAnswer: invented") == []


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
