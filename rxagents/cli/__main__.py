"""Run the command line with `python -m rxagents.cli`."""

import sys

from rxagents.cli import main

sys.exit(main())
