"""A device on which every write fails because it is full."""

from __future__ import annotations

from pathlib import Path

import pytest

FULL_DISK = Path("/dev/full")

needs_full_disk = pytest.mark.skipif(not FULL_DISK.exists(), reason="this system has no /dev/full")
