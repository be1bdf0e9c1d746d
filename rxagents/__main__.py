"""Run the command line with `python -m rxagents`."""

import sys

from rxagents.cli import main

sys.exit(main())
