"""Resends due work, every minute."""
