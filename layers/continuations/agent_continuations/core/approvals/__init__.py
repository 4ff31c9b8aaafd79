"""Approval policies, requests, grants, and the audit chain."""
