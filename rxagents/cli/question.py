"""Make a question of the options of `rxagents ask` and `rxagents chat`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from rxagents.agents.conversation import Conversation
from rxagents.cli.config import Config, Template
from rxagents.cli.loading import AGENTS, load_agent, load_tool
from rxagents.cli.log import Info
from rxagents.cli.prompting import STDIN, read_attachment, read_prompt, read_text
from rxagents.cli.schemas import SchemaAnswer, answer_type
from rxagents.cli.settings import MODEL_OPTIONS, read_options, read_pairs
from rxagents.core.errors import ConfigurationError
from rxagents.core.messages import Part
from rxagents.core.tools import Tool
from rxagents.providers.base_llm import BaseLLM
from rxagents.providers.registry import get_model


class Options(Struct, frozen=True, kw_only=True):
    """The options of a model, which `ask` and `chat` share, as the user wrote them."""

    model: str | None = None
    base_url: str | None = None
    system: str | None = None
    template: str | None = None
    params: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    max_tokens: int | None = None
    temperature: float | None = None
    agent: str | None = None
    tools: tuple[str, ...] = ()
    attachments: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    schema: str | None = None
    schema_multi: str | None = None


class Question(Struct, frozen=True, kw_only=True):
    """A question, and the model or agent that answers it.

    Attributes:
        parts: The user's message; may be empty.
        info: The model and the system prompt, as the log keeps them.
        base_url: A host instead of the model's own.
        settings: Settings of the request.
        arguments: Arguments of the model, beside its host and key.
        agent: A class of `AGENTS`, the user's agent, or `None` for the model alone.
        tools: The tools of the agent.
        answer: The type of the answer; `None` for text.
    """

    parts: tuple[str | Part, ...]
    info: Info
    base_url: str | None
    settings: dict[str, Any]
    arguments: dict[str, Any]
    agent: Any
    tools: tuple[Tool, ...]
    answer: type[SchemaAnswer] | None

    @property
    def has_own_agent(self) -> bool:
        """Whether the agent is an object of the user's."""
        return self.agent is not None and not isinstance(self.agent, type)

    def make_model(self, config: Config) -> BaseLLM:
        """Return the model.

        Raises:
            ConfigurationError: No model is named, or it cannot be made.
        """
        if not self.info.model:
            raise ConfigurationError(
                "No model: pass --model, such as --model openai:gpt-5-mini, set RXAGENTS_MODEL, or "
                "write model = \"…\" in the file that 'rxagents config path' names."
            )
        alias = config.alias(self.info.model)
        arguments = {**alias.arguments(), **self.arguments}
        if self.base_url is not None:
            arguments["base_url"] = self.base_url
        return get_model(alias.model, **arguments)

    def make_agent(self, llm: BaseLLM, **options: Any) -> Any:
        """Return the agent of a model.

        Raises:
            ConfigurationError: A setting is not usable.
        """
        system = self.info.system or None
        return self.agent(llm, self.tools, system_prompt=system, **self.settings, **options)

    def own_agent(self) -> Any:
        """Return the user's agent, without a memory of its own."""
        return self.agent.agent if isinstance(self.agent, Conversation) else self.agent


def prompt_of(options: Options, words: Sequence[str]) -> str:
    """Return stdin and the words of a command; stdin may be one of its files instead."""
    stdin_is_taken = STDIN in (*options.files, *options.attachments)
    return read_prompt(words, stdin_is_taken=stdin_is_taken)


def make_question(options: Options, typed: str, config: Config, last: Info | None) -> Question:
    """Read the options and the files.

    Args:
        options: The options.
        typed: What the user said.
        config: The configuration.
        last: The model and system prompt of the conversation that is continued.

    Raises:
        ConfigurationError: An option is not usable, or a file cannot be read.
    """
    template = Template() if options.template is None else config.template(options.template)
    params = read_pairs("--param", options.params)
    if params and options.template is None:
        raise ConfigurationError("--param needs --template: it fills a place of a template.")
    prompt, system = template.fill(typed, params)
    system = options.system if options.system is not None else system
    if not system and last is not None:
        system = last.system
    texts = [*map(read_text, options.files), *([prompt] if prompt.strip() else [])]
    parts: list[str | Part] = [*map(read_attachment, options.attachments)]
    if texts:
        parts.append("\n\n".join(texts))
    settings = read_options(options.options, template.options)
    for name in ("max_tokens", "temperature"):
        if (value := getattr(options, name)) is not None:
            settings[name] = value
    question = Question(
        parts=tuple(parts),
        info=Info(_chosen_model(options, template, config, last), system),
        base_url=options.base_url,
        arguments={name: settings.pop(name) for name in MODEL_OPTIONS if name in settings},
        settings=settings,
        agent=None if options.agent is None else load_agent(options.agent),
        tools=tuple(map(load_tool, dict.fromkeys(options.tools))),
        answer=_answer(options, template),
    )
    _check(question, options)
    return question


def _check(question: Question, options: Options) -> None:
    if question.agent is None and question.tools:
        raise ConfigurationError("--tool needs an agent: pass --agent function or --agent react.")
    if question.agent is not None and question.answer is not None:
        raise ConfigurationError("--schema works without --agent: the model answers it alone.")
    if question.has_own_agent:
        given = {
            "--model": options.model,
            "--base-url": options.base_url,
            "--tool": question.tools,
            "--option": question.settings or question.arguments,
        }
        for option, value in given.items():
            if value:
                raise ConfigurationError(
                    f"{option} has no use with --agent {options.agent}, which brings its own model "
                    f"and tools: leave it out, or pass --agent {' or '.join(AGENTS)}."
                )


def _answer(options: Options, template: Template) -> type[SchemaAnswer] | None:
    if options.schema_multi is not None:
        return answer_type(options.schema_multi, multi=True)
    schema = template.schema if options.schema is None else options.schema
    return answer_type(schema) if schema else None


def _chosen_model(options: Options, template: Template, config: Config, last: Info | None) -> str:
    if options.agent is not None and options.agent not in AGENTS:
        return options.model or ""
    known = "" if last is None else last.model
    environment = os.environ.get("RXAGENTS_MODEL", "")
    return options.model or template.model or known or environment or config.model
