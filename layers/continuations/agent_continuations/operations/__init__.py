"""Command line tools for operators: `python -m agent_continuations.operations.NAME`."""
