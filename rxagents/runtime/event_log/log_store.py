"""Define what a store of an event log does, and the values that it takes and returns."""

from __future__ import annotations

import re
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Final, Literal, NamedTuple, Protocol
from uuid import uuid4

import msgspec
from msgspec import Struct

from rxagents.core.checks import checked_count, checked_seconds
from rxagents.core.errors import BackpressureError, ConfigurationError, LeaseError, LogGoneError
from rxagents.runtime.recording import RecordedLine

LEASE_SECONDS: Final = 15.0
"""How long a writer that is not heard of keeps its run."""

RENEW_SECONDS: Final = 5.0
"""How often a writer renews its lease: two renewals may fail."""

INTERRUPTED: Final = msgspec.json.encode(RecordedLine[None](0.0, stopped="interrupted"))
"""The end mark of a run whose writer is lost."""

_LONGEST_KEY = 512
_ID = re.compile(r"([1-9][0-9]{0,14})-([1-9][0-9]{0,14})", re.ASCII)


class Position(NamedTuple):
    """The place of an entry in its run; positions are in the order of the entries.

    Attributes:
        attempt: The number of the attempt, from 1.
        seq: The number of the entry in its attempt, from 1 and without gaps.
    """

    attempt: int
    seq: int

    def __str__(self) -> str:
        return f"{self.attempt}-{self.seq}"


def parse_id(entry_id: str) -> Position:
    """Return the position of an entry's id, such as `"1-15"`.

    Raises:
        ConfigurationError: It is not an id.
    """
    found = _ID.fullmatch(entry_id) if isinstance(entry_id, str) else None
    if found is None:
        raise ConfigurationError(
            f"after must be the id of an entry, such as '1-15', not {entry_id!r:.80}."
        )
    return Position(int(found[1]), int(found[2]))


def checked_key(key: object) -> str:
    """Return `key` if it can be the key of a run.

    Raises:
        ConfigurationError: It cannot.
    """
    if (
        isinstance(key, str)
        and 0 < len(key) <= _LONGEST_KEY
        and not any(char < " " or "\ud800" <= char <= "\udfff" for char in key)
    ):
        return key
    raise ConfigurationError(
        f"key must be a text of 1 to {_LONGEST_KEY} characters without control characters, not "
        f"{key!r:.80}."
    )


class Retention(Struct, frozen=True):
    """Bounds of what a log keeps; `None` is no bound. The newest entry of a run always stays.

    Attributes:
        entries: How many entries of one run are kept; beyond it the oldest are dropped.
        bytes: How many bytes of JSON of one run are kept; beyond it the oldest entries are dropped.
        age: How many seconds a run is kept after its end.
        runs: How many runs are kept; beyond it those that ended first are dropped. A run that has
            not ended is never dropped.
    """

    entries: int | None = 10_000
    bytes: int | None = 8 * 1024 * 1024
    age: float | None = 86_400.0
    runs: int | None = 10_000

    def __post_init__(self) -> None:
        for name in ("entries", "bytes", "runs"):
            value = getattr(self, name)
            if value is not None:
                checked_count(name, value)
        if self.age is not None:
            checked_seconds("age", self.age)


class Begun(NamedTuple):
    """An attempt that has begun.

    Attributes:
        attempt: Its number, from 1.
        previous: The end mark of the attempt before it; `None` if it is the first.
        token: What its writer shows to write; unique, also among runs that were forgotten, whose
            key another run has now.
    """

    attempt: int
    previous: bytes | None
    token: str


class Page(NamedTuple):
    """Entries of a run, in order.

    Attributes:
        entries: The position and the line of each entry.
        state: What follows them: `"more"` entries; nothing yet, since the run is `"live"` or its
            writer is `"lost"`; nothing, since the run has `"ended"`.
    """

    entries: Sequence[tuple[int, int, bytes]]
    state: Literal["more", "live", "lost", "ended"]


class Saved(NamedTuple):
    """A checkpoint.

    Attributes:
        attempt: The number of the attempt that wrote it.
        seq: The number of the last entry before it; 0 if there is none.
        data: The checkpoint, encoded.
    """

    attempt: int
    seq: int
    data: bytes


