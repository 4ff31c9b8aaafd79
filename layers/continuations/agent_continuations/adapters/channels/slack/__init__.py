"""Slack: messages, buttons and dialogs."""
