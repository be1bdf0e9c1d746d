"""The command `rxagents mcp`."""

from __future__ import annotations

import click

from rxagents.cli.failures import report
from rxagents.cli.loading import load_for_mcp
from rxagents.cli.signals import StopSignals
from rxagents.core.errors import RxAgentsError

_EXAMPLES = """\b
Examples:
  rxagents mcp my_agents:agent
  rxagents mcp my_agents:tools
  claude mcp add shop -- rxagents mcp my_agents:agent
"""


@click.command(epilog=_EXAMPLES)
@click.argument("served", metavar="MODULE:NAME")
@click.pass_obj
def mcp(stop: StopSignals, /, served: str) -> int:
    """Serve tools and agents to an MCP client, on the standard streams.

    MODULE:NAME is an agent, a function that returns one for each run, a tool, or a list of agents
    and tools. An MCP client starts this command. What the code prints goes to the standard error.
    'rxagents serve --mcp' serves over HTTP.
    """
    # Imported here: only this command needs the server.
    from rxagents.mcp.server import mcp_server
    from rxagents.mcp.stdio import serve_wire, wire

    try:
        with wire() as descriptors:  # user code may print while it is imported
            server = mcp_server(load_for_mcp(served), name=served.partition(":")[2])
            stop.run(serve_wire(server, descriptors))
    except RxAgentsError as error:
        return report(error)
    return 0
