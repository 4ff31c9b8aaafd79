"""Stores: one package each."""
