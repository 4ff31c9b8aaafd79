"""Outcomes of jobs, from other systems."""
