"""The whole system in one process, without AWS."""
