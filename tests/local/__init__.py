"""The system on one machine: local replacements for AWS and external services.

Nothing in this package is deployed. `make run` runs `python -m tests.local`; tests use its parts.
"""
