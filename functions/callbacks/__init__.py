"""Outcomes of jobs, reported by other systems."""
