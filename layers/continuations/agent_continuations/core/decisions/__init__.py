"""Requests to people, and the responses to them."""
