"""Shared by the Lambda handlers: routing, responses, problems, batches, metrics."""
