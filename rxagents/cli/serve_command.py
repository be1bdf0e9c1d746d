"""The command `rxagents serve`."""

from __future__ import annotations

import click

from rxagents.cli.failures import report, report_message
from rxagents.cli.loading import load_served
from rxagents.cli.log_stores import store_of
from rxagents.cli.signals import StopSignals
from rxagents.core.errors import ConfigurationError, RxAgentsError, StorageError
from rxagents.runtime.event_log.event_log import EventLog

_EXAMPLES = """\b
Examples:
  rxagents serve my_agents:agent
  rxagents serve my_agents:make_agent --port 8080 --log runs.db
  rxagents serve my_agents:agent --log redis://localhost --rerun
  curl -d '{"task": "Hello."}' http://127.0.0.1:8000/runs
"""


@click.command(epilog=_EXAMPLES)
@click.argument("agent", metavar="MODULE:NAME")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    help="The port; 0 for a free one.",
)
@click.option(
    "--token",
    envvar="RXAGENTS_TOKEN",
    show_envvar=True,
    help="What clients send as a bearer token.",
)
@click.option("--cors", multiple=True, metavar="ORIGIN", help="An origin whose pages may call.")
@click.option("--log", metavar="FILE|URL", help="Keep runs in a SQLite file, or at redis://….")
@click.option("--inspect", is_flag=True, help="Let 'rxagents top' of the same user look at runs.")
@click.option("--rerun", is_flag=True, help="Go on with lost runs; needs --log.")
@click.option("--mcp", is_flag=True, help="Let MCP clients call the agent as a tool, at /mcp.")
@click.pass_obj
def serve(
    stop: StopSignals,
    /,
    agent: str,
    host: str,
    port: int,
    token: str | None,
    cors: tuple[str, ...],
    log: str | None,
    inspect: bool,
    rerun: bool,
    mcp: bool,
) -> int:
    """Serve an agent over HTTP.

    MODULE:NAME is an agent, or a function that returns one for each run. Open the address in a
    browser to chat with it. Endpoints: /runs, OpenAI's /v1/chat/completions, /v1/responses and
    /v1/models, /agui, /vercel, /health, /ready and /metrics; with --mcp also /mcp.
    """
    # Imported here: only this command needs the server.
    from rxagents import serve as serving

    if token is None and host not in {"127.0.0.1", "localhost", "::1"}:
        return report(
            ConfigurationError(
                f"--host {host} lets other machines in: pass --token too, which they have to send."
            )
        )

    if rerun and log is None:
        return report(
            ConfigurationError("--rerun needs --log: runs that are only in memory are lost.")
        )

    async def run() -> None:
        app = serving.make_app(
            load_served(agent),
            log=None if log is None else EventLog(store_of(log)),
            token=token,
            cors=cors,
            name=agent.partition(":")[2],
            inspect=inspect,
            rerun=rerun,
            mcp=mcp,
        )
        await serving.serve(app, host=host, port=port, on_start=_say_url)

    try:
        stop.run(run())
    except StorageError as error:
        reason = str(error).partition(" Check that ")[0].removesuffix(".").replace(". ", ": ")
        report_message(f"--log cannot be used: {reason}.")
        return 1
    except RxAgentsError as error:
        return report(error)
    except OSError as error:
        report_message(f"Cannot listen on --host {host}, --port {port}: {error.strerror or error}.")
        return 1
    return 0


def _say_url(url: str) -> None:
    click.echo(
        f"Serving at {url} (Ctrl-C lets its runs end, for 10 s; twice stops at once)", err=True
    )
