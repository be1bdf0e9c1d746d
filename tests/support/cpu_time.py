"""Measure CPU time, to compare the cost of small and large inputs."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable


def cpu_seconds(work: Callable[[], object], repeats: int = 3) -> float:
    """Return the least CPU time of several runs, without garbage collection."""
    times = []
    gc.disable()
    try:
        for _ in range(repeats):
            start = time.process_time()
            work()
            times.append(time.process_time() - start)
    finally:
        gc.enable()
    return min(times)
