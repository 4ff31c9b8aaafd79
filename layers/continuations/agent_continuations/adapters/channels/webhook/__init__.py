"""Signed HTTP notifications."""
