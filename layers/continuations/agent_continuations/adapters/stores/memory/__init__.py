"""The store and the inbox in memory: for tests, and for scripts that need no AWS."""

from agent_continuations.adapters.stores.memory.inbox import InMemoryInbox
from agent_continuations.adapters.stores.memory.store import InMemoryStore

__all__ = ["InMemoryInbox", "InMemoryStore"]
