"""Agents of other frameworks, as frames of a continuation: one module each."""
