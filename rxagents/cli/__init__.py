"""The command line: `rxagents demo`, `rxagents ask`, `rxagents chat` and others."""

from __future__ import annotations

import sys

_EXTRA = {"click", "markdown_it", "platformdirs", "prompt_toolkit", "rich"}


def main() -> int:
    """Run the command line.

    Returns:
        The exit status.
    """
    try:
        from rxagents.cli.program import run

        return run()
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in _EXTRA:
            raise
        sys.stderr.write("The command line needs the extra 'cli': pip install 'rxagents[cli]'\n")
        return 2
    except KeyboardInterrupt:  # before the program handles the signal
        return 130
