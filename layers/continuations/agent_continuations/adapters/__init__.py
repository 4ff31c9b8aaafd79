"""Implementations of the ports, one folder a kind."""
