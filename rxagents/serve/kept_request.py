"""Keep what a run was asked, so that a server that finds it lost can ask again."""

from __future__ import annotations

import hashlib
import re
import uuid
from typing import Any, Final

import msgspec
from msgspec import Struct

from rxagents.core.approval import Decision
from rxagents.core.checkpoint import Checkpoint
from rxagents.core.messages import Message
from rxagents.serve.failures import RequestError

_KEY: Final = re.compile(r"[!-~]{16,255}", re.ASCII)


class KeptRequest(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """The request of a run.

    Attributes:
        task: What the user says.
        conversation_id: The conversation, for an agent that has conversations.
        decisions: Decisions about calls that wait, by call id; `None` for a new run.
        messages: The messages of the run whose calls wait; empty where the agent has them.
        losses: How many attempts of the run were lost with their process.
    """

    task: str | list[dict[str, Any]] = ""
    conversation_id: str | None = None
    decisions: dict[str, Decision] | None = None
    messages: tuple[Message, ...] = ()
    losses: int = 0

    @classmethod
    def of(cls, checkpoint: Checkpoint | None) -> KeptRequest | None:
        """Return the request of a run; `None` if no server of this package has started it."""
        if checkpoint is None:
            return None
        try:
            return msgspec.convert(checkpoint.request, cls)
        except msgspec.ValidationError:
            return None

    def is_same(self, other: KeptRequest) -> bool:
        """Return whether both ask the same, however often it was lost."""
        return self.task == other.task and self.conversation_id == other.conversation_id


def new_run_id(idempotency_key: str | None = None) -> str:
    """Return the id of a run, which nobody can guess.

    Args:
        idempotency_key: The client's key: the same key gives the same id, also in another process.
            Whoever can guess the key can guess the id.

    Raises:
        RequestError: The key is short, or no line of ASCII.
    """
    if idempotency_key is None:
        return f"run_{uuid.uuid4().hex}"
    if not _KEY.fullmatch(idempotency_key):
        raise RequestError(
            400,
            "Idempotency-Key must have 16 to 255 characters of ASCII without spaces, and must be "
            "random, such as a UUID: whoever knows it knows the id of the run.",
        )
    return f"run_{hashlib.sha256(idempotency_key.encode()).hexdigest()[:32]}"
