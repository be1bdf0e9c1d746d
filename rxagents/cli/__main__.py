"""Lets `python -m rxagents.cli` run the command line."""

import sys

from rxagents.cli import main

sys.exit(main())
