"""The system on one machine: what a laptop needs that AWS gives for free.

Nothing in here is deployed. `python -m tests.local` is `make run`; the tests use the same parts.
"""
