"""Commands, one module a subject."""