class LogStore(Protocol):
    """Keeps the entries of runs by their keys.

    A run has attempts, numbered from 1. Only the latest can be written to, and only until its end
    mark; the writer of an older one gets `LeaseError`. Each method is atomic, and returns its
    result at once or as a `concurrent.futures.Future`. It is called on the event loop, so that it
    must not block. Calls that change a run take effect in the order in which they are made.

    Attributes:
        poll_seconds: How often to look for entries that other processes write; `None` if none can.
    """

    poll_seconds: float | None

    def begin(self, key: str) -> Begun | Future[Begun]:
        """Begin the next attempt of a run, with a lease.

        If the present attempt has no end mark and its lease is lost, it is marked as interrupted.

        Raises:
            LeaseError: The present attempt has a lease.
        """
        ...

    def append(
        self, key: str, token: str, first: int, lines: Sequence[bytes], *, ends: bool
    ) -> Future[None] | None:
        """Add entries, and renew the lease; all entries are added or none.

        Args:
            key: The key of the run.
            token: The token of the attempt that writes.
            first: The number that the first of the entries gets.
            lines: The lines of the entries, encoded.
            ends: Whether the last one is the end mark.

        Raises:
            LeaseError: The attempt is not the latest, or has ended; or `first` is not the next
                number, since the lines before were not written.
        """
        ...

    def renew(self, key: str, token: str) -> Future[None] | None:
        """Renew the lease.

        Raises:
            LeaseError: The attempt is not the latest, or has ended.
        """
        ...

    def save(self, key: str, token: str, data: bytes) -> Future[None] | None:
        """Keep a checkpoint in place of the run's last one, and renew the lease.

        Raises:
            LeaseError: The attempt is not the latest, or has ended.
        """
        ...

    def saved(self, key: str) -> Saved | Future[Saved | None] | None:
        """Return the checkpoint of a run; `None` if it has none, or there is no such run."""
        ...

    def read(self, key: str, after: Position | None, limit: int) -> Page | Future[Page]:
        """Return at most `limit` entries of a run, from all attempts.

        Args:
            key: The key of the run.
            after: The position before the first entry; `None` to read from the first attempt whose
                beginning is kept.
            limit: The largest number of entries.

        Raises:
            LogGoneError: There is no such run or position, or no longer.
        """
        ...

    def lost(self) -> list[str] | Future[list[str]]:
        """Return the keys of the runs that have no end mark, and whose lease is lost."""
        ...

    def interrupt(self, key: str | None) -> list[str] | Future[list[str]]:
        """Take the next attempt of a run whose lease is lost, and end it with `INTERRUPTED`.

        Args:
            key: The key of the run; `None` for all runs.

        Returns:
            The keys of the runs that were marked.
        """
        ...

    def forget(self, key: str) -> Future[None] | None:
        """Delete a run; an unknown one is no error. Its writer then gets `LeaseError`."""
        ...

    def close(self) -> Future[None] | None:
        """Release what the store has opened; the next use opens it again."""
        ...


def new_token() -> str:
    """Return a token that no other attempt has."""
    return uuid4().hex


def refused(key: str) -> LeaseError:
    """Return the error of a writer that no longer has its run."""
    return LeaseError(
        f"This attempt of the run {key!r} can no longer be written: its lease was lost and taken "
        "by another attempt, or the run was forgotten."
    )


def still_written(key: str, seconds: float) -> LeaseError:
    """Return the error of a writer that finds the run of another."""
    return LeaseError(
        f"The run {key!r} is being written, and its writer has a lease for {seconds:.1f} s. If "
        "that process was killed, start the run again after this time. Else wait for the end of "
        "the run, stop it, or use another key."
    )


def too_slow(key: str, limit: int) -> BackpressureError:
    """Return the error of a writer for whose store too many lines wait."""
    return BackpressureError(
        f"More than {limit} items of the run {key!r} wait to be stored: the store is slower than "
        "the stream. Use log.start, which slows the stream down."
    )


def no_run(key: str) -> LogGoneError:
    """Return the error of a reader whose run does not exist."""
    return LogGoneError(
        f"The log has no run {key!r}: it was not started yet, or is no longer kept (see "
        "rxagents.Retention)."
    )


def no_entry(key: str, after: Position | None, first: Position) -> LogGoneError:
    """Return the error of a reader whose entries are not kept."""
    wanted = "the beginning" if after is None else f"the entry {after}"
    return LogGoneError(
        f"The log does not have {wanted} of the run {key!r}, or no longer; the first entry that is "
        f"kept is {first}. Raise Retention.entries or Retention.bytes to keep more.",
        first_id=str(first),
    )
