"""Authenticates requests to pages."""
