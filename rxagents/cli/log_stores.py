"""Open the store of an event log that the user names."""

from __future__ import annotations

from rxagents.runtime.event_log.log_store import LogStore, Retention


def store_of(place: str, retention: Retention | None = None) -> LogStore:
    """Return the store in a file, or at the URL of a Redis server.

    Raises:
        ConfigurationError: The URL is not usable, or the extra `redis` is missing.
    """
    if place.startswith(("redis://", "rediss://", "unix://")):
        from rxagents.storage.redis_log_store import RedisLogStore  # needs the extra `redis`

        return RedisLogStore(place, retention)
    from rxagents.storage.sqlite_log_store import SQLiteLogStore

    return SQLiteLogStore(place, retention)
