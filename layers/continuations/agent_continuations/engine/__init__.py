"""Advances runs: claims, executes effects, commits, releases."""
