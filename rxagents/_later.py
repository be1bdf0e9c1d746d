"""The names of `rxagents` that are imported at first use, with their modules."""

from __future__ import annotations

from typing import Final

LATER: Final = {
    "AgentOptions": "rxagents.agents.agent_options",
    "AgentRun": "rxagents.agents.agent_run",
    "Budget": "rxagents.runtime.spending.budget",
    "RunArguments": "rxagents.agents.run_options",
    "Conversation": "rxagents.agents.conversation",
    "ConversationStore": "rxagents.storage.conversation_store",
    "ConversationalAgent": "rxagents.agents.conversational",
    "Description": "rxagents.runtime.description",
    "Cost": "rxagents.runtime.spending.cost",
    "EventLog": "rxagents.runtime.event_log.event_log",
    "FunctionAgent": "rxagents.agents.function",
    "InspectedPipe": "rxagents.runtime.inspection",
    "InspectedProbe": "rxagents.runtime.inspection",
    "InspectedStage": "rxagents.runtime.inspection",
    "Inspection": "rxagents.runtime.inspection",
    "LimitedRequest": "rxagents.runtime.limiting.protocol",
    "Limiter": "rxagents.runtime.limiting.limiter",
    "LimiterState": "rxagents.runtime.limiting.limiter_state",
    "LogEntry": "rxagents.runtime.event_log.log_reader",
    "Memory": "rxagents.agents.memory",
    "LivePicture": "rxagents.pictures.live",
    "MemoryLogStore": "rxagents.runtime.event_log.memory_log_store",
    "MemoryStore": "rxagents.storage.memory_store",
    "Price": "rxagents.runtime.spending.prices",
    "ReActAgent": "rxagents.agents.react",
    "ReActStep": "rxagents.agents.react_steps",
    "RedisLogStore": "rxagents.storage.redis_log_store",
    "Retention": "rxagents.runtime.event_log.log_store",
    "RunHandle": "rxagents.runtime.event_log.run_handle",
    "RunPicture": "rxagents.pictures.picture",
    "SQLiteLogStore": "rxagents.storage.sqlite_log_store",
    "SQLiteStore": "rxagents.storage.sqlite_store",
    "Snapshot": "rxagents.storage.conversation_store",
    "StoredConversation": "rxagents.storage.conversation_store",
    "describe": "rxagents.runtime.description",
    "display": "rxagents.pictures.live",
    "draw_run": "rxagents.pictures.picture",
    "from_log": "rxagents.runtime.event_log.from_log",
    "inspect": "rxagents.runtime.inspection",
    "instrument": "rxagents.runtime.instrument",
}
"""Imported at first use, like the operators: a program that only streams does not need them."""
