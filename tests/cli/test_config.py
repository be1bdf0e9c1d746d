"""The configuration file: the default model, aliases and templates."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from matrix import only_full

from rxagents.testing import ScriptedServer

pytestmark = pytest.mark.real_time

REVIEW = """
[templates.review]
system = "You are $who."
prompt = "Name $count problems:\\n$input"
model = "two"
options = { temperature = 0.5 }
defaults = { who = "strict", count = "3" }

[aliases]
two = "scripted:two"
"""


@pytest.fixture
def configure(home: Path) -> Any:
    def configure(text: str) -> None:
        home.mkdir(exist_ok=True)
        (home / "config.toml").write_text(text)

    return configure


@only_full
@pytest.mark.parametrize(
    ("options", "variable", "answer"),
    [
        ([], "", "one"),
        ([], "scripted:three", "three"),
        (["-m", "two"], "scripted:three", "two"),
        (["-m", "scripted:four"], "", "four"),
    ],
)
async def test_model_of_option_variable_and_file(
    run: Any, configure: Any, options: list[str], variable: str, answer: str
) -> None:
    configure('model = "first"\n[aliases]\nfirst = "scripted:one"\ntwo = "scripted:two"')
    done = await run("ask", "Hi", *options, RXAGENTS_MODEL=variable)
    assert (done.out, done.err) == (f"{answer}\n", "")


@only_full
async def test_alias_with_host_and_key(run: Any, configure: Any) -> None:
    async with ScriptedServer("ok") as server:
        alias = f'{{model = "openai:m", base_url = "{server.url}", key_env = "MY_KEY"}}'
        configure(f"[aliases]\nmine = {alias}")
        done = await run("ask", "Hi", "-m", "mine", MY_KEY="secret", OPENAI_API_KEY="other")
        assert (done.out, done.err) == ("ok\n", "")
        assert server.requests[0].headers["authorization"] == "Bearer secret"
        refused = await run("ask", "Hi", "-m", "mine", OPENAI_API_KEY="other")
        assert refused.status == 2
        assert "set the variable MY_KEY" in refused.err
        assert len(server.requests) == 1


async def test_template_is_filled(ask: Any, configure: Any) -> None:
    configure(REVIEW)
    _, server = await ask("ok", "-t", "review", "-p", "count=2", prompt="x = $y")
    body = server.requests[0].json()
    assert [message["content"] for message in body["messages"]] == [
        "You are strict.",
        "Name 2 problems:\nx = $y",
    ]
    assert body["temperature"] == 0.5


async def test_options_override_template(ask: Any, configure: Any) -> None:
    configure(REVIEW)
    _, server = await ask("ok", "-t", "review", "-s", "Be kind.", "-o", "temperature=0.1")
    body = server.requests[0].json()
    assert body["messages"][0]["content"] == "Be kind."
    assert body["temperature"] == 0.1


async def test_model_of_template(run: Any, configure: Any) -> None:
    configure(REVIEW)
    assert (await run("ask", "Hi", "-t", "review", RXAGENTS_MODEL="scripted:")).out == "two\n"


@only_full
async def test_input_follows_template_without_place(ask: Any, configure: Any) -> None:
    configure('[templates.sum]\nprompt = "Sum it up."')
    _, server = await ask("ok", "-t", "sum", prompt="", stdin=b"A text.")
    assert server.requests[0].json()["messages"][0]["content"] == "Sum it up.\n\nA text."


@only_full
@pytest.mark.parametrize(
    ("config", "options", "words"),
    [
        ("model = 1", [], "Expected `str`, got `int`"),
        ("modell = 'x'", [], "unknown field `modell`"),
        ("model = ", [], "config.toml cannot be read"),
        ("[templates.a]\nprompt = '$b'", ["-t", "a"], "pass --param b=VALUE"),
        ("[templates.a]\nprompt = 'x'", ["-t", "a", "-p", "c=1"], "no place $c"),
        ("[templates.a]\nprompt = 'x'", ["-t", "b"], "config.toml has: a."),
    ],
)
async def test_wrong_configuration_is_one_line(
    run: Any, configure: Any, config: str, options: list[str], words: str
) -> None:
    configure(config)
    done = await run("ask", "Hi", "-m", "scripted:", *options)
    assert (done.status, done.out, done.err.count("\n")) == (2, "", 1)
    assert words in done.err


@only_full
async def test_config_lists_names(run: Any, configure: Any, home: Path) -> None:
    assert (await run("config")).out.startswith(f"file: {home / 'config.toml'} (does not exist)\n")
    configure(REVIEW)
    lines = (await run("config")).out.splitlines()
    assert lines[1:] == [
        "model: none",
        "alias two: scripted:two",
        "template review: Name $count problems:",
    ]
    assert (await run("config", "path")).out == f"{home / 'config.toml'}\n"


async def test_edit_starts_with_examples(run: Any, home: Path) -> None:
    editor = f'{sys.executable} -c \'import sys; open(sys.argv[1], "a").write("x = 1")\''
    done = await run("config", "edit", VISUAL=editor)
    assert (done.status, done.err.count("config.toml cannot be read")) == (2, 1)
    assert '# mini = "openai:gpt-5-mini"' in (home / "config.toml").read_text()


@only_full
async def test_names_complete_in_shell(run: Any, configure: Any) -> None:
    configure(REVIEW)
    for words, expected in (("ask -m t", "plain,two"), ("ask -t r", "plain,review")):
        variables = {"COMP_WORDS": f"rxagents {words}", "COMP_CWORD": "3"}
        done = await run(_RXAGENTS_COMPLETE="bash_complete", **variables)
        assert done.out == f"{expected}\n"
