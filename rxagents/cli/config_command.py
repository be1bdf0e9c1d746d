"""Define `rxagents config`."""

from __future__ import annotations

import click

from rxagents.cli.config import EXAMPLE, config_path, read_config
from rxagents.cli.failures import report
from rxagents.core.errors import RxAgentsError


@click.group(invoke_without_command=True)
@click.pass_context
def config(context: click.Context, /) -> int:
    """Show the default model, the aliases and the templates.

    They are in one file in TOML: 'rxagents config edit' opens it, 'rxagents config path' prints
    its path. The variable RXAGENTS_HOME names another folder for it and for the log.
    """
    if context.invoked_subcommand is not None:
        return 0
    try:
        read = read_config()
    except RxAgentsError as error:
        return report(error)
    missing = "" if config_path().exists() else " (does not exist)"
    click.echo(f"file: {config_path()}{missing}")
    click.echo(f"model: {read.model or 'none'}")
    for name in sorted(read.aliases):
        alias = read.alias(name)
        host = f" at {alias.base_url}" if alias.base_url else ""
        click.echo(f"alias {name}: {alias.model}{host}")
    for name in sorted(read.templates):
        template = read.templates[name]
        first = (template.prompt or template.system).strip().partition("\n")[0]
        click.echo(f"template {name}: {first}")
    return 0


@config.command()
def path() -> int:
    """Print the path of the configuration file."""
    click.echo(config_path())
    return 0


@config.command()
def edit() -> int:
    """Open the configuration file in $VISUAL or $EDITOR; create it with examples if need be."""
    file = config_path()
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(EXAMPLE, "utf-8")
    click.edit(filename=str(file))
    try:
        read_config()
    except RxAgentsError as error:
        return report(error)
    return 0
