"""The outbox and its routes to channels."""
