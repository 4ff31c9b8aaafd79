"""Tool hosts: run tool bodies apart from the engine."""
