"""Sends due work again, every minute."""
