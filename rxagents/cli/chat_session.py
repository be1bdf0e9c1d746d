"""Keep the state of a chat: the conversation, the model, and what is attached next."""

from __future__ import annotations

from collections.abc import Awaitable
from contextlib import AsyncExitStack
from typing import Any

from msgspec.structs import replace

from rxagents.agents.agent import BaseAgent
from rxagents.agents.agent_run import AgentRun
from rxagents.agents.conversation import Conversation
from rxagents.agents.memory import Memory
from rxagents.cli.approval import ask_user
from rxagents.cli.config import Config
from rxagents.cli.log import Info, find, new_id, user_message
from rxagents.cli.prompting import read_attachment, read_text
from rxagents.cli.question import Question
from rxagents.core.errors import ConfigurationError
from rxagents.core.messages import Message, Part
from rxagents.storage.conversation_store import Snapshot, StoredConversation, to_json
from rxagents.storage.sqlite_store import SQLiteStore


class ChatSession:
    """A chat with a model or an agent.

    Args:
        question: The model, the agent and the settings; its parts are attached to the first
            message.
        config: The configuration.
        store: Keeps the conversations; `None` for the memory of the process.
        conversation_id: The id of the conversation that the chat begins with.

    Attributes:
        conversation_id: The id of the present conversation.
        info: The model and the system prompt of the next message.
        attached: What the next message begins with.
        run: The last run; `None` before the first.
    """

    def __init__(
        self, question: Question, config: Config, store: SQLiteStore | None, conversation_id: str
    ) -> None:
        self.conversation_id = conversation_id
        self.info = question.info
        self.attached: list[str | Part] = []
        self.run: AgentRun | None = None
        self._question = question
        self._config = config
        self._store = store
        self._memory = Memory() if store is None else Memory(store=store)
        self._stack = AsyncExitStack()
        self._conversation = self._converse()

    @property
    def is_running(self) -> bool:
        """Whether a run goes on."""
        return self.run is not None and not self.run.has_ended

    @property
    def title(self) -> str:
        """The model or agent, as a person calls it."""
        return self.info.model or type(self._conversation.agent).__name__

    async def load(self, start: Snapshot) -> None:
        """Begin with a conversation that is not stored from now on; nothing to do otherwise."""
        if self._store is None and start.exchanges:
            conversation = StoredConversation(start.exchanges, start.summary)
            await self._memory.load(self.conversation_id, to_json(conversation))

    def start(self, text: str) -> AgentRun:
        """Send a message, with what is attached.

        Raises:
            ConfigurationError: The message is empty.
        """
        options: dict[str, Any] = {}
        if isinstance(self._conversation.agent, BaseAgent) and self.info.system:
            options["system_prompt"] = self.info.system
        message = self._message(text)
        self.run = self._conversation.start(message, self.conversation_id, **options)
        return self.run

    def steer(self, text: str, *, now: bool = False) -> bool:
        """Add a message to the run; return whether the model will see it in that run."""
        if self.run is None or not self.is_running:
            return False
        attached = list(self.attached)
        if self.run.steer(self._message(text), now=now):
            return True
        self.attached = attached
        return False

    def stop(self) -> None:
        """Stop the run, if one goes on; memory keeps what the person saw of it."""
        if self.run is not None:
            self.run.stop()

    def attach(self, path: str, *, as_text: bool) -> None:
        """Attach a file to the next message.

        Raises:
            ConfigurationError: It cannot be read.
        """
        self.attached.append(read_text(path) if as_text else read_attachment(path))

    def set_model(self, model: str) -> None:
        """Use another model from the next message on.

        Raises:
            ConfigurationError: There is no such model, or the agent has its own.
        """
        if self._question.has_own_agent:
            raise ConfigurationError("The agent has its own model, which stays.")
        before = self.info, self._question
        if model.partition(":")[0] != self.info.model.partition(":")[0]:
            self._question = replace(self._question, base_url=None)  # it is no host of this one
        self.info = Info(model, self.info.system)
        try:
            self._conversation = self._converse()
        except ConfigurationError:
            self.info, self._question = before
            raise

    def set_system(self, system: str) -> None:
        """Use another system prompt from the next message on."""
        self.info = Info(self.info.model, system)

    def begin(self) -> None:
        """Begin a new conversation."""
        self.conversation_id = new_id()

    async def open(self, conversation: str) -> int:
        """Continue another conversation; return the number of its exchanges.

        Raises:
            ConfigurationError: There is none.
            StorageError: SQLite failed.
        """
        if self._store is None:
            raise ConfigurationError("Nothing is logged in this chat, so there is none to open.")
        self.conversation_id, start = await find(self._store, conversation)
        return len(start.exchanges)

    async def listed(self, count: int = 10) -> list[tuple[str, str]]:
        """Return the last conversations: id and first words, the most recent first.

        Raises:
            StorageError: The store failed.
        """
        found = []
        for key in (await self._memory.ids())[:count]:
            exchanges = (await self._memory.conversation(key)).exchanges
            found.append((key, exchanges[0][0].text if exchanges else ""))
        return found

    async def aclose(self) -> None:
        """Stop the run, and close the models."""
        self.stop()
        if self.run is not None:
            await _settled(self.run.result)
        await self._stack.aclose()

    def _message(self, text: str) -> Message:
        if not text.strip() and not self.attached:
            raise ConfigurationError("The message is empty.")
        texts = [part for part in (*self.attached, text) if isinstance(part, str) and part.strip()]
        files = [part for part in self.attached if not isinstance(part, str)]
        self.attached = []
        parts = [*files, "\n\n".join(texts)] if texts else files
        return user_message(parts, Info(self.info.model, self.info.system))

    def _converse(self) -> Conversation:
        if self._question.has_own_agent:
            agent = self._question.own_agent()
            aclose = getattr(getattr(agent, "llm", None), "aclose", None)
        else:
            question = replace(self._question, info=self.info)
            llm = question.make_model(self._config)
            agent, aclose = question.make_agent(llm, approve=ask_user), llm.aclose
        if callable(aclose):
            self._stack.push_async_callback(aclose)
        return Conversation(agent, memory=self._memory, on_stop="keep")


async def _settled(result: Awaitable[object]) -> None:
    """Wait for a result; whoever shows the run has reported its failure."""
    try:
        await result
    except Exception:
        return
