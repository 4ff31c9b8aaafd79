"""Delivery of notices: the outbox and the routes to channels."""
