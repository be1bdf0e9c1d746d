"""Run agents on a Ray cluster, with one limiter for all of it. Needs the extra `ray`."""

from rxagents.cluster.ray_engine import ray
from rxagents.cluster.ray_limiter import RayLimiter

__all__ = ["RayLimiter", "ray"]
