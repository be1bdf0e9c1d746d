"""Unknown keyword arguments are refused, with the argument that was meant."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import rxagents
from rxagents import ConfigurationError, FunctionAgent, OpenAI, ReActAgent
from rxagents.core.settings import Settings
from rxagents.providers.provider import ProviderOptions
from rxagents.testing import ScriptedLLM

LLM = ScriptedLLM("Hello")


def make_model(**arguments: Any) -> object:
    return OpenAI("any", base_url="http://127.0.0.1:9/v1", **arguments)


def make_agent(**arguments: Any) -> object:
    return FunctionAgent(LLM, **arguments)


def call(**arguments: Any) -> object:
    return LLM.chat_stream("Hi", **arguments)


def run(**arguments: Any) -> object:
    return FunctionAgent(LLM).run_stream("Hi", **arguments)


@pytest.mark.parametrize(
    ("use", "wrong", "message"),
    [
        (make_model, "timeouts", r"OpenAI takes no 'timeouts'\. Did you mean timeout\? It takes"),
        (make_model, "max_output_tokens", r"Did you mean max_tokens\?"),
        (make_model, "retries", r"Did you mean max_retries\?"),
        (make_agent, "instructions", r"FunctionAgent takes no .* Did you mean system_prompt\?"),
        (make_agent, "max_turns", r"Did you mean max_iterations\?"),
        (make_agent, "max_retries", r"Pass max_retries where the model is made"),
        (call, "temprature", r"A call of the model .* Did you mean temperature\?"),
        (call, "base_url", r"Pass base_url where the model is made"),
        (run, "deps", r"A run of an agent .* Did you mean context\?"),
    ],
)
def test_likely_name_comes_first(use: Callable[..., object], wrong: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        use(**{wrong: 1})


def test_all_arguments_are_listed() -> None:
    with pytest.raises(ConfigurationError) as refused:
        make_model(timeouts=1)
    listed = str(refused.value).partition(" It takes ")[2].rstrip(".").split(", ")
    assert listed[0] == "timeout"
    own = {"model", "api_key", "base_url"}
    assert set(listed) == own | ProviderOptions.__optional_keys__ >= set(Settings.__struct_fields__)


def test_list_has_the_subclass_arguments() -> None:
    with pytest.raises(ConfigurationError, match=r"ReActAgent takes no 'colour'.*direct_answer"):
        ReActAgent(LLM, colour="red")  # type: ignore[call-arg]  # what the test is about
    with pytest.raises(ConfigurationError, match=r"Anthropic takes no 'colour'.*api_version"):
        rxagents.get_model("anthropic:any", api_key="any", colour="red")


def test_several_unknown_names_are_all_named() -> None:
    with pytest.raises(ConfigurationError, match="no 'a', 'b'"):
        call(b=1, a=2)


def test_model_string_as_model_names_get_model() -> None:
    with pytest.raises(ConfigurationError, match=r"ReActAgent\(rxagents\.get_model\('openai:m'\)"):
        ReActAgent("openai:m")  # type: ignore[arg-type]  # what the test is about
