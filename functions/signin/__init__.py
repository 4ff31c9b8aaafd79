"""Signing in and out with OIDC."""
