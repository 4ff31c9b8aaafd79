"""Delivers notifications, from a queue."""
