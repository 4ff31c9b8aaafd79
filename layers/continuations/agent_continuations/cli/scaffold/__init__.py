"""Making the files of a new agent: `agent-continuations new`."""
