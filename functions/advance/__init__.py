"""Advances runs, from a queue."""
