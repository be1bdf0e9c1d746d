"""Read the user's configuration: the default model, aliases and templates."""

from __future__ import annotations

import os
import string
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import platformdirs
from msgspec import Struct, field

from rxagents.core.errors import ConfigurationError

EXAMPLE = """\
# The model of commands without --model.
# model = "openai:gpt-5-mini"

# Short names for models.
[aliases]
# mini = "openai:gpt-5-mini"
# local = { model = "openai:llama3", base_url = "http://localhost:8080/v1" }
# router = { model = "openai:z-ai/glm-5", base_url = "https://openrouter.ai/api/v1", \
key_env = "OPENROUTER_API_KEY" }

# rxagents ask --template review < a.py
# [templates.review]
# system = "You review code."
# prompt = "Name $count problems of this code:\\n\\n$input"
# defaults = { count = "3" }
"""


class Alias(Struct, frozen=True, forbid_unknown_fields=True):
    """A model with a short name.

    Attributes:
        model: The model string.
        base_url: A host instead of the provider's own; empty for that.
        key_env: The environment variable with the key; empty for the provider's own.
    """

    model: str
    base_url: str = ""
    key_env: str = ""

    def arguments(self) -> dict[str, str]:
        """Return the arguments for `get_model`.

        Raises:
            ConfigurationError: The variable `key_env` is not set.
        """
        arguments = {"base_url": self.base_url} if self.base_url else {}
        if self.key_env:
            key = os.environ.get(self.key_env, "")
            if not key:
                raise ConfigurationError(
                    f"The key of {self.model!r} is missing: set the variable {self.key_env}, which "
                    "key_env in the configuration file names."
                )
            arguments["api_key"] = key
        return arguments


class Template(Struct, frozen=True, forbid_unknown_fields=True):
    """A prompt with places to fill, and the options that go with it.

    Attributes:
        prompt: The prompt; `$input` stands for the user's text, `$name` for a parameter.
        system: The system prompt, with the same places.
        model: The model, or an alias.
        schema: As `--schema`, or the JSON schema itself.
        options: As `--option`.
        defaults: The values of parameters that the user does not pass.
    """

    prompt: str = ""
    system: str = ""
    model: str = ""
    schema: str | dict[str, Any] = ""
    options: dict[str, Any] = field(default_factory=dict)
    defaults: dict[str, str] = field(default_factory=dict)

    def fill(self, text: str, parameters: Mapping[str, str]) -> tuple[str, str]:
        """Return the prompt and the system prompt.

        The user's text follows the prompt if that has no `$input`.

        Raises:
            ConfigurationError: A parameter is missing or unknown.
        """
        values = {**self.defaults, **parameters, "input": text}
        prompt, system = string.Template(self.prompt), string.Template(self.system)
        places = {*prompt.get_identifiers(), *system.get_identifiers()}
        if missing := sorted(places - values.keys()):
            raise ConfigurationError(
                f"The template needs a value for {', '.join(missing)}: pass --param "
                f"{missing[0]}=VALUE."
            )
        if unknown := sorted(parameters.keys() - places):
            raise ConfigurationError(
                f"The template has no place ${unknown[0]}: remove --param {unknown[0]}."
            )
        filled = prompt.safe_substitute(values)
        if "input" not in places:
            filled = "\n\n".join(part for part in (filled, text) if part.strip())
        return filled, system.safe_substitute(values)


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """The configuration file.

    Attributes:
        model: The model of commands without one; may be an alias.
        markdown: Whether Markdown is rendered at a terminal.
        aliases: Models by their short names.
        templates: Templates by their names.
    """

    model: str = ""
    markdown: bool = True
    aliases: dict[str, str | Alias] = field(default_factory=dict)
    templates: dict[str, Template] = field(default_factory=dict)

    def alias(self, model: str) -> Alias:
        """Return the model that an alias stands for; any other text is a model string."""
        found = self.aliases.get(model, model)
        return Alias(found) if isinstance(found, str) else found

    def template(self, name: str) -> Template:
        """Return a template.

        Raises:
            ConfigurationError: There is none with this name.
        """
        if name not in self.templates:
            known = ", ".join(sorted(self.templates)) or "none"
            raise ConfigurationError(
                f"There is no template {name!r}; {config_path()} has: {known}. Add a table "
                f"[templates.{name}] there."
            )
        return self.templates[name]


def config_path() -> Path:
    """Return the path of the configuration file."""
    return _folder(platformdirs.user_config_path("rxagents")) / "config.toml"


def data_folder() -> Path:
    """Return the folder of the log and the history of typed lines."""
    return _folder(platformdirs.user_data_path("rxagents"))


def _folder(default: Path) -> Path:
    chosen = os.environ.get("RXAGENTS_HOME")
    return Path(chosen).expanduser() if chosen else default


def read_config() -> Config:
    """Return the configuration; a missing file is an empty one.

    Raises:
        ConfigurationError: The file cannot be read.
    """
    path = config_path()
    try:
        return msgspec.convert(tomllib.loads(path.read_text("utf-8")), Config)
    except (FileNotFoundError, NotADirectoryError):
        return Config()
    except (OSError, ValueError, msgspec.ValidationError) as error:
        raise ConfigurationError(
            f"The configuration file {path} cannot be read: {error}."
        ) from error
