"""Notification channels: one module or package each."""
